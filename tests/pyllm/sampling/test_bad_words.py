"""Words that must not be completed."""

import pytest

from pyllm.errors import RequestError
from pyllm.sampling.bad_words import BadWords
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


class Counting(FakeTokenizer):
    encoded = 0

    def encode(self, text, **options):
        self.encoded += 1
        return super().encode(text, **options)


def test_too_many_words_are_refused_before_they_are_encoded():
    tokenizer = Counting()
    with pytest.raises(RequestError, match="bad_words: 20000: at most 1000"):
        BadWords(["w"] * 20_000, tokenizer)
    assert tokenizer.encoded == 0


def test_a_word_of_too_many_tokens_is_refused():
    BadWords(["x" * 255], FakeTokenizer())
    with pytest.raises(RequestError, match="at most 256 tokens in a word"):
        BadWords(["x" * 256], FakeTokenizer())  # with the space before it


def test_only_the_end_of_the_text_is_read():
    looks = []

    class Watched(list):
        def __getitem__(self, place):
            assert not isinstance(place, slice)
            looks.append(place)
            return super().__getitem__(place)

    words = BadWords([f"{chr(33 + i)}ab" for i in range(90)], FakeTokenizer())
    assert words.completions(Watched(b"~" * 5000 + b"!a"), 0) == [ord("b")]
    assert len(looks) == 3
