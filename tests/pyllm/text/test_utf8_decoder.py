"""However the bytes are cut, the text is that of Python's own decoder."""

import codecs
import itertools

import pytest

from pyllm.text.utf8_decoder import Utf8Decoder


@pytest.mark.parametrize(
    "raw",
    [b"plain", "é€😀 x".encode(), b"\xff\xfeab", b"\xe2\x82", b"a\xe2\x82b", b"\xf0\x9f\x98A\xc3"],
)
def test_every_way_to_cut(raw: bytes) -> None:
    for cuts in itertools.product((False, True), repeat=len(raw) - 1):
        ours, reference = Utf8Decoder(), codecs.getincrementaldecoder("utf-8")("replace")
        starts = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(raw)]
        for start, end in itertools.pairwise(starts):
            assert ours.decode(raw[start:end]) == reference.decode(raw[start:end])
        assert ours.decode(b"", final=True) == reference.decode(b"", final=True)
        assert "".join([ours.decode(raw), ours.decode(b"", final=True)]) == raw.decode(
            "utf-8", "replace"
        )


def test_a_reset_forgets_half_a_character() -> None:
    decoder = Utf8Decoder()
    assert decoder.decode("€".encode()[:2]) == ""
    decoder.reset()
    assert decoder.decode(b"a") == "a"
