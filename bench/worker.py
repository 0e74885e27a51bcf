"""One engine in one process: reads a JSON line per measurement, answers with seconds.

    python worker.py pyllm MODEL THREADS {}
    python worker.py llama.cpp MODEL THREADS '{"repack": false, "flash_attention": true}'

Requests: {"test": "pp", "n": 512} prefills n tokens, {"test": "tg", "n": 128} decodes n tokens
one by one.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from typing import Any, Protocol

MAX_TOKENS = 2048  # context of both engines


class Runner(Protocol):
    """An engine with a loaded model."""

    info: dict[str, Any]  # what the report quotes

    def prefill(self, tokens: list[int]) -> None: ...
    def decode(self, tokens: list[int]) -> None: ...


class PyLLMRunner:
    """Through the public API, so Python's share of a step and sampling are in the time."""

    def __init__(self, model: str, threads: int, settings: dict[str, Any]) -> None:
        from pyllm import LLM

        self.llm = LLM(model, num_threads=threads, max_model_len=MAX_TOKENS, max_num_seqs=1)
        self.info: dict[str, Any] = {"settings": settings}

    def prefill(self, tokens: list[int]) -> None:
        self._generate(tokens, 1)

    def decode(self, tokens: list[int]) -> None:
        self._generate(tokens[:1], len(tokens))

    def _generate(self, prompt: list[int], count: int) -> None:
        from pyllm import SamplingParams

        params = SamplingParams(temperature=0.0, max_tokens=count, ignore_eos=True)
        (output,) = self.llm.generate([{"prompt_token_ids": prompt}], params)
        if len(output.outputs[0].token_ids) != count:
            raise RuntimeError(f"asked for {count} tokens, got {len(output.outputs[0].token_ids)}")


class LlamaCppRunner:
    """Through llama-cpp-python's C API, as llama-bench does: no sampling, logits of one row."""

    def __init__(self, model: str, threads: int, settings: dict[str, Any]) -> None:
        import llama_cpp as lib

        self.lib = lib
        lib.llama_backend_init()
        model_params = lib.llama_model_default_params()
        model_params.use_extra_bufts = settings.get("repack", True)
        self.model = lib.llama_model_load_from_file(model.encode(), model_params)
        params = lib.llama_context_default_params()
        params.n_ctx = MAX_TOKENS
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = int(settings.get("flash_attention", True))
        self.context = lib.llama_init_from_model(self.model, params)
        system = lib.llama_print_system_info().decode().strip()
        self.info: dict[str, Any] = {"system": system, "settings": settings}

    def prefill(self, tokens: list[int]) -> None:
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        self._run(tokens)

    def decode(self, tokens: list[int]) -> None:
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        for token in tokens:
            self._run([token])

    def _run(self, tokens: list[int]) -> None:
        array = (self.lib.llama_token * len(tokens))(*tokens)
        if self.lib.llama_decode(self.context, self.lib.llama_batch_get_one(array, len(tokens))):
            raise RuntimeError("llama_decode failed")
        self.lib.llama_synchronize(self.context)


def serve(runner: Runner, info: dict[str, Any]) -> None:
    """Answers requests until stdin closes. Tokens are random: a prompt is never seen twice."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not disturb the protocol
    print(json.dumps(info), file=out, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        tokens = [random.randrange(1000, 100_000) for _ in range(request["n"])]
        start = time.perf_counter()
        (runner.prefill if request["test"] == "pp" else runner.decode)(tokens)
        print(json.dumps({"seconds": time.perf_counter() - start}), file=out, flush=True)


def main() -> None:
    engine, model, threads, settings = sys.argv[1:5]
    engines: dict[str, type[PyLLMRunner | LlamaCppRunner]] = {
        "pyllm": PyLLMRunner,
        "llama.cpp": LlamaCppRunner,
    }
    start = time.perf_counter()
    runner = engines[engine](model, int(threads), json.loads(settings))
    serve(runner, {**runner.info, "load_seconds": time.perf_counter() - start})


if __name__ == "__main__":
    main()
