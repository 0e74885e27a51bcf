"""From token ids to text as they are sampled, one complete character at a time."""

from __future__ import annotations

from collections.abc import Sequence
from encodings.utf_8 import IncrementalDecoder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer

__all__ = ["Detokenizer"]


class Detokenizer:
    """The pieces that add() and flush() return, joined, are tokenizer.decode() of all ids."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        skip_special: bool = True,
        *,
        after: Sequence[int] = (),
        keep_first_space: bool = False,
        skip_written: Sequence[int] = (),
    ) -> None:
        """`after` is the prompt that the text continues: behind "Once upon", " a" keeps its space.

        skip_special      leave control tokens out
        keep_first_space  even where it would be the one that encode() adds to a text
        skip_written      as many bytes as these tokens have come first and are left out
        """
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._decoder = IncrementalDecoder("replace")
        self._is_inside = False  # a text, and no byte waits or is left out
        self._texts = tokenizer.inner_texts
        starts = not len(after) or tokenizer.restarts_text(after[-1])
        self._at_start = at_start = starts and not keep_first_space
        self._skip_bytes = 0
        for token in skip_written:
            raw = tokenizer.piece(token, at_start=at_start, skip_special=skip_special)
            self._skip_bytes += len(raw)
            at_start = tokenizer.restarts_text(token)

    def add(self, token: int) -> str:
        """The characters that `token` completes; bytes of an incomplete one wait.

        Raises TokenizerError for an id that is not in the vocabulary.
        """
        was_inside = self._is_inside
        if was_inside and (text := self._texts.get(token)) is not None:
            return text
        raw = self._tokenizer.piece(token, at_start=self._at_start, skip_special=self._skip_special)
        self._at_start = self._tokenizer.restarts_text(token)
        if self._skip_bytes:
            skipped = min(self._skip_bytes, len(raw))
            self._skip_bytes -= skipped
            raw = raw[skipped:]
        text = self._decoder.decode(raw)
        self._is_inside = not (self._at_start or self._skip_bytes or self._decoder.buffer)
        if was_inside and self._is_inside:  # so nothing around the token matters: 0.1 us, not 0.9
            self._texts[token] = text
        return text

    def flush(self) -> str:
        """U+FFFD for the bytes still waiting, "" when there are none. Then a new text may begin."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        self._at_start, self._is_inside = True, False
        return rest
