"""Names of samplers and the number the core reads."""

import pytest

from pyllm.errors import RequestError
from pyllm.sampling.order import SAMPLER_NAMES, canonical_names, order_number


def test_names_and_aliases_of_llama_cpp():
    names = canonical_names("top-k;typ;topp;temp;minp;nucleus;XTC;dry;penalties;top_n_sigma")
    assert names == (
        "top_k", "typ_p", "top_p", "temperature", "min_p", "top_p", "xtc", "dry", "penalties",
        "top_n_sigma",
    )  # fmt: skip
    assert canonical_names(list(SAMPLER_NAMES)) == SAMPLER_NAMES


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(RequestError, match=r"samplers: 'adaptive_p': known names are penalties, "):
        canonical_names(["adaptive_p"])


def test_the_number_holds_four_bits_each():
    assert order_number(("top_k", "temperature"), 0, extended=False) == 0x94
    assert order_number(None, 0, extended=False) == 0
    assert order_number(None, 0, extended=True) == 0x865473921
    assert order_number(None, 2, extended=True) == 0xB921
