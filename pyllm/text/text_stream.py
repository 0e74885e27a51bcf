"""From sampled tokens to the text a caller may see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyllm.text.detokenizer import Detokenizer
from pyllm.text.stop_strings import StopMatcher, StopStrings

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer


class TextStream:
    """Complete characters only, and nothing that could still become part of a stop string."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        *,
        skip_special: bool,
        stops: StopMatcher | None,
        include_stop: bool,
        keep_first_space: bool = False,
        skip_written: Sequence[int] = (),
    ) -> None:
        """`skip_written` are tokens whose bytes, the first that come, the caller has already."""
        self._detokenizer = Detokenizer(
            tokenizer,
            skip_special,
            after=prompt,
            keep_first_space=keep_first_space,
            skip_written=skip_written,
        )
        self._stops = StopStrings(stops, include_in_output=include_stop) if stops else None
        self.matched: str | None = None  # the stop string that ended the text

    def add(self, token: int, may_match: bool) -> str:
        """The text that may be shown now; may set `matched`."""
        text = self._detokenizer.add(token)
        stops = self._stops
        if stops is None:
            return text
        text = stops.push(text, may_match)
        self.matched = stops.matched
        return text

    def flush(self) -> str:
        """The rest, when no token follows: half characters and what was held back."""
        text = self._detokenizer.flush()
        if self._stops is None:
            return text
        # may_match=False: what the flush completes ended for another reason already.
        return self._stops.push(text, False) + self._stops.flush()
