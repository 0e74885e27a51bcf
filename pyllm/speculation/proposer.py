"""Where guesses come from."""

from __future__ import annotations

from typing import Protocol

from pyllm.engine.sequence import Sequence


class Proposer(Protocol):
    """Guesses the next tokens of sequences that decode."""

    @property
    def num_kinds(self) -> int:
        """Kinds of guesses whose chances are learned apart."""
        ...

    @property
    def min_draft_tokens(self) -> int:
        """Fewer guesses than this are not tried."""
        ...

    def offer(self, sequence: Sequence) -> tuple[int, int]:
        """(kind, most guesses) for the next step; no guesses: (0, 0). Cheap."""
        ...

    def propose(self, sequences: list[Sequence], counts: list[int]) -> list[list[int]]:
        """At most counts[i] >= 1 guesses for each sequence that was offered."""
        ...

    def seconds_for(self, longest: int) -> float:
        """Estimated time of `propose` when the largest count is `longest`."""
        ...

    def forget(self, sequence: Sequence) -> None:
        """The sequence ended, wherever it was."""
        ...

    def reset(self) -> None:
        """Forget all sequences."""
        ...

    def close(self) -> None:
        """Give back what it loaded; a second call does nothing."""
        ...
