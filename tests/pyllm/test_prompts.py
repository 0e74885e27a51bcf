"""Prompts: every way to write one, and ids no model could embed."""

import numpy as np
import pytest

from pyllm.errors import RequestError
from pyllm.prompts import as_prompt_list, encode_prompt
from tests.pyllm.fake_program import BOS, N_VOCAB, FakeTokenizer

TOKENIZER = FakeTokenizer()


@pytest.mark.parametrize(
    ("prompts", "count"),
    [
        ("hi", 1), (["a", "b"], 2), ({"prompt": "a"}, 1), ([{"prompt": "a"}, "b"], 2),
        ([1, 2, 3], 1), ([[1], [2, 3]], 2), ([], 0), (({"prompt_token_ids": [1]},), 1),
    ],
)  # fmt: skip
def test_one_or_several(prompts, count):
    assert len(as_prompt_list(prompts)) == count


@pytest.mark.parametrize("prompts", [None, 7, b"bytes", {"a"}])
def test_what_is_no_prompt_is_refused(prompts):
    with pytest.raises(RequestError, match="prompts"):
        as_prompt_list(prompts)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("hé", ("hé", [BOS, *"hé".encode()])),
        ("", ("", [BOS])),
        ("nul \0", ("nul \0", [BOS, *b"nul \0"])),
        ({"prompt": "a"}, ("a", [BOS, 97])),
        ({"prompt_token_ids": [5, 6]}, (None, [5, 6])),
        ({"prompt": None, "prompt_token_ids": (5,)}, (None, [5])),
        ([np.int64(3), np.int32(4)], (None, [3, 4])),
    ],
)
def test_text_and_ids(prompt, expected):
    assert encode_prompt(prompt, TOKENIZER) == expected


@pytest.mark.parametrize("token", [-1, N_VOCAB, 2**31, 2**70, True, 1.0, "1", None, np.nan])
def test_an_impossible_id_is_refused_with_its_place(token):
    with pytest.raises(RequestError) as raised:
        encode_prompt({"prompt_token_ids": [0, N_VOCAB - 1, token]}, TOKENIZER)
    assert raised.value.field == "prompt_token_ids[2]"


@pytest.mark.parametrize(
    "prompt",
    [
        {}, {"prompt": "a", "prompt_token_ids": [1]}, {"text": "a"}, {"prompt": 5},
        {"prompt_token_ids": "123"}, {"prompt_token_ids": 5}, {"prompt": ["a"]},
        {"prompt": "a", "multi_modal_data": {}}, 5, None, b"raw", "lone \ud800 surrogate",
    ],
)  # fmt: skip
def test_a_malformed_prompt_is_refused(prompt):
    with pytest.raises(RequestError):
        encode_prompt(prompt, TOKENIZER)


class SpecialTokenizer(FakeTokenizer):
    """Knows "<256>", its BOS token, when special tokens are parsed."""

    def encode(self, text, *, add_special=True, parse_special=False):
        ids = [BOS] * add_special
        if parse_special and text.startswith("<256>"):
            ids, text = [*ids, BOS], text.removeprefix("<256>")
        return ids + list(text.encode())


def test_special_tokens_are_text_unless_asked_for():
    tokenizer = SpecialTokenizer()
    assert encode_prompt("<256>a", tokenizer)[1] == [BOS, *b"<256>a"]
    assert encode_prompt("<256>a", tokenizer, parse_special=True)[1] == [BOS, *b"a"]
    assert encode_prompt("a", tokenizer, parse_special=True)[1] == [BOS, *b"a"]


def test_bottomless_ids_are_refused_in_one_line():
    prompt = [1]
    for _ in range(5000):
        prompt = [prompt]
    with pytest.raises(RequestError) as raised:
        encode_prompt(prompt, TOKENIZER)
    assert len(str(raised.value)) < 200
