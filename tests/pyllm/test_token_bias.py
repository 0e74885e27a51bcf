"""TokenBias: the caller's numbers, except that nothing may end a sequence too early."""

from pyllm.token_bias import NO_BIAS, TokenBias


def test_before_min_tokens_the_ends_are_banned_whatever_the_caller_adds():
    bias = TokenBias({5: 1.5, 9: 100.0}, {9, 11})
    assert [array.tolist() for array in bias.usual] == [[5, 9], [1.5, 100.0]]
    tokens, values = bias.before_min_tokens
    assert dict(zip(tokens.tolist(), (values < -1e29).tolist(), strict=True)) == {
        5: False,
        9: True,
        11: True,
    }


def test_no_bias_is_empty_and_typed():
    assert [(len(array), array.dtype.name) for array in NO_BIAS] == [(0, "int32"), (0, "float32")]
