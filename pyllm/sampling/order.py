"""Which samplers a request applies, and in which order: llama.cpp's names, one number for the core.

The number holds four bits for each sampler, the first one lowest (csrc/sampling/order.h); 0 is the
default order of a request that uses none of llama.cpp's own samplers.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyllm.errors import RequestError

__all__ = ["LLAMA_CPP_ORDER", "SAMPLER_NAMES", "canonical_names", "order_number"]

_NUMBERS = {
    "penalties": 1,
    "dry": 2,
    "top_n_sigma": 3,
    "top_k": 4,
    "typ_p": 5,
    "top_p": 6,
    "min_p": 7,
    "xtc": 8,
    "temperature": 9,
    "mirostat": 10,
    "mirostat_v2": 11,
}
# What `samplers` may name; mirostat is chosen by its own field.
SAMPLER_NAMES = tuple(_NUMBERS)[:9]
MAX_SAMPLERS = 16  # four bits each of 64

_ALIASES = {"nucleus": "top_p", "temp": "temperature", "typ": "typ_p", "typical_p": "typ_p"} | {
    spelling: name
    for name in SAMPLER_NAMES
    for spelling in (name, name.replace("_", "-"), name.replace("_", ""))
}

# vLLM's order for vLLM's samplers, llama.cpp's own where llama.cpp has them relative to top_k.
_DEFAULT = (
    "penalties", "dry", "temperature", "top_n_sigma", "min_p", "top_k", "typ_p", "top_p", "xtc",
)  # fmt: skip
# What `pyllm run` applies: who types llama.cpp's flags expects their effect there.
LLAMA_CPP_ORDER = (
    "penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature",
)  # fmt: skip
_MIROSTAT = {1: "mirostat", 2: "mirostat_v2"}


def canonical_names(samplers: object) -> tuple[str, ...]:
    """The samplers by their usual names; llama.cpp's aliases and its ";" are understood."""
    if isinstance(samplers, str):
        samplers = [name for name in samplers.split(";") if name]
    if not isinstance(samplers, list | tuple) or not samplers:
        raise RequestError("samplers", samplers, "must be a list of sampler names")
    if len(samplers) > MAX_SAMPLERS:
        raise RequestError("samplers", f"{len(samplers)} names", f"at most {MAX_SAMPLERS} names")
    names = []
    for name in samplers:
        known = _ALIASES.get(name.strip().lower()) if isinstance(name, str) else None
        if known is None:
            raise RequestError("samplers", name, f"known names are {', '.join(SAMPLER_NAMES)}")
        names.append(known)
    return tuple(names)


def order_number(samplers: Sequence[str] | None, mirostat: int, *, extended: bool) -> int:
    """The order as a number.

    samplers  canonical names, None for the default order
    mirostat  0, or the version that takes the place of every truncation, as in llama.cpp
    extended  whether the default order must visit llama.cpp's own samplers
    """
    if mirostat:
        return _packed(("penalties", "dry", "temperature", _MIROSTAT[mirostat]))
    if samplers is not None:
        return _packed(samplers)
    return _packed(_DEFAULT) if extended else 0


def _packed(names: Sequence[str]) -> int:
    return sum(_NUMBERS[name] << 4 * place for place, name in enumerate(names))
