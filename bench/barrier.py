"""What it costs that all threads wait for each other after every op of a step.

    python bench/barrier.py [-t 2] [MODEL.gguf]

Empty barriers and empty jobs of the engine's own thread pool. With a model also how many ops, one
barrier each, a decode step has, and their share of its time. What threads wait for each other
because their work is unequal is not in it.
"""

from __future__ import annotations

import argparse
import os
import statistics

from native import compiled_cpp
from pyllm.cli.bench_steps import Stepper
from pyllm.loader import load_model

_SOURCES = ["barrier.cpp", "../csrc/runtime/thread_pool.cpp"]
_DECLARATIONS = """
void* new_pool(int workers); void delete_pool(void*);
double barrier_ns(void*, int64_t); double job_ns(void*, int64_t);
"""
_BARRIERS, _JOBS, _ROUNDS = 20_000, 2_000, 21
_WARM_STEPS, _STEPS = 4, 20


def nanoseconds(threads: int) -> tuple[float, float]:
    """Of one barrier and of one job: medians."""
    _, lib = compiled_cpp(_SOURCES, _DECLARATIONS)
    pool = lib.new_pool(threads)
    try:
        barriers = [lib.barrier_ns(pool, _BARRIERS) for _ in range(_ROUNDS)]
        jobs = [lib.job_ns(pool, _JOBS) for _ in range(_ROUNDS)]
    finally:
        lib.delete_pool(pool)
    return statistics.median(barriers), statistics.median(jobs)


def decode_step(path: str, threads: int) -> tuple[int, float]:
    """Ops and milliseconds of one."""
    model = load_model(path, num_threads=threads, max_model_len=64, max_num_seqs=1)
    stepper = Stepper(model, model.config.n_vocab)
    stepper.generate(0, _WARM_STEPS)
    milliseconds = stepper.generate(_WARM_STEPS, _STEPS) * 1e3 / _STEPS
    stepper.profiling = True
    stepper.generate(_WARM_STEPS, 1)
    model.close()
    return len(stepper.profiles[0]), milliseconds


def main() -> None:
    parser = argparse.ArgumentParser(description="What barriers cost")
    parser.add_argument("model", nargs="?")
    parser.add_argument("-t", "--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    barrier, job = nanoseconds(options.threads)
    print(f"{options.threads} threads: barrier {barrier:.0f} ns, job {job:.0f} ns")
    if options.model:
        num_ops, milliseconds = decode_step(options.model, options.threads)
        share = (num_ops * barrier + job) / (milliseconds * 1e6)
        print(f"decode step: {num_ops} ops, {milliseconds:.2f} ms, of which barriers {share:.2%}")


if __name__ == "__main__":
    main()
