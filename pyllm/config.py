"""ModelConfig: a model's hyper-parameters, read from GGUF metadata and validated once, here.

Everything later used as a divisor, a size or a loop bound has been range-checked by read_config.
Keys are documented in ggml's docs/gguf.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from pyllm.errors import UnsupportedModelError
from pyllm.gguf import GGUFFile
from pyllm.gguf.types import TENSOR_TYPES, runnable_type_names
from pyllm.hyperparameters import Hyperparameters

__all__ = ["ModelConfig", "read_config"]

_MAX_LAYERS: Final = 1_024
_MAX_WIDTH: Final = 1 << 20  # of the hidden state and of the vocabulary's rows
_MAX_FF: Final = 1 << 24
_MAX_EXPERTS: Final = 1_024
_MAX_HEADS: Final = 4_096
_MAX_HEAD_DIM: Final = 1_024
_MAX_CONTEXT: Final = (1 << 31) - 1  # positions are int32
_POOLING: Final = ("none", "mean", "cls", "last", "rank")  # numbered as in GGUF
_EMBEDDING: Final = "token_embd.weight"
_TOKENS: Final = "tokenizer.ggml.tokens"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Hyper-parameters of a decoder. Sizes are element counts."""

    architecture: str  # general.architecture: "llama", "qwen2", …
    name: str  # general.name, may be empty
    n_layers: int
    n_embd: int  # width of the hidden state
    n_vocab: int  # rows of token_embd
    n_ff: int  # width of the feed-forward layer
    n_experts: int  # feed-forward layers a token's router chooses from; 0: a dense model
    n_experts_used: int  # of them, 0 in a dense model
    n_expert_ff: int  # width of one of them
    n_shared_ff: int  # width of the one that sees every token; 0: there is none
    n_heads: int
    n_kv_heads: int  # divides n_heads
    head_dim: int  # of q and k
    v_dim: int  # of v
    context_length: int  # tokens the model was trained for
    rms_eps: float
    rope_dim: int  # even, ≤ head_dim; the dimensions behind it are not rotated
    rope_base: float
    rope_scaling_type: str  # "none" or "linear"
    rope_scale_factor: float  # positions are divided by it; 1.0 for "none"
    window: int = 0  # tokens that a token sees, itself included; 0: all before it
    pooling: str = "last"  # none, mean, cls, last, rank: how tokens' states become an embedding


def read_config(file: GGUFFile, architectures: Collection[str] | None = None) -> ModelConfig:
    """Reads and validates the hyper-parameters of `file`.

    architectures  names that can be built; None accepts any

    Raises ModelFileError for a missing, mistyped, impossible or contradictory value and
    UnsupportedModelError for a model that needs something pyllm does not do.
    """
    keys = Hyperparameters(file)
    if architectures is not None and keys.architecture not in architectures:
        limit = f"one of {', '.join(sorted(architectures))}"
        raise file.error(
            "general.architecture", keys.architecture, limit, "update pyllm", UnsupportedModelError
        )
    _refuse_unsupported(keys)
    n_layers = keys.integer("block_count", 1, _MAX_LAYERS)
    n_embd = keys.integer("embedding_length", 1, _MAX_WIDTH)
    n_heads = keys.same_in_all_layers("attention.head_count", n_layers, 1, _MAX_HEADS)
    n_kv_heads = keys.same_in_all_layers(
        "attention.head_count_kv", n_layers, 1, n_heads, default=n_heads
    )
    if n_heads % n_kv_heads:
        raise keys.error("attention.head_count_kv", n_kv_heads, f"a divisor of {n_heads} heads")
    head_dim = _head_dim(keys, "attention.key_length", n_embd, n_heads)
    scaling_type, scale_factor = _rope_scaling(keys)
    n_ff = keys.same_in_all_layers("feed_forward_length", n_layers, 1, _MAX_FF)
    n_experts, n_experts_used = _experts(keys, n_layers)
    config = ModelConfig(
        architecture=keys.architecture,
        name=file.get("general.name", str, ""),
        n_layers=n_layers,
        n_embd=n_embd,
        n_vocab=_check_embedding(file, n_embd),
        n_ff=n_ff,
        n_experts=n_experts,
        n_experts_used=n_experts_used,
        n_expert_ff=keys.integer("expert_feed_forward_length", 1, _MAX_FF, default=n_ff),
        n_shared_ff=keys.integer("expert_shared_feed_forward_length", 0, _MAX_FF, default=0),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=head_dim,
        v_dim=_head_dim(keys, "attention.value_length", n_embd, n_heads),
        context_length=keys.integer("context_length", 1, _MAX_CONTEXT),
        rms_eps=keys.number("attention.layer_norm_rms_epsilon", 1e-12, 0.1),
        rope_dim=_rope_dim(keys, head_dim),
        rope_base=keys.number("rope.freq_base", 1.0, 1e12, default=10_000.0),
        rope_scaling_type=scaling_type,
        rope_scale_factor=scale_factor,
        window=_window(keys),
        pooling=_pooling(keys),
    )
    _check_layers(keys, file, n_layers)
    _check_types(file)
    return config


# Keys that change the arithmetic in a way pyllm does not compute, and the value that does not.
_NEUTRAL: Final[tuple[tuple[str, float | bool], ...]] = (
    ("attention.causal", True),
    ("attention.scale", 0.0),
    ("attention.clamp_kqv", 0.0),
    ("attn_logit_softcapping", 0.0),
    ("final_logit_softcapping", 0.0),
    ("logit_scale", 1.0),
    ("embedding_scale", 1.0),
    ("residual_scale", 1.0),
    ("rope.scaling.attn_factor", 1.0),
    ("expert_gating_func", 1),  # softmax
    ("expert_group_count", 1),
    ("expert_weights_scale", 1.0),
)


def _refuse_unsupported(keys: Hyperparameters) -> None:
    for name, neutral in _NEUTRAL:
        value = keys.scalar(name)
        if value is not None and value != neutral:
            raise keys.unsupported(name, value, f"{neutral}, or no such key")


def _window(keys: Hyperparameters) -> int:
    window = keys.integer("attention.sliding_window", 1, _MAX_CONTEXT, default=0)
    if window >= keys.integer("context_length", 1, _MAX_CONTEXT):
        return 0
    if window and keys.architecture != "llama":  # Mistral; other families slide in some layers only
        raise keys.unsupported("attention.sliding_window", window, "the whole context")
    return window


def _pooling(keys: Hyperparameters) -> str:
    """A decoder that does not say: only its last token has seen the whole text."""
    number = keys.integer("pooling_type", 0, len(_POOLING) - 1, default=_POOLING.index("last"))
    return _POOLING[number]


def _experts(keys: Hyperparameters, n_layers: int) -> tuple[int, int]:
    """How many experts a layer has and how many of them a token uses."""
    count = keys.same_in_all_layers("expert_count", n_layers, 0, _MAX_EXPERTS, default=0)
    if count == 0:
        return 0, 0
    return count, keys.same_in_all_layers("expert_used_count", n_layers, 1, count)


def _head_dim(keys: Hyperparameters, name: str, n_embd: int, n_heads: int) -> int:
    dimension = keys.integer(name, 1, _MAX_HEAD_DIM, default=0)
    if dimension:
        return dimension
    if n_embd % n_heads or n_embd // n_heads > _MAX_HEAD_DIM:
        limit = f"a divisor of {n_embd} (embedding_length), heads of at most {_MAX_HEAD_DIM}"
        raise keys.error("attention.head_count", n_heads, limit)
    return n_embd // n_heads


def _rope_dim(keys: Hyperparameters, head_dim: int) -> int:
    rope_dim = keys.integer("rope.dimension_count", 2, head_dim, default=head_dim)
    if rope_dim % 2:
        raise keys.error("rope.dimension_count", rope_dim, "an even number")
    return rope_dim


def _rope_scaling(keys: Hyperparameters) -> tuple[str, float]:
    """Type and factor. Llama 3's scaling is not here: it is the tensor rope_freqs.weight."""
    old_factor = keys.number("rope.scale_linear", 0.01, 1e6, default=1.0)
    factor = keys.number("rope.scaling.factor", 0.01, 1e6, default=old_factor)
    kind = keys.text("rope.scaling.type", "linear" if factor != 1.0 else "none")
    if kind not in ("none", "linear"):
        raise keys.unsupported("rope.scaling.type", kind, "none or linear")
    return kind, factor if kind == "linear" else 1.0


def _check_embedding(file: GGUFFile, n_embd: int) -> int:
    """The vocabulary's size, which is the embedding's number of rows."""
    info = file.tensors.get(_EMBEDDING)
    if info is None:
        raise file.tensor_error(_EMBEDDING, "missing", None, "a model has this tensor", "")
    if len(info.shape) != 2 or info.shape[0] != n_embd or not 1 <= info.shape[1] < 1 << 31:
        limit = f"rows of {n_embd} (embedding_length), at least one row"
        raise file.tensor_error(_EMBEDDING, "dimensions", info.shape, limit)
    n_vocab = info.shape[1]
    if _TOKENS in file.metadata and file.metadata.length(_TOKENS) != n_vocab:
        limit = f"{n_vocab} tokens, one for each row of {_EMBEDDING}"
        raise file.error(_TOKENS, file.metadata.length(_TOKENS), limit)
    return n_vocab


def _check_layers(keys: Hyperparameters, file: GGUFFile, n_layers: int) -> None:
    """Each of the n_layers blocks must have tensors, and no other block may."""
    names = (name.split(".", 2) for name in file.tensors if name.startswith("blk."))
    found = {parts[1] for parts in names}
    expected = {str(index) for index in range(n_layers)}
    if found != expected:
        odd = min(found ^ expected, key=lambda text: (len(text), text))
        which = "missing" if odd in expected else "not counted"
        limit = f"the {len(found)} blocks in the file (tensors blk.{odd}.* are {which})"
        raise keys.error("block_count", n_layers, limit)


def _check_types(file: GGUFFile) -> None:
    for info in file.tensors.values():
        if not TENSOR_TYPES[info.type].runnable:
            raise file.tensor_error(
                info.name,
                "type",
                info.type_name,
                runnable_type_names(),
                "quantize the model to one of these",
                UnsupportedModelError,
            )
        if 0 in info.shape:
            raise file.tensor_error(info.name, "dimensions", info.shape, "sizes of at least 1")
