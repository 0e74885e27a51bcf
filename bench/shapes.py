"""The shapes of well-known models, and which tensor gets which type in a quantised file.

A shape here is everything a GGUF says about a model except its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gguf import GGMLQuantizationType as Type

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Shape:
    """Hyper-parameters of one transformer, in GGUF's vocabulary."""

    architecture: str
    n_layers: int
    n_embd: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    n_ff: int
    n_vocab: int
    context_length: int
    tied: bool  # the output matrix is the embedding
    rope_base: float
    rms_eps: float = 1e-5
    rope_factors: bool = False  # Llama 3.1's long-context frequencies (rope_freqs.weight)
    n_experts: int = 0  # 0: dense
    n_experts_used: int = 0
    n_expert_ff: int = 0


SHAPES = {
    "tiny": Shape("llama", 2, 256, 4, 2, 64, 512, 512, 2048, True, 10_000.0),
    "llama1b": Shape("llama", 16, 2048, 32, 8, 64, 8192, 128_256, 131_072, True, 5e5, 1e-5, True),
    "llama3b": Shape("llama", 28, 3072, 24, 8, 128, 8192, 128_256, 131_072, True, 5e5, 1e-5, True),
    "llama8b": Shape(
        "llama", 32, 4096, 32, 8, 128, 14_336, 128_256, 131_072, False, 5e5, 1e-5, True
    ),
    "qwen3-0.6b": Shape("qwen3", 28, 1024, 16, 8, 128, 3072, 151_936, 40_960, True, 1e6, 1e-6),
    "tiny-qwen2": Shape("qwen2", 2, 256, 4, 2, 64, 512, 512, 2048, True, 1e6, 1e-6),
    "tiny-qwen3": Shape("qwen3", 2, 256, 4, 2, 128, 512, 512, 2048, True, 1e6, 1e-6),
    # Layers of Qwen3-30B-A3B, a quarter of them with half of the experts.
    "qwen3moe": Shape(
        "qwen3moe", 12, 2048, 32, 4, 128, 6144, 151_936, 40_960, False, 1e6, 1e-6,
        n_experts=64, n_experts_used=8, n_expert_ff=768,
    ),
    "tiny-qwen3moe": Shape(
        "qwen3moe", 2, 256, 4, 2, 128, 512, 512, 2048, True, 1e6, 1e-6,
        n_experts=8, n_experts_used=2, n_expert_ff=256,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class TensorSpec:
    """One tensor to write. rows == 0 marks a vector of `cols` floats, experts a stack of them."""

    name: str
    rows: int
    cols: int
    kind: str  # "matrix", "router", "norm", "bias" or "rope_factors"
    experts: int = 0  # matrices of rows x cols, one after the other; 0: not a stack


def tensors(s: Shape) -> Iterator[TensorSpec]:
    """Yields every tensor of a model of shape `s`, in the order it is written."""

    def matrix(name: str, rows: int, cols: int) -> TensorSpec:
        return TensorSpec(f"{name}.weight", rows, cols, "matrix")

    def norm(name: str, width: int) -> TensorSpec:
        return TensorSpec(f"{name}.weight", 0, width, "norm")

    q_width, kv_width = s.n_heads * s.head_dim, s.n_kv_heads * s.head_dim
    yield matrix("token_embd", s.n_vocab, s.n_embd)
    yield norm("output_norm", s.n_embd)
    if not s.tied:
        yield matrix("output", s.n_vocab, s.n_embd)
    if s.rope_factors:
        yield TensorSpec("rope_freqs.weight", 0, s.head_dim // 2, "rope_factors")
    for i in range(s.n_layers):
        b = f"blk.{i}"
        yield norm(f"{b}.attn_norm", s.n_embd)
        for name, rows in (("attn_q", q_width), ("attn_k", kv_width), ("attn_v", kv_width)):
            yield matrix(f"{b}.{name}", rows, s.n_embd)
            if s.architecture == "qwen2":
                yield TensorSpec(f"{b}.{name}.bias", 0, rows, "bias")
        if s.architecture in ("qwen3", "qwen3moe"):
            yield norm(f"{b}.attn_q_norm", s.head_dim)
            yield norm(f"{b}.attn_k_norm", s.head_dim)
        yield matrix(f"{b}.attn_output", s.n_embd, q_width)
        yield norm(f"{b}.ffn_norm", s.n_embd)
        if s.n_experts:
            yield from _experts(s, b)
        else:
            yield matrix(f"{b}.ffn_gate", s.n_ff, s.n_embd)
            yield matrix(f"{b}.ffn_up", s.n_ff, s.n_embd)
            yield matrix(f"{b}.ffn_down", s.n_embd, s.n_ff)


def _experts(s: Shape, block: str) -> Iterator[TensorSpec]:
    """The router, float32 as converters leave it, and the stacks of a layer."""
    yield TensorSpec(f"{block}.ffn_gate_inp.weight", s.n_experts, s.n_embd, "router")
    for name, rows, cols in (
        ("ffn_gate_exps", s.n_expert_ff, s.n_embd),
        ("ffn_up_exps", s.n_expert_ff, s.n_embd),
        ("ffn_down_exps", s.n_embd, s.n_expert_ff),
    ):
        yield TensorSpec(f"{block}.{name}.weight", rows, cols, "matrix", s.n_experts)


# name: (default type, type of the layers that get more bits, type of the output matrix)
MIXES = {
    "F32": (Type.F32, Type.F32, Type.F32),
    "F16": (Type.F16, Type.F16, Type.F16),
    "BF16": (Type.BF16, Type.BF16, Type.BF16),
    "Q8_0": (Type.Q8_0, Type.Q8_0, Type.Q8_0),
    "Q4_0": (Type.Q4_0, Type.Q4_0, Type.Q6_K),
    "Q4_K": (Type.Q4_K, Type.Q4_K, Type.Q4_K),
    "Q5_K": (Type.Q5_K, Type.Q5_K, Type.Q5_K),
    "Q6_K": (Type.Q6_K, Type.Q6_K, Type.Q6_K),
    "Q4_K_M": (Type.Q4_K, Type.Q6_K, Type.Q6_K),
    "Q5_K_M": (Type.Q5_K, Type.Q6_K, Type.Q6_K),
}


def tensor_type(mix: str, s: Shape, t: TensorSpec) -> Type:
    """The type that a file of this mix stores tensor `t` in."""
    if t.kind != "matrix":
        return Type.F32
    default, more, output = MIXES[mix]
    if t.name == "output.weight" or (t.name == "token_embd.weight" and s.tied):
        return output
    if t.name.endswith(("ffn_down.weight", "ffn_down_exps.weight", "attn_v.weight")):
        return more if _gets_more_bits(int(t.name.split(".")[1]), s.n_layers) else default
    return default


def _gets_more_bits(layer: int, n_layers: int) -> bool:
    """Half of the layers: the first and last eighth, and every third in between."""
    eighth = n_layers // 8
    return layer < eighth or layer >= 7 * n_layers // 8 or (layer - eighth) % 3 == 2
