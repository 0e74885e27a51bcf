"""Words that must not be completed."""

import pytest

from pyllm.bad_words import BadWords
from pyllm.errors import RequestError
from tests.pyllm.fake_program import FakeTokenizer


def test_single_tokens_are_always_forbidden():
    assert BadWords(["x", " yy"], FakeTokenizer()).single_tokens == {ord("x")}


def test_the_last_token_is_forbidden_behind_the_others_and_after_a_space():
    words = BadWords(["cat", "bat", "at"], FakeTokenizer())
    start = len(b"ca")
    assert words.completions(list(b"caca"), start) == [ord("t")] * 2  # "cat" and "at"
    assert words.completions(list(b"caa"), start) == [ord("t")]
    assert words.completions(list(b"ca"), start) == []
    assert words.completions(list(b"cab"), start) == []
    assert BadWords([" no"], FakeTokenizer()).completions(list(b"a n"), 0) == [ord("o")] * 2


def test_a_word_without_tokens_is_refused():
    class Silent(FakeTokenizer):
        def encode(self, text, **_):
            return []

    with pytest.raises(RequestError, match="bad_words: 'x': has no tokens"):
        BadWords(["x"], Silent())
    with pytest.raises(RequestError, match="at most 1000"):
        BadWords([f"w{i}" for i in range(600)], FakeTokenizer())
