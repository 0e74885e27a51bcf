"""The shapes of well-known models, and which tensor gets which type in a quantised file.

A shape here is everything a GGUF says about a model except its weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gguf import GGML_QUANT_SIZES
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
    "stories15m": Shape("llama", 6, 288, 6, 6, 48, 768, 32_000, 2048, True, 10_000.0),
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


Layers = Callable[[Shape, int], bool]  # which layers of a model a rule is about


def _all(_: Shape, __: int) -> bool:
    return True


def _first(part: int) -> Layers:
    """The first 1/part of the layers."""
    return lambda s, layer: layer < s.n_layers // part


def _first_two(_: Shape, layer: int) -> bool:
    return layer < 2


def _more_bits(s: Shape, layer: int) -> bool:
    """Half of the layers: the first and last eighth, and every third in between."""
    eighth = s.n_layers // 8
    return layer < eighth or layer >= 7 * s.n_layers // 8 or (layer - eighth) % 3 == 2


def _shared_heads(s: Shape, _: int) -> bool:
    """Four or more query heads to a KV head: the values are small then, and get more bits."""
    return s.n_heads >= 4 * s.n_kv_heads


@dataclass(frozen=True)
class Mix:
    """Which type each matrix has. Of several rules for a matrix the first that applies counts."""

    default: Type
    output: Type  # also of a tied embedding
    rules: tuple[tuple[str, Layers, Type], ...] = ()  # (matrix, layers, type)
    embedding: Type | None = None  # None: the default


def _low(default: Type, embedding: Type, attn_output: Type | None = None) -> Mix:
    """The IQ1 and IQ2 mixes: the embedding's type also where more bits are needed most."""
    rules: list[tuple[str, Layers, Type]] = [
        ("attn_v", _shared_heads, Type.Q4_K),
        ("attn_v", _all, embedding),
        ("ffn_down", _first(8), embedding),
    ]
    if attn_output is not None:
        rules.append(("attn_output", _all, attn_output))
    return Mix(default, Type.Q5_K, tuple(rules), embedding)


_MORE_Q6_K = (("attn_v", _more_bits, Type.Q6_K), ("ffn_down", _more_bits, Type.Q6_K))
_IQ4_RULES = (("attn_v", _shared_heads, Type.Q5_K), ("ffn_down", _first(8), Type.Q5_K))

# A type's own name: every matrix has it, to show its kernel. The rest is what llama.cpp's quantize
# chooses without an importance matrix for dense Llama-like models (llama_tensor_get_type), so Q2_K
# and IQ4_XS are mixes too.
MIXES = {
    **{t.name: Mix(t, t) for t in (Type.F32, Type.F16, Type.BF16, Type.Q8_0)},
    **{t.name: Mix(t, t) for t in (Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K)},
    "Q4_0": Mix(Type.Q4_0, Type.Q6_K),
    "Q4_1": Mix(Type.Q4_1, Type.Q6_K),
    "Q5_0": Mix(Type.Q5_0, Type.Q6_K),
    "Q5_1": Mix(Type.Q5_1, Type.Q6_K),
    "Q2_K": Mix(
        Type.Q2_K,
        Type.Q6_K,
        (
            ("attn_v", _shared_heads, Type.Q4_K),
            ("attn_v", _all, Type.Q3_K),
            ("attn_output", _all, Type.Q3_K),
            ("ffn_down", _all, Type.Q3_K),
        ),
    ),
    "Q3_K_S": Mix(Type.Q3_K, Type.Q6_K),
    "Q3_K_M": Mix(
        Type.Q3_K,
        Type.Q6_K,
        (
            ("attn_v", _first_two, Type.Q5_K),
            ("attn_v", _all, Type.Q4_K),
            ("attn_output", _all, Type.Q4_K),
            ("ffn_down", _first(16), Type.Q5_K),
            ("ffn_down", _all, Type.Q4_K),
        ),
    ),
    "Q4_K_M": Mix(Type.Q4_K, Type.Q6_K, _MORE_Q6_K),
    "Q5_K_M": Mix(Type.Q5_K, Type.Q6_K, _MORE_Q6_K),
    "IQ4_NL": Mix(Type.IQ4_NL, Type.Q6_K, _IQ4_RULES),
    "IQ4_XS": Mix(Type.IQ4_XS, Type.Q6_K, _IQ4_RULES),
    "MXFP4": Mix(Type.MXFP4, Type.Q8_0, embedding=Type.Q8_0),
    "NVFP4": Mix(Type.NVFP4, Type.Q8_0, embedding=Type.Q8_0),
    "IQ3_S": Mix(Type.IQ3_S, Type.Q6_K, (("attn_v", _shared_heads, Type.Q4_K),)),
    "IQ3_XXS": Mix(
        Type.IQ3_XXS,
        Type.Q5_K,
        (
            ("attn_v", _shared_heads, Type.Q4_K),
            ("attn_v", _all, Type.IQ3_S),
            ("attn_q", _all, Type.IQ2_S),
            ("attn_k", _all, Type.IQ2_S),
            ("attn_output", _all, Type.IQ3_S),
            ("ffn_down", _first(8), Type.Q4_K),
            ("ffn_down", _all, Type.Q3_K),
        ),
        embedding=Type.IQ3_S,
    ),
    "IQ2_M": _low(Type.IQ2_S, Type.IQ3_S, Type.IQ3_S),
    "IQ2_XS": _low(Type.IQ2_XS, Type.Q2_K),
    "IQ2_XXS": _low(Type.IQ2_XXS, Type.Q2_K),
    "IQ1_M": _low(Type.IQ1_M, Type.Q2_K, Type.IQ2_XXS),
    "IQ1_S": _low(Type.IQ1_S, Type.Q2_K, Type.IQ2_XXS),
    "TQ1_0": Mix(Type.TQ1_0, Type.Q6_K, embedding=Type.Q4_K),
    "TQ2_0": Mix(Type.TQ2_0, Type.Q6_K, embedding=Type.Q4_K),
    "Q1_0": Mix(Type.Q1_0, Type.Q6_K),
}

# What quantize falls back to when a row is not whole blocks; IQ and Q2 to Q3 types: IQ4_NL.
_FALLBACK = {
    Type.Q4_K: Type.Q5_0,
    Type.Q5_K: Type.Q5_1,
    Type.Q6_K: Type.Q8_0,
    Type.Q1_0: Type.Q4_0,
}


def tensor_type(mix: str, s: Shape, t: TensorSpec) -> Type:
    """The type that a file of this mix stores tensor `t` in."""
    if t.kind != "matrix":
        return Type.F32
    wanted = _wanted(MIXES[mix], s, t.name)
    elems, _ = GGML_QUANT_SIZES[wanted]
    return wanted if t.cols % elems == 0 else _FALLBACK.get(wanted, Type.IQ4_NL)


def _wanted(mix: Mix, s: Shape, name: str) -> Type:
    if name == "output.weight" or (name == "token_embd.weight" and s.tied):
        return mix.output
    if name == "token_embd.weight":
        return mix.embedding or mix.default
    _, layer, matrix, *_ = name.split(".")
    for rule_matrix, layers, wanted in mix.rules:
        if matrix.removesuffix("_exps") == rule_matrix and layers(s, int(layer)):
            return wanted
    return mix.default
