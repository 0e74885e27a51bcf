"""A user's "<|im_start|>" is text, whatever the template does around it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllm.errors import RequestError
from pyllm.text.special_text import SpecialText

SPECIAL = {"<s>": 256, "</s>": 257, "<|im|>": 258, "|>x": 259, "<|im|>more": 260}


class LetterTokenizer:
    """Letters are tokens, some words are special; "</s>" swallows the white space behind it."""

    n_vocab = 300

    def is_special(self, token):
        return 256 <= token <= 260

    def token_bytes(self, token):
        return {v: k for k, v in SPECIAL.items()}.get(token, "?").encode()

    def encode(self, text, *, add_special=True, parse_special=False):
        assert not add_special
        words = sorted(map(re.escape, SPECIAL), key=len, reverse=True)
        pieces = re.split(f"({'|'.join(words)})", text) if parse_special else [text]
        ids = []
        for piece in pieces:
            if parse_special and piece in SPECIAL:
                ids.append(SPECIAL[piece])
            elif ids[-1:] == [257]:
                ids += map(ord, piece.lstrip())
            else:
                ids += map(ord, piece)
        return ids


SPECIAL_TEXT = SpecialText(LetterTokenizer())


def rendered(messages):
    """Ids of <s>content</s>\\n for every message, as a template would write it."""
    marked, mark = SPECIAL_TEXT.marked(messages)
    text = "".join(f"<s>{message['content']}</s>\n" for message in marked)
    return SPECIAL_TEXT.encode(text, mark)


@given(st.lists(st.sampled_from([*SPECIAL, "a", " ", "\n", "<|", "im|>"]), max_size=8))
def test_users_cannot_write_special_tokens(parts):
    content = "".join(parts)
    ids = rendered([{"role": "user", "content": content}])
    assert ids == [256, *map(ord, content), 257]


def test_only_the_systems_words_are_trusted():
    messages = [
        {"role": "system", "content": "<|im|>"},
        {"role": "user", "content": "<|im|>"},
        {"role": "assistant", "content": "<|im|>"},
    ]
    plain = list(map(ord, "<|im|>"))
    assert rendered(messages) == [256, 258, 257, 256, *plain, 257, 256, *plain, 257]


def test_harmless_messages_are_passed_through_untouched():
    messages = [{"role": "user", "content": "a \N{SNOWMAN} <b>"}]
    assert SPECIAL_TEXT.marked(messages) == (messages, None)
    assert SPECIAL_TEXT.marked(messages)[0] is messages


def test_text_deep_inside_a_message_is_broken_too():
    messages = [{"role": "tool", "content": [{"type": "text", "text": "x<|im|>"}], "n": 1}]
    marked, mark = SPECIAL_TEXT.marked(messages)
    assert marked == [
        {"role": "tool", "content": [{"type": "text", "text": f"x<{mark}|im|>"}], "n": 1}
    ]
    assert messages[0]["content"][0]["text"] == "x<|im|>"


def test_the_mark_is_one_that_no_message_holds():
    taken = "".join(map(chr, range(0xFDD0, 0xFDEF)))
    messages = [{"role": "user", "content": taken + "<|im|>"}]
    assert SPECIAL_TEXT.marked(messages)[1] == "\ufdef"
    messages[0]["content"] += "\ufdef"
    with pytest.raises(RequestError, match="noncharacter"):
        SPECIAL_TEXT.marked(messages)


def test_bottomless_messages_are_refused():
    content = "x"
    for _ in range(5000):
        content = [content]
    with pytest.raises(RequestError, match="nested deeper than 100"):
        SPECIAL_TEXT.marked([{"role": "user", "content": content}])
