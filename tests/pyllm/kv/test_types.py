"""Names of KV types, and their sizes as the core has them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from pyllm import _core
from pyllm.errors import RequestError
from pyllm.kv.types import KV_TYPES, KVTypes, choose_kv_types


@pytest.mark.parametrize("dims", [(64, 64), (80, 96), (100, 128), (5, 3), (33, 17)])
@pytest.mark.parametrize(("keys", "values"), list(itertools.product(KV_TYPES, KV_TYPES)))
def test_sizes_are_those_of_the_pool(keys: str, values: str, dims: tuple[int, int]) -> None:
    pool = _core.KVPool(2, 3, *dims, 32, 5, keys, values)
    assert pool.nbytes == 2 * 3 * 2 * 5 * KVTypes(keys, values).panel_bytes(*dims)


def test_one_name_or_one_each() -> None:
    assert choose_kv_types("auto") == KVTypes("f16", "f16")
    assert choose_kv_types("bfloat16") == KVTypes("bf16", "bf16")
    assert choose_kv_types("q8_0", values="q4_0") == KVTypes("q8_0", "q4_0")
    assert choose_kv_types("auto", keys="q8_0") == KVTypes("q8_0", "f16")
    assert [str(KVTypes("q8_0", kind)) for kind in ("q8_0", "f16")] == ["q8_0", "q8_0,f16"]


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("kv_cache_dtype", ("fp8",)),
        ("kv_cache_dtype", (8,)),
        ("cache_type_k", ("f16", "q5_1")),
        ("cache_type_v", ("f16", None, "Q8_0")),
    ],
)
def test_unknown_names_are_refused(field: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(RequestError, match=f"{field}.*must be one of auto, f16, bf16, q8_0, q4_0"):
        choose_kv_types(*arguments)
