"""How far quantised logits are from exact: pyllm and llama.cpp on the same files.

    python bench/accuracy.py --peer-python ~/peer/bin/python

Exact means the weights as the file stores them, dequantised, and everything else in float64
(pyllm/graph/reference.py). What is left is the engine's own error: activations rounded to int8,
an f16 cache, float32 sums. The peer is measured with each of its settings; the table quotes its
best. Each row is a mean over several random models, because one alone varies by a few percent.
Writes a markdown table.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGUFReader, dequantize

from make_model import write_model
from pyllm.architectures import builders
from pyllm.config import read_config
from pyllm.gguf import GGUFFile
from pyllm.graph.reference import Interpreter
from pyllm.graph.weights import Weight
from pyllm.loader import load_model, record
from shapes import SHAPES, Shape

Logits = npt.NDArray[Any]  # [tokens, vocabulary]
Errors = tuple[float, ...]  # RMS in percent, largest, mean KL divergence

FAMILIES = ("tiny", "tiny-qwen2", "tiny-qwen3")
TYPES = ("Q8_0", "Q4_0", "Q4_K", "Q5_K", "Q6_K")
PEER_SETTINGS = ((0, 0), (0, 1), (1, 0), (1, 1))  # (repack, flash attention)
N_TOKENS = 64


def exact_logits(path: Path, tokens: list[int]) -> Logits:
    """Float64 throughout, from the weights the file holds."""
    values = {t.name: dequantize(t.data, t.tensor_type) for t in GGUFReader(path).tensors}

    def weight_values(weight: Weight) -> npt.NDArray[Any]:
        return np.asarray(values[weight.name]).reshape(weight.shape)

    with GGUFFile.open(path) as file:
        ops = record(file, read_config(file, builders()))
        return Interpreter(ops, weight_values, np.float64).logits(tokens)


def our_logits(path: Path, tokens: list[int]) -> Logits:
    """All positions in one step."""
    n = len(tokens)
    model = load_model(path, num_threads=2, max_model_len=n, max_num_seqs=n)
    columns = model.program.columns
    columns["tokens"][:n] = tokens
    columns["positions"][:n] = columns["logit_rows"][:n] = np.arange(n)
    columns["seq_starts"][:2] = 0, n
    columns["block_tables"][0] = np.arange(columns["block_tables"].shape[1]) % model.num_kv_blocks
    columns["temperature"][:n] = 0.0
    columns["repetition_penalty"][:n] = columns["top_p"][:n] = 1.0
    columns["n_logprobs"][:n] = -1
    model.program.step(n, 1, n)
    logits = columns["logits"][:n].copy()
    model.close()
    return logits


def peer_logits(python: str, path: Path, tokens: list[int], setting: tuple[int, int]) -> Logits:
    """Raises CalledProcessError where the peer cannot run with this setting."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "logits.npy"
        script = str(Path(__file__).with_name("peer_logits.py"))
        arguments = [str(path), str(out), *map(str, setting), ",".join(map(str, tokens))]
        subprocess.run([python, script, *arguments], check=True, capture_output=True)
        return np.asarray(np.load(out))


def errors(exact: Logits, measured: Logits) -> Errors:
    """(RMS error in percent of the RMS of the exact logits, largest error, mean KL in nats)."""
    difference = measured.astype(np.float64) - exact
    rms = float(np.sqrt((difference**2).mean() / (exact**2).mean()))
    p, q = _log_softmax(exact), _log_softmax(measured.astype(np.float64))
    divergence = float((np.exp(p) * (p - q)).sum(-1).mean())
    return 100 * rms, float(np.abs(difference).max()), divergence


def _log_softmax(x: Logits) -> Logits:
    shifted = x - x.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def measure(shape: Shape, mix: str, seed: int, python: str) -> dict[str, Errors]:
    """Errors of both engines on one random model; a setting that cannot run is left out."""
    tokens = np.random.default_rng(seed).integers(0, 1000, N_TOKENS).tolist()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        write_model(path, shape, mix, seed=seed, encode=True)
        exact = exact_logits(path, tokens)
        found = {"pyllm": errors(exact, our_logits(path, tokens))}
        for setting in PEER_SETTINGS:
            with contextlib.suppress(subprocess.CalledProcessError):
                found[f"llama.cpp {setting}"] = errors(
                    exact, peer_logits(python, path, tokens, setting)
                )
    return found


def mean(runs: list[dict[str, Errors]]) -> tuple[Errors, Errors]:
    """Averages over the models: ours, and those of the peer's setting with the smallest RMS."""
    averages = {
        name: tuple(float(x) for x in np.mean([run[name] for run in runs], 0)) for name in runs[0]
    }
    ours = averages.pop("pyllm")
    return ours, min(averages.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer-python", required=True, help="interpreter with llama-cpp-python")
    parser.add_argument("--models", type=int, default=8, help="random models per row")
    args = parser.parse_args()
    print("| model | type | RMS % | llama.cpp | max | llama.cpp | KL (nats) | llama.cpp |")
    print("|---|---|---|---|---|---|---|---|")
    for family in FAMILIES:
        shape = replace(SHAPES[family], n_layers=4, n_embd=512, n_heads=8, n_ff=1024, n_vocab=1024)
        for mix in TYPES:
            runs = [measure(shape, mix, seed, args.peer_python) for seed in range(args.models)]
            ours, theirs = mean(runs)
            pairs = zip(("{:.3f}", "{:.4f}", "{:.2e}"), ours, theirs, strict=True)
            cells = [f"{f.format(a)} | {f.format(b)}" for f, a, b in pairs]
            print(f"| {shape.architecture} | {mix} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
