"""How often guesses are right, by kind of guess; the last few count."""

from __future__ import annotations

REQUEST_WINDOW = 16  # guesses a request remembers of each kind
ENGINE_WINDOW = 64  # and what all requests taught the next one
FIRST_RATE = 0.5  # of a kind never tried
PRIOR_TRIES = 3  # what others saw weighs as much
_HIGHEST = 0.99


class Acceptance:
    """The chance that one guess is right, given that those before it were."""

    def __init__(self, num_kinds: int, window: int, prior: Acceptance | None = None) -> None:
        self._right = [0.0] * num_kinds
        self._tried = [0.0] * num_kinds
        self._window = window
        self._prior = prior

    def rate(self, kind: int) -> float:
        """Between 0 and 1."""
        first = FIRST_RATE if self._prior is None else self._prior.rate(kind)
        return min(
            _HIGHEST, (self._right[kind] + PRIOR_TRIES * first) / (self._tried[kind] + PRIOR_TRIES)
        )

    def record(self, kind: int, num_right: int, *, failed: bool) -> None:
        """`num_right` guesses in a row, then one that was wrong if `failed`."""
        right = self._right[kind] + num_right
        tried = self._tried[kind] + num_right + failed
        shrink = min(1.0, self._window / max(tried, 1.0))
        self._right[kind], self._tried[kind] = right * shrink, tried * shrink
        if self._prior is not None:
            self._prior.record(kind, num_right, failed=failed)
