"""Runs three target requests in given company and writes down every bit they produced.

python -m tests.determinism.fingerprint MODEL TYPE     as JSON, for another process
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pyllm.engine.engine import Engine
from pyllm.kv.types import KVTypes
from pyllm.loader import load_model
from pyllm.sampling.params import RequestOutputKind, SamplingParams

_FINAL = RequestOutputKind.FINAL_ONLY
CONTEXT = 1024

# name -> (prompt tokens, sampling): short and greedy; longer than any chunk; with all the knobs
TARGETS: dict[str, tuple[int, dict[str, Any]]] = {
    "greedy": (5, {"temperature": 0}),
    "long": (530, {"temperature": 1.0, "top_p": 0.95, "seed": 11}),
    "knobs": (
        33,
        {
            "temperature": 0.8,
            "top_k": 50,
            "min_p": 0.01,
            "repetition_penalty": 1.1,
            "presence_penalty": 0.3,
            "frequency_penalty": 0.2,
            "logit_bias": {40: 1.5, 41: -2.0},
            "seed": 12,
            "logprobs": 5,
        },
    ),
}
NUM_OUTPUT_TOKENS = 24


@dataclass(frozen=True)
class Setting:
    """How a target is run; the result must not depend on any of it but the type of the cache."""

    batch: int = 1  # sequences, the target among them
    chunk: int = 512  # tokens per step
    threads: int = 1
    threads_batch: int | None = None  # None: as many
    kv_type: str = "f16"
    num_kv_blocks: int | None = None  # None: plenty; fewer make sequences give way and come back
    cached: bool = False  # each target runs a second time, on blocks that the first left


class RecordingEngine(Engine):
    """Keeps the logits each request's tokens were chosen from."""

    logits: dict[str, list[np.ndarray]]

    def _postprocess(self, scheduled: Any, step: Any) -> Any:
        for row, sequence in enumerate(step.rows):
            logits = self._columns["logits"][row].copy()
            self.logits.setdefault(sequence.request_id, []).append(logits)
        return super()._postprocess(scheduled, step)


def fingerprints(path: Path, setting: Setting) -> dict[str, list[str]]:
    """For each target: one line per token, "id hash-of-logits [hash-of-logprobs]"."""
    model = load_model(
        path,
        num_threads=setting.threads,
        num_threads_batch=setting.threads_batch,
        max_model_len=CONTEXT if setting.num_kv_blocks is None else 600,
        max_num_seqs=min(setting.batch, setting.chunk),
        max_num_batched_tokens=setting.chunk,
        kv_types=KVTypes(setting.kv_type, setting.kv_type),
    )
    if setting.num_kv_blocks is not None:
        model = replace(model, num_kv_blocks=setting.num_kv_blocks)
    try:
        # One engine for all: later targets run in blocks that hold what others left.
        engine = RecordingEngine(model)
        if setting.cached:
            for name in TARGETS:
                _run(engine, name, replace(setting, cached=False))
        return {name: _run(engine, name, setting) for name in TARGETS}
    finally:
        model.close()


def _run(engine: RecordingEngine, name: str, setting: Setting) -> list[str]:
    engine.logits = {}
    length, sampling = TARGETS[name]
    # Company on both sides: the target is neither first nor last in the batch.
    lengths = [3 + 7 * number for number in range(setting.batch - 1)]
    half = len(lengths) // 2
    for number, company in enumerate(lengths[:half]):
        _add(engine, company, {"seed": number}, f"{name}-{number}")
    _add(engine, length, sampling, name)
    for number, company in enumerate(lengths[half:], half):
        _add(engine, company, {"seed": number}, f"{name}-{number}")
    outputs = {}
    while engine.has_unfinished():
        outputs |= {output.request_id: output for output in engine.step()}
    if setting.num_kv_blocks is not None and name == "long":
        assert any(output.metrics.num_preemptions for output in outputs.values())
    if setting.cached:
        assert outputs[name].num_cached_tokens == (TARGETS[name][0] - 1) // 32 * 32
    target = outputs[name].outputs[0]
    lines = [
        f"{token} {_digest(logits.tobytes())}"
        for token, logits in zip(target.token_ids, engine.logits[name], strict=True)
    ]
    return [*lines, _digest(repr(target.logprobs).encode()), target.text]


def _add(engine: Engine, length: int, sampling: dict[str, Any], request_id: str) -> None:
    n_vocab = engine.model.tokenizer.n_vocab
    prompt = np.random.default_rng(length).integers(3, min(n_vocab, 300), length).tolist()
    params = SamplingParams(
        max_tokens=NUM_OUTPUT_TOKENS, ignore_eos=True, output_kind=_FINAL, **sampling
    )
    engine.add(engine.make_request(None, prompt, params, request_id))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


__all__ = ["CONTEXT", "TARGETS", "RecordingEngine", "Setting", "fingerprints"]

if __name__ == "__main__":
    other = Setting(batch=2, chunk=64, threads=2, kv_type=sys.argv[2])
    json.dump(fingerprints(Path(sys.argv[1]), other), sys.stdout)
