"""Hostile and odd vocabularies: each gives a typed error that names the key, or loads."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from pyllm.errors import ModelFileError, UnsupportedModelError
from pyllm.tokenizer import Tokenizer
from tests.pyllm.tokenizer.files import CONTROL, NORMAL, USER_DEFINED, FakeFile, bpe_file, spm_file

PREFIX = "tokenizer.ggml."


def build(file: FakeFile) -> Tokenizer:
    return Tokenizer.from_gguf(file)  # type: ignore[arg-type]


def small(**keys: Any) -> FakeFile:
    return spm_file({"▁": -1.0, "a": -2.0, "▁a": -0.5}, **keys)


def test_the_small_vocabulary_is_sound() -> None:
    tokenizer = build(small())
    assert tokenizer.encode("a") == [1, 261]
    assert (tokenizer.name, tokenizer.n_vocab, tokenizer.bos_id, tokenizer.eos_id) == (
        *("SPM", 262),
        *(1, 2),
    )


def with_tokens(**replaced: Any) -> FakeFile:
    file = small()
    tokens = file.metadata[PREFIX + "tokens"]
    for at, text in replaced.items():
        tokens[int(at[1:])] = text
    return file


BAD_KEYS: dict[str, dict[str, Any]] = {
    "C-01 no tokens": {"tokens": None},
    "C-01 tokens are numbers": {"tokens": np.zeros(4, np.float32)},
    "C-01 tokens are one string": {"tokens": "abc"},
    "C-01 an empty array": {"tokens": []},
    "C-03 no scores": {"scores": None},
    "C-03 too few scores": {"scores": np.zeros(261, np.float32)},
    "C-03 scores are integers": {"scores": np.zeros(262, np.int32)},
    "C-03 NaN": {"scores": np.full(262, np.nan, np.float32)},
    "C-04 too many types": {"token_type": np.ones(263, np.int32)},
    "C-04 type 99": {"token_type": np.full(262, 99, np.int32)},
    "C-04 type -1": {"token_type": np.full(262, -1, np.int32)},
    "C-04 huge unsigned types": {"token_type": np.full(262, 2**63, np.uint64)},
    "C-04 types are floats": {"token_type": np.ones(262, np.float32)},
    "C-06 all tokens identical": {"tokens": ["a"] * 262},
    "C-14 the template is a number": {"tokenizer.chat_template": 7},
    "C-14 the template is a list": {"tokenizer.chat_template": ["x"]},
    "a switch that is a number": {"add_bos_token": 1},
}


@pytest.mark.parametrize("name", list(BAD_KEYS))
def test_a_malformed_key_is_refused_at_once(name: str) -> None:
    file = small()
    for key, value in BAD_KEYS[name].items():
        full = key if "." in key else PREFIX + key
        if value is None:
            del file.metadata[full]
        else:
            file.metadata[full] = value
    start = time.thread_time()
    with pytest.raises(ModelFileError) as caught:
        build(file)
    assert time.thread_time() - start < 0.2
    key = next(iter(BAD_KEYS[name]))
    assert key in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("role", ["bos", "eos", "eot", "eom", "unknown", "padding", "seperator"])
@pytest.mark.parametrize("value", [-1, 262, 2**31, 2**32, 1.0, True, "1"])
def test_c07_an_id_outside_the_vocabulary_is_refused(role: str, value: object) -> None:
    with pytest.raises(ModelFileError, match=f"{role}_token_id"):
        build(small(**{f"{role}_token_id": value}))


@pytest.mark.parametrize("role", ["bos", "eos", "eot", "unknown"])
def test_c07_minus_one_as_uint32_is_no_id_where_an_id_matters(role: str) -> None:
    with pytest.raises(ModelFileError, match=f"{role}_token_id"):
        build(small(**{f"{role}_token_id": 2**32 - 1}))


@pytest.mark.parametrize("role", ["padding", "seperator", "cls", "mask"])
def test_minus_one_as_uint32_means_no_padding(role: str) -> None:
    assert build(small(**{f"{role}_token_id": 2**32 - 1})).encode("a") == [1, 261]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("x" * 2049, "at most 2048 characters"),
        ("x" * (1 << 20), "at most 2048 characters"),
        ("\udcff", "UTF-8"),
        ("a\0b", "NUL"),
        ("\x1b[2J\udc80", "UTF-8"),
        ("a", "distinct"),
    ],
    ids=["long", "1 MiB", "not UTF-8", "NUL", "escape", "twice"],
)
def test_c05_c11_a_token_that_is_no_text_is_refused(text: str, match: str) -> None:
    with pytest.raises(ModelFileError, match=match) as caught:
        build(with_tokens(t5=text))
    assert caught.value.field.startswith(PREFIX + "tokens[")
    assert "\x1b" not in str(caught.value)


def test_c05_empty_tokens_are_never_produced() -> None:
    file = spm_file({"▁": -1.0, "a": -2.0, "": -3.0, "b": -4.0})
    file.metadata[PREFIX + "tokens"].append("")
    file.metadata[PREFIX + "scores"] = np.zeros(264, np.float32)
    file.metadata[PREFIX + "token_type"] = np.append(file.metadata[PREFIX + "token_type"], CONTROL)
    tokenizer = build(file)
    ids = tokenizer.encode("a b", parse_special=True)
    assert 261 not in ids
    assert 263 not in ids
    assert tokenizer.token_bytes(261) == b""


@pytest.mark.parametrize("model", ["bert", "t5", "rwkv", "", "LLAMA", "\x1b[2J"])
def test_c10_an_unknown_kind_says_which_are_known(model: str) -> None:
    with pytest.raises(UnsupportedModelError, match='"llama", "gpt2"') as caught:
        build(small(model=model))
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("model", [7, ["llama"]])
def test_c10_a_kind_that_is_no_text_is_refused(model: object) -> None:
    with pytest.raises(ModelFileError, match=r"tokenizer\.ggml\.model"):
        build(small(model=model))


def test_a_missing_kind_is_refused() -> None:
    file = small()
    del file.metadata[PREFIX + "model"]
    with pytest.raises(ModelFileError, match=r"tokenizer\.ggml\.model: the key is missing"):
        build(file)


# ---- what the file says and what follows from it ----


def test_ends_of_generation_are_ids_with_a_role_and_texts_that_say_so() -> None:
    extra = {"<|im_end|>": NORMAL, "<|eot_id|>": CONTROL, "<|end|>": USER_DEFINED, "<end>": CONTROL}
    tokenizer = build(bpe_file([], extra=extra, eot_token_id=259))
    assert tokenizer.eog_ids == {256, 257, 258, 259}
    assert all(tokenizer.is_special(token) for token in range(256, 260))


def test_end_closes_only_a_message_where_return_and_call_exist() -> None:
    extra = {"<|return|>": CONTROL, "<|call|>": CONTROL, "<|end|>": CONTROL}
    assert build(bpe_file([], extra=extra)).eog_ids == {256, 257}


def test_bos_is_added_as_the_file_says_or_as_its_kind_does() -> None:
    extra = {"<s>": CONTROL, "</s>": CONTROL}
    ids: dict[str, Any] = {"bos_token_id": 256, "eos_token_id": 257}
    a = ord("a")
    assert build(bpe_file([], extra=extra, **ids)).encode("a") == [a]
    assert build(bpe_file([], extra=extra, pre="llama-bpe", **ids)).encode("a") == [256, a]
    asked = bpe_file([], extra=extra, add_bos_token=True, add_eos_token=True, **ids)
    assert build(asked).encode("a") == [256, a, 257]
    assert build(asked).encode("a", add_special=False) == [a]
    assert build(small(add_bos_token=False)).encode("a") == [261]
    without = small()
    del without.metadata[PREFIX + "bos_token_id"]
    assert build(without).encode("a") == [261]


def test_phi_3_drops_white_space_behind_its_special_tokens() -> None:
    extra = {"<|user|>": CONTROL}
    phi = build(bpe_file([], extra=extra, **{"general.name": "Phi-3 mini"}))
    other = build(bpe_file([], extra=extra))
    assert phi.encode("<|user|>\na", parse_special=True) == [256, ord("a")]
    assert len(other.encode("<|user|>\na", parse_special=True)) == 3
