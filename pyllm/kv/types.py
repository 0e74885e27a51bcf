"""The number types of cached keys and values, as llama.cpp and vLLM name them."""

from __future__ import annotations

from dataclasses import dataclass

from pyllm.errors import RequestError

__all__ = ["KV_TYPES", "KVTypes", "choose_kv_types"]

KV_TYPES = ("f16", "bf16", "q8_0", "q4_0")
_ALIASES = {"auto": "f16", "float16": "f16", "bfloat16": "bf16"}

PANEL_TOKENS = 16  # the pool keeps tokens in panels of one vector
GROUP = 32  # elements of a token that share a scale of 16 bits in q8_0 and q4_0
_BITS = {"f16": 16, "bf16": 16, "q8_0": 8, "q4_0": 4}


@dataclass(frozen=True, slots=True)
class KVTypes:
    """The types of keys and of values, each one of KV_TYPES."""

    keys: str = "f16"
    values: str = "f16"

    def __str__(self) -> str:
        return self.keys if self.keys == self.values else f"{self.keys},{self.values}"

    def panel_bytes(self, k_dim: int, v_dim: int) -> int:
        """Bytes of 16 tokens of one head: what the pool rounds up is counted."""
        # Two dimensions of a key share a byte in q4_0; values are padded to a vector or group.
        keys = _round_up(k_dim, 2 if self.keys == "q4_0" else 1)
        values = _round_up(v_dim, GROUP if self.values == "q4_0" else PANEL_TOKENS)
        bits = keys * _BITS[self.keys] + values * _BITS[self.values]
        scales = _scales(self.keys, k_dim) + _scales(self.values, v_dim)
        return PANEL_TOKENS * (bits // 8 + 2 * scales)


def choose_kv_types(both: str, keys: str | None = None, values: str | None = None) -> KVTypes:
    """The types of `both`, unless `keys` or `values` name their own; RequestError when unknown."""
    return KVTypes(
        _known("kv_cache_dtype", both) if keys is None else _known("cache_type_k", keys),
        _known("kv_cache_dtype", both) if values is None else _known("cache_type_v", values),
    )


def _known(field: str, name: str) -> str:
    known = _ALIASES.get(name, name) if isinstance(name, str) else name
    if known not in KV_TYPES:
        raise RequestError(field, name, f"must be one of auto, {', '.join(KV_TYPES)}")
    return known


def _scales(kind: str, dim: int) -> int:
    return -(-dim // GROUP) if kind in ("q8_0", "q4_0") else 0


def _round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
