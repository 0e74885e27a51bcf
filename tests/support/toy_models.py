"""Random weights for every architecture at sizes that are odd on purpose."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from pyllm.architectures import builders
from pyllm.graph.graph import Graph, Op
from pyllm.graph.weights import Weights
from tests.support.toy_file import ToyFile

Arrays = dict[str, npt.NDArray[Any]]


def toy_config(architecture: str = "llama", **changes: Any) -> Any:
    """The fields of a ModelConfig that builders read; head_dim x n_heads differs from n_embd."""
    fields: dict[str, Any] = {
        "architecture": architecture, "n_layers": 2, "n_embd": 24, "n_heads": 6, "n_kv_heads": 3,
        "head_dim": 10, "v_dim": 10, "n_ff": 37, "n_vocab": 43, "context_length": 128,
        "rms_eps": 1e-5, "rope_dim": 10, "rope_base": 1e4, "rope_scale_factor": 1.0,
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def toy_arrays(c: Any, *, biases: bool = False, tied: bool = False, seed: int = 0) -> Arrays:
    """Random float32 tensors with the names and shapes the architecture of `c` asks for."""
    rng = np.random.default_rng(seed)

    def matrix(rows: int, cols: int) -> npt.NDArray[np.float32]:
        return (rng.standard_normal((rows, cols)) / np.sqrt(cols)).astype(np.float32)

    def vector(n: int, centre: float = 1.0) -> npt.NDArray[np.float32]:
        return (centre + 0.2 * rng.standard_normal(n)).astype(np.float32)

    q, k, v = c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim, c.n_kv_heads * c.v_dim
    arrays: Arrays = {"token_embd.weight": matrix(c.n_vocab, c.n_embd)}
    for layer in range(c.n_layers):
        shapes = {
            "attn_q": (q, c.n_embd), "attn_k": (k, c.n_embd), "attn_v": (v, c.n_embd),
            "attn_output": (c.n_embd, c.n_heads * c.v_dim), "ffn_gate": (c.n_ff, c.n_embd),
            "ffn_up": (c.n_ff, c.n_embd), "ffn_down": (c.n_embd, c.n_ff),
        }  # fmt: skip
        biased = set(shapes) if biases else set()
        if c.architecture == "qwen2":
            biased |= {"attn_q", "attn_k", "attn_v"}
        for name, shape in shapes.items():
            arrays[f"blk.{layer}.{name}.weight"] = matrix(*shape)
            if name in biased:
                arrays[f"blk.{layer}.{name}.bias"] = vector(shape[0], 0.0)
        for name in ("attn_norm", "ffn_norm"):
            arrays[f"blk.{layer}.{name}.weight"] = vector(c.n_embd)
        if c.architecture == "qwen3":
            for name in ("attn_q_norm", "attn_k_norm"):
                arrays[f"blk.{layer}.{name}.weight"] = vector(c.head_dim)
    arrays["output_norm.weight"] = vector(c.n_embd)
    if not tied:
        arrays["output.weight"] = matrix(c.n_vocab, c.n_embd)
    return arrays


def record(c: Any, arrays: Arrays, ggml_type: int | None = None) -> tuple[list[Op], ToyFile]:
    """Record the model, matrices quantised to `ggml_type`; every tensor must have been read."""
    graph, file = Graph(), ToyFile(arrays)
    if ggml_type is not None:
        file = file.quantised(ggml_type)
    weights = Weights(file)
    builders()[c.architecture](graph, c, weights)
    weights.require_all_used()
    return graph.ops, file
