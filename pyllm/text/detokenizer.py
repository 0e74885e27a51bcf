"""From token ids to text as they are sampled, one complete character at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyllm.text.utf8_decoder import Utf8Decoder

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
        self._decoder = Utf8Decoder()
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
        raw = self._tokenizer.piece(token, at_start=self._at_start, skip_special=self._skip_special)
        self._at_start = self._tokenizer.restarts_text(token)
        if self._skip_bytes:
            skipped = min(self._skip_bytes, len(raw))
            self._skip_bytes -= skipped
            raw = raw[skipped:]
        return self._decoder.decode(raw)

    def flush(self) -> str:
        """U+FFFD for the bytes still waiting, "" when there are none. Then a new text may begin."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        self._at_start = True
        return rest
