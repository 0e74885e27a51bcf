"""One engine in one process: reads a JSON line per measurement, answers with tokens per second.

    python worker.py pyllm MODEL THREADS '{"context": 640}'
    python worker.py llama.cpp MODEL THREADS '{"repack": false, "flash_attention": true}'

Requests: {"test": "pp512"}, {"test": "tg128"}, {"test": "tg32@d4096"}; pyllm also decodes many
sequences at a time: {"sequences": 8, "prompt": 128, "generate": 64}, and with
"sampling": {"temperature": 0.8} does so through `LLM.generate`.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from typing import Any, Protocol

from speed_test import SpeedTest

CONTEXT = 2048  # tokens, unless the settings say otherwise


class Runner(Protocol):
    """An engine with a loaded model."""

    info: dict[str, Any]  # what the report quotes

    def rate(self, test: SpeedTest) -> float: ...
    def batched_rate(self, sequences: int, prompt: int, generate: int) -> float: ...
    def sampled_rate(
        self, sequences: int, prompt: int, generate: int, sampling: dict[str, Any]
    ) -> float: ...


def random_tokens(count: int) -> list[int]:
    """A prompt that was never seen before, of ids that every bench vocabulary has."""
    return [random.randrange(500) for _ in range(count)]


class PyLLMRunner:
    """The whole engine with Python's share of a step and sampling.

    Plain tests go through LLM.generate. Those that need to look inside a generation step the
    engine themselves: decoding at a depth, which keeps its sequence for the next round, and
    decoding of many sequences, of which only steps that decode all of them count.
    """

    def __init__(self, model: str, threads: int, settings: dict[str, Any]) -> None:
        from pyllm import LLM, kernels
        from pyllm.engine.engine import Engine
        from pyllm.loader import load_model

        sequences = settings.get("sequences", 1)
        loaded = load_model(
            model,
            num_threads=threads,
            max_model_len=settings.get("context", CONTEXT),
            max_num_seqs=sequences,
            max_num_batched_tokens=settings.get("max_num_batched_tokens", 512),
            kv_cache_bytes=settings.get("kv_cache_bytes"),
        )
        # Rounds repeat their prompts, and the two engines use the same blocks.
        self.llm = LLM.from_model(loaded, enable_prefix_caching=False)
        self.deep = Engine(loaded, enable_prefix_caching=False)
        self.depth = 0  # of the sequence that self.deep holds
        self.info: dict[str, Any] = {"isa": kernels.isa(), "settings": settings}

    def rate(self, test: SpeedTest) -> float:
        if test.depth:
            return self._deep_rate(test)
        self._drop_deep()
        prompt = random_tokens(test.n if test.kind == "pp" else 1)
        count = test.n if test.kind == "tg" else 1
        start = time.perf_counter()
        (output,) = self.llm.generate([{"prompt_token_ids": prompt}], _greedy(count))
        seconds = time.perf_counter() - start
        if len(output.outputs[0].token_ids) != count:
            raise RuntimeError(f"asked for {count} tokens, got {len(output.outputs[0].token_ids)}")
        return test.n / seconds

    def batched_rate(self, sequences: int, prompt: int, generate: int) -> float:
        """Tokens of all sequences per second, in steps that decode every one of them."""
        self._drop_deep()
        names = self._add(sequences, prompt, generate)
        while len(self.deep.step()) < sequences:
            pass
        steps, start = 0, time.perf_counter()
        while steps < generate:
            if len(self.deep.step()) < sequences:
                raise RuntimeError("a sequence ended early; give the cache more memory")
            steps += 1
        seconds = time.perf_counter() - start
        for name in names:
            self.deep.abort(name)
        return steps * sequences / seconds

    def sampled_rate(
        self, sequences: int, prompt: int, generate: int, sampling: dict[str, Any]
    ) -> float:
        """Tokens of all sequences per second through LLM.generate, behind each one's first.

        The settings must let all prompts into one step: then all decode in the same steps.
        """
        from pyllm import SamplingParams

        self._drop_deep()
        params = SamplingParams(max_tokens=generate, ignore_eos=True, **sampling)
        prompts = [{"prompt_token_ids": random_tokens(prompt)} for _ in range(sequences)]
        outputs = self.llm.generate(prompts, params)
        times = [output.metrics for output in outputs if output.metrics is not None]
        starts = {t.first_token_time for t in times}
        ends = {t.finished_time for t in times}
        if len(times) != sequences or len(starts) != 1 or len(ends) != 1:
            raise RuntimeError("not all sequences ran in the same steps")
        (start,), (end,) = starts, ends
        assert start is not None
        assert end is not None
        return sequences * (generate - 1) / (end - start)

    def _deep_rate(self, test: SpeedTest) -> float:
        if test.kind != "tg":
            raise ValueError("only decoding is timed at a depth")
        if self.depth != test.depth:
            self._drop_deep()
            self._add(1, test.depth, self.llm.model.max_model_len - test.depth)
            while not self.deep.step():
                pass
            self.depth = test.depth
        start = time.perf_counter()
        for _ in range(test.n):
            self.deep.step()
        return test.n / (time.perf_counter() - start)

    def _add(self, sequences: int, prompt: int, generate: int) -> list[str]:
        """Early sequences decode while later ones prefill: all may go on for long enough."""
        from pyllm.sampling.params import RequestOutputKind

        spare = max(self.llm.model.max_model_len - prompt - generate, 0)
        params = _greedy(generate + spare)
        params.output_kind = RequestOutputKind.DELTA  # so that each token is reported
        names = []
        for _ in range(sequences):
            request = self.deep.make_request(None, random_tokens(prompt), params)
            self.deep.add(request)
            names.append(request.request_id)
        return names

    def _drop_deep(self) -> None:
        """Both engines write to one cache: what the other one held is gone."""
        self.deep.reset()
        self.depth = 0


def _greedy(count: int) -> Any:
    from pyllm import SamplingParams

    return SamplingParams(temperature=0.0, max_tokens=count, ignore_eos=True)


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
        params.n_ctx = settings.get("context", CONTEXT)
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = int(settings.get("flash_attention", True))
        self.context = lib.llama_init_from_model(self.model, params)
        self.depth = 0  # tokens that the cache holds from an earlier test
        system = lib.llama_print_system_info().decode().strip()
        self.info: dict[str, Any] = {"system": system, "settings": settings}

    def rate(self, test: SpeedTest) -> float:
        memory = self.lib.llama_get_memory(self.context)
        if test.depth and self.depth == test.depth:
            self.lib.llama_memory_seq_rm(memory, 0, test.depth, -1)
        else:
            self.lib.llama_memory_clear(memory, True)
            self._run(random_tokens(test.depth))
        self.depth = test.depth
        tokens = random_tokens(test.n)
        parts = [tokens] if test.kind == "pp" else [[token] for token in tokens]
        start = time.perf_counter()
        for part in parts:
            self._run(part)
        return test.n / (time.perf_counter() - start)

    def batched_rate(self, sequences: int, prompt: int, generate: int) -> float:
        raise NotImplementedError("llama-batched-bench measures this")

    def sampled_rate(
        self, sequences: int, prompt: int, generate: int, sampling: dict[str, Any]
    ) -> float:
        raise NotImplementedError("llama-batched-bench measures decoding")

    def _run(self, tokens: list[int]) -> None:
        for first in range(0, len(tokens), CONTEXT):  # the default largest batch
            part = tokens[first : first + CONTEXT]
            array = (self.lib.llama_token * len(part))(*part)
            if self.lib.llama_decode(self.context, self.lib.llama_batch_get_one(array, len(part))):
                raise RuntimeError("llama_decode failed")
        self.lib.llama_synchronize(self.context)


def answer(runner: Runner, request: dict[str, Any]) -> float:
    if "test" in request:
        return runner.rate(SpeedTest.parse(request["test"]))
    if "sampling" in request:
        return runner.sampled_rate(**request)
    return runner.batched_rate(request["sequences"], request["prompt"], request["generate"])


def serve(runner: Runner, info: dict[str, Any], out: Any) -> None:
    """Answers requests until stdin closes."""
    print(json.dumps(info), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps({"rate": answer(runner, json.loads(line))}), file=out, flush=True)


def main() -> None:
    engine, model, threads, settings = sys.argv[1:5]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not disturb the protocol
    engines: dict[str, type[PyLLMRunner | LlamaCppRunner]] = {
        "pyllm": PyLLMRunner,
        "llama.cpp": LlamaCppRunner,
    }
    start = time.perf_counter()
    runner = engines[engine](model, int(threads), json.loads(settings))
    serve(runner, {**runner.info, "load_seconds": time.perf_counter() - start}, out)


if __name__ == "__main__":
    main()
