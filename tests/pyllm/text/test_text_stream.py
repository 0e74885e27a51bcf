"""TextStream: the pieces add up to the tokenizer's own text, cut at the stop string."""

from hypothesis import given
from hypothesis import strategies as st

from pyllm.text.stop_strings import StopMatcher
from pyllm.text.text_stream import TextStream
from tests.pyllm.fake_program import N_VOCAB, FakeTokenizer

TOKENIZER = FakeTokenizer()
tokens = st.lists(st.one_of(st.integers(0, N_VOCAB - 1), st.sampled_from(b"stop")), max_size=30)


@given(tokens)
def test_pieces_add_up_to_the_decoded_text(ids):
    stream = TextStream(TOKENIZER, [], skip_special=True, stops=None, include_stop=False)
    text = "".join(stream.add(token, may_match=True) for token in ids) + stream.flush()
    assert text == TOKENIZER.decode(ids)


@given(tokens, st.booleans())
def test_a_stop_string_cuts_the_decoded_text(ids, include):
    stream = TextStream(
        TOKENIZER, [], skip_special=True, stops=StopMatcher(["top"]), include_stop=include
    )
    text = ""
    for token in ids:
        text += stream.add(token, may_match=True)
        assert "top" not in text or include
        if stream.matched:
            break
    else:
        text += stream.flush()
    whole = TOKENIZER.decode(ids)
    end = whole.find("top")
    assert text == (whole if end < 0 else whole[: end + 3 * include])
