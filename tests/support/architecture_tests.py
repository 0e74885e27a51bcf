"""What every architecture must show on its reference models; test files parametrise these."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from pyllm.architectures import builders
from pyllm.config import read_config
from pyllm.gguf import GGUFFile
from pyllm.graph.graph import Graph
from pyllm.graph.reference import Interpreter
from pyllm.graph.weights import Weights
from pyllm.loader import Model, load_model
from tests.support import reference_models

TOLERANCE = 1e-3  # for f16 keys and values; logits have a standard deviation of about 0.16


def reference_logits(name: str, chunk: int) -> npt.NDArray[np.float32]:
    """Logits by the NumPy interpreter of the recorded, unfused program."""
    with GGUFFile.open(reference_models.model_path(name)) as file:
        config, graph, weights = read_config(file), Graph(), Weights(file)
        builders()[config.architecture](graph, config, weights)
        weights.require_all_used()
        interpreter = Interpreter(graph.ops, reference_models.values)
        return interpreter.logits(reference_models.expected(name).tokens, chunk)


def core_logits(model: Model, tokens: list[int], chunk: int) -> npt.NDArray[np.float32]:
    """Logits of every position by the C++ program, `chunk` tokens a step, as sequence 0."""
    columns = model.program.columns
    n_blocks = -(-len(tokens) // model.block_size)
    columns["block_tables"][0, :n_blocks] = range(n_blocks)
    parts = []
    for start in range(0, len(tokens), chunk):
        part = tokens[start : start + chunk]
        n = len(part)
        columns["tokens"][:n] = part
        columns["positions"][:n] = range(start, start + n)
        columns["seq_starts"][:2] = (0, n)
        columns["logit_rows"][:n] = range(n)
        model.program.step(n, 1, n)
        parts.append(columns["logits"][:n].copy())
    return np.concatenate(parts)


def load_for_logits(path: Path, threads: int = 2) -> Model:
    """A model that gives logits for all 64 rows of a step."""
    return load_model(path, num_threads=threads, max_num_seqs=64, max_num_batched_tokens=64)


def check_reference(name: str, chunk: int) -> None:
    expected = reference_models.expected(name)
    np.testing.assert_allclose(reference_logits(name, chunk), expected.logits, atol=2e-5, rtol=0)


def check_core(name: str, chunk: int, kind: gguf.GGMLQuantizationType, folder: Path) -> None:
    """The C++ program on the F16 file, or on an F32 copy of it."""
    path = reference_models.model_path(name)
    if kind != gguf.GGMLQuantizationType.F16:
        path = reference_models.write_copy(name, folder / "model.gguf", matrices=kind)
    expected = reference_models.expected(name)
    model = load_for_logits(path)
    logits = core_logits(model, expected.tokens, chunk)
    np.testing.assert_allclose(logits, expected.logits, atol=TOLERANCE, rtol=0)
    model.close()
