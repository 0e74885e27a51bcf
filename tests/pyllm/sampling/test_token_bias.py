"""TokenBias: the caller's numbers, except that nothing may end a sequence too early."""

import math

from pyllm.sampling.bad_words import BadWords
from pyllm.sampling.token_bias import NO_BIAS, TokenBias
from tests.pyllm.fake_program import FakeTokenizer


def test_before_min_tokens_the_ends_are_banned_whatever_the_caller_adds():
    bias = TokenBias({5: 1.5, 9: 100.0}, {9, 11})
    assert [array.tolist() for array in bias.usual] == [[5, 9], [1.5, 100.0]]
    tokens, values = bias.before_min_tokens
    assert dict(zip(tokens.tolist(), (values < -1e29).tolist(), strict=True)) == {
        5: False,
        9: True,
        11: True,
    }


def test_never_is_never_before_min_tokens_too():
    bias = TokenBias({9: -math.inf}, {9})
    assert bias.usual[1].tolist() == bias.before_min_tokens[1].tolist() == [-math.inf]


def test_no_bias_is_empty_and_typed():
    assert [(len(array), array.dtype.name) for array in NO_BIAS] == [(0, "int32"), (0, "float32")]


def test_bad_words_forbid_single_tokens_always_and_others_when_they_would_be_complete():
    bias = TokenBias({7: 2.0}, {9}, BadWords(["x", "abc"], FakeTokenizer()))
    tokens, values = bias.after(list(b"ab"), 0, must_not_stop=False)
    found = dict(zip(tokens.tolist(), values.tolist(), strict=True))
    assert found == {7: 2.0, ord("x"): -math.inf, ord("c"): -math.inf}
    tokens, _ = bias.after(list(b"ab"), 1, must_not_stop=True)
    assert tokens.tolist() == [7, 9, ord("x")]
