"""`pyllm bench MODEL`: tokens per second of reading and writing, in llama-bench's table."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.bench_profile import profile_table, sum_by_op
from pyllm.cli.bench_report import Measurement, Subject, formatted, header
from pyllm.cli.bench_steps import Stepper
from pyllm.kv.types import KVTypes, choose_kv_types

__all__ = ["bench"]


class _Test(NamedTuple):
    """One row to measure: a prompt or a generation, never both."""

    threads_gen: int
    threads_prompt: int
    batch: int
    depth: int
    n_prompt: int
    n_gen: int

    @property
    def threads(self) -> int:
        """Those that are measured."""
        return self.threads_prompt if self.n_prompt else self.threads_gen


def bench(
    model: Path,
    *,
    n_prompt: Sequence[int],
    n_gen: Sequence[int],
    n_depth: Sequence[int],
    max_num_batched_tokens: Sequence[int],
    num_threads: Sequence[int],
    num_threads_batch: Sequence[int],
    repetitions: int,
    output: str,
    profile: bool,
    cache_type_k: Sequence[str],
    cache_type_v: Sequence[str],
) -> int:
    """Runs the command; returns its exit code."""
    from pyllm.loader import load_model
    from pyllm.machine.threads import default_num_threads

    threads = list(num_threads) or [default_num_threads()]
    teams = [(n, n_batch) for n in threads for n_batch in num_threads_batch or [n]]
    tests = list(_tests(teams, max_num_batched_tokens, n_depth, n_prompt, n_gen))
    if not tests:
        raise CommandLineError("nothing to measure: both -p and -n are 0")
    if profile and output != "md":
        raise CommandLineError("--profile prints tables for people; leave -o out")
    kinds = [choose_kv_types("auto", k, v) for k in cache_type_k for v in cache_type_v]
    report = _Report(output, len(kinds) * len(tests))
    for kind in kinds:
        loaded = load_model(
            model,
            num_threads=teams[0][0],
            num_threads_batch=teams[0][1],
            max_model_len=max(test.depth + test.n_prompt + test.n_gen for test in tests),
            max_num_seqs=1,
            max_num_batched_tokens=max(max_num_batched_tokens),
            kv_types=kind,
        )
        stepper = Stepper(loaded, loaded.config.n_vocab)
        try:
            if profile:
                _print_profiles(stepper, kind, tests, repetitions)
            else:
                for result in _results(_subject(model), kind, stepper, tests, repetitions):
                    report.add(result)
        finally:
            loaded.close()
    return 0


def _tests(
    teams: Sequence[tuple[int, int]],
    batches: Sequence[int],
    depths: Sequence[int],
    prompts: Sequence[int],
    generations: Sequence[int],
) -> Iterator[_Test]:
    for team, batch, depth in itertools.product(teams, batches, depths):
        yield from (_Test(*team, batch, depth, count, 0) for count in prompts if count)
        yield from (_Test(*team, batch, depth, 0, count) for count in generations if count)


class _Report:
    """Prints each result as it comes."""

    def __init__(self, output: str, n_results: int) -> None:
        self._output = output
        self._left = self._all = n_results

    def add(self, result: Measurement) -> None:
        if self._left == self._all and (first := header(self._output)):
            print(first, flush=True)
        self._left -= 1
        print(formatted(result, self._output, last=self._left == 0), flush=True)


def _results(
    subject: Subject, kind: KVTypes, stepper: Stepper, tests: Sequence[_Test], repetitions: int
) -> Iterator[Measurement]:
    for test in tests:
        _warm(stepper, test)
        samples_s = [_measure(stepper, test) for _ in range(repetitions)]
        counts = test.n_prompt, test.n_gen, test.depth
        yield Measurement(subject, kind, test.threads, test.batch, *counts, samples_s)


def _print_profiles(
    stepper: Stepper, kind: KVTypes, tests: Sequence[_Test], repetitions: int
) -> None:
    for test in tests:
        _warm(stepper, test)
        stepper.profiles, stepper.profiling = [], True
        for _ in range(repetitions):
            _measure(stepper, test)
        stepper.profiling = False
        name = f"pp{test.n_prompt}" if test.n_prompt else f"tg{test.n_gen}"
        title = f"{name} @ d{test.depth}, {test.threads} threads, batch {test.batch}, {kind}"
        print(profile_table(title, len(stepper.profiles), sum_by_op(stepper.profiles)), flush=True)


def _warm(stepper: Stepper, test: _Test) -> float:
    """Fills the context before the test, then wakes the threads with a short run of it."""
    stepper.set_threads(test.threads_gen, test.threads_prompt)
    stepper.prompt(0, test.depth, test.batch)
    return _measure(stepper, test._replace(n_gen=min(test.n_gen, 2)))


def _measure(stepper: Stepper, test: _Test) -> float:
    if test.n_prompt:
        return stepper.prompt(test.depth, test.n_prompt, test.batch)
    return stepper.generate(test.depth, test.n_gen)


def _subject(path: Path) -> Subject:
    from pyllm import kernels
    from pyllm.doctor import cpu_name
    from pyllm.gguf import GGUFFile

    with GGUFFile.open(path) as file:
        tensors = list(file.tensors.values())
        architecture = file.get("general.architecture", str, "model")
    bytes_of: Counter[str] = Counter()
    for tensor in tensors:
        bytes_of[tensor.type_name] += tensor.nbytes
    return Subject(
        filename=str(path),
        model_type=f"{architecture} {bytes_of.most_common(1)[0][0]}",
        size=sum(tensor.nbytes for tensor in tensors),
        n_params=sum(tensor.num_elements for tensor in tensors),
        backend=f"CPU {kernels.isa()}",
        cpu=cpu_name(),
    )
