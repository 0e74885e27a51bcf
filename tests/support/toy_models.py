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
        "window": 0,
        "n_experts": 0, "n_experts_used": 0, "n_expert_ff": 0, "n_shared_ff": 0,
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def toy_experts(architecture: str, **changes: Any) -> Any:
    """A toy_config with experts."""
    fields = {"n_experts": 7, "n_experts_used": 3, "n_expert_ff": 21}
    if architecture == "qwen2moe":
        fields["n_shared_ff"] = 19
    return toy_config(architecture, **{**fields, **changes})


def toy_arrays(c: Any, *, biases: bool = False, tied: bool = False, seed: int = 0) -> Arrays:
    """Random float32 tensors with the names and shapes the architecture of `c` asks for."""
    rng = np.random.default_rng(seed)

    def matrix(*shape: int) -> npt.NDArray[np.float32]:
        return (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    def vector(n: int, centre: float = 1.0) -> npt.NDArray[np.float32]:
        return (centre + 0.2 * rng.standard_normal(n)).astype(np.float32)

    q, k, v = c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim, c.n_kv_heads * c.v_dim
    arrays: Arrays = {"token_embd.weight": matrix(c.n_vocab, c.n_embd)}
    for layer in range(c.n_layers):
        shapes = {
            "attn_q": (q, c.n_embd), "attn_k": (k, c.n_embd), "attn_v": (v, c.n_embd),
            "attn_output": (c.n_embd, c.n_heads * c.v_dim), **_feed_forward(c),
        }  # fmt: skip
        biased = set(shapes) if biases else set()
        if c.architecture in ("qwen2", "qwen2moe"):
            biased |= {"attn_q", "attn_k", "attn_v"}
        for name, shape in shapes.items():
            arrays[f"blk.{layer}.{name}.weight"] = matrix(*shape)
            if name in biased:
                arrays[f"blk.{layer}.{name}.bias"] = vector(shape[0], 0.0)
        for name in ("attn_norm", "ffn_norm"):
            arrays[f"blk.{layer}.{name}.weight"] = vector(c.n_embd)
        if c.n_shared_ff:
            arrays[f"blk.{layer}.ffn_gate_inp_shexp.weight"] = vector(c.n_embd, 0.0)
        if c.architecture in ("qwen3", "qwen3moe"):
            for name in ("attn_q_norm", "attn_k_norm"):
                arrays[f"blk.{layer}.{name}.weight"] = vector(c.head_dim)
    arrays["output_norm.weight"] = vector(c.n_embd)
    if not tied:
        arrays["output.weight"] = matrix(c.n_vocab, c.n_embd)
    return arrays


def _feed_forward(c: Any) -> dict[str, tuple[int, ...]]:
    if not c.n_experts:
        return _gated("", c.n_embd, c.n_ff)
    shapes = {
        "ffn_gate_inp": (c.n_experts, c.n_embd),
        **_gated("_exps", c.n_embd, c.n_expert_ff, c.n_experts),
    }
    return shapes | _gated("_shexp", c.n_embd, c.n_shared_ff) if c.n_shared_ff else shapes


def _gated(suffix: str, n_embd: int, n_ff: int, *stack: int) -> dict[str, tuple[int, ...]]:
    return {
        f"ffn_gate{suffix}": (*stack, n_ff, n_embd),
        f"ffn_up{suffix}": (*stack, n_ff, n_embd),
        f"ffn_down{suffix}": (*stack, n_embd, n_ff),
    }


def record(c: Any, arrays: Arrays, ggml_type: int | None = None) -> tuple[list[Op], ToyFile]:
    """Record the model, matrices quantised to `ggml_type`; every tensor must have been read."""
    graph, file = Graph(), ToyFile(arrays)
    if ggml_type is not None:
        file = file.quantised(ggml_type)
    weights = Weights(file)
    builders()[c.architecture](graph, c, weights)
    weights.require_all_used()
    return graph.ops, file
