"""Prompt lookup: a text goes on as it went on after the same words before.

It costs no model, only memory: per token one integer in a list and one entry in a dictionary.
"""

from __future__ import annotations

from pyllm.engine.sequence import Sequence
from pyllm.speculation.config import SpeculativeConfig

# Earlier places of the last n-gram that are compared; the most recent come first.
MAX_CANDIDATES = 4
_TOKEN_BITS = 32


class NgramIndex:
    """Every n-gram of a growing list of tokens, linked to its occurrence before.

    A token is entered once; finding the longest match looks at a bounded number of tokens.
    """

    def __init__(self, shortest: int, longest: int) -> None:
        self._shortest = shortest
        self._longest = longest
        self._mask = (1 << (_TOKEN_BITS * shortest)) - 1
        self._key = 0  # the last `shortest` tokens
        self._ends: dict[int, int] = {}  # n-gram -> number of tokens up to its last occurrence
        # [n]: the place before n where the n-gram that ends the first n tokens ended, 0 for none
        self._before: list[int] = [0] * shortest

    def match(self, tokens: list[int]) -> tuple[int, int]:
        """(place, length): tokens[place - length : place] are also the last ones; (0, 0): none.

        `tokens` are those of the last call and any that followed them.
        """
        before, size = self._before, len(tokens)
        if size == len(before) > self._shortest:  # one token more, as in most steps
            key = self._key = (self._key << _TOKEN_BITS | tokens[-1]) & self._mask
            place = self._ends.get(key, 0)
            self._ends[key] = size
            before.append(place)
        else:
            self._enter(tokens)
            place = before[size] if size >= self._shortest else 0
        return self._longest_of(place, tokens) if place else (0, 0)

    def _longest_of(self, place: int, tokens: list[int]) -> tuple[int, int]:
        """The longest match of those at `place` and before."""
        before, size = self._before, len(tokens)
        best_place = best_length = 0
        for _ in range(MAX_CANDIDATES):
            if not place:
                break
            length, most = self._shortest, min(self._longest, place)
            while length < most and tokens[place - length - 1] == tokens[size - length - 1]:
                length += 1
            if length > best_length:
                best_place, best_length = place, length
                if length == self._longest:
                    break
            place = before[place]
        return best_place, best_length

    def _enter(self, tokens: list[int]) -> None:
        key, mask, ends, before = self._key, self._mask, self._ends, self._before
        # `before` has an entry for each n-gram entered and one for each place too early for one.
        entered = len(before) - 1 if len(before) > self._shortest else 0
        for size in range(entered + 1, len(tokens) + 1):
            key = (key << _TOKEN_BITS | tokens[size - 1]) & mask
            if size >= self._shortest:
                before.append(ends.get(key, 0))
                ends[key] = size
        self._key = key


class PromptLookup:
    """Guesses from a sequence's own prompt and output; a kind for each length of match."""

    def __init__(self, config: SpeculativeConfig) -> None:
        self._shortest, self._longest = config.prompt_lookup_min, config.prompt_lookup_max
        self._most = config.num_speculative_tokens
        self.min_draft_tokens = config.min_draft_tokens
        self._indexes: dict[Sequence, NgramIndex] = {}
        self._places: dict[Sequence, int] = {}  # what follows the match

    @property
    def num_kinds(self) -> int:
        return self._longest - self._shortest + 1

    def offer(self, sequence: Sequence) -> tuple[int, int]:
        index = self._indexes.get(sequence)
        if index is None:
            index = self._indexes[sequence] = NgramIndex(self._shortest, self._longest)
        place, length = index.match(sequence.tokens)
        if not place:
            return 0, 0
        self._places[sequence] = place
        return length - self._shortest, self._most

    def propose(self, sequences: list[Sequence], counts: list[int]) -> list[list[int]]:
        return [
            continued(sequence.tokens, self._places[sequence], count)
            for sequence, count in zip(sequences, counts, strict=True)
        ]

    def seconds_for(self, longest: int) -> float:  # noqa: ARG002  # a slice of a list
        return 0.0

    def forget(self, sequence: Sequence) -> None:
        self._indexes.pop(sequence, None)
        self._places.pop(sequence, None)

    def reset(self) -> None:
        self._indexes.clear()
        self._places.clear()

    def close(self) -> None:
        self.reset()


def continued(tokens: list[int], place: int, count: int) -> list[int]:
    """The `count` tokens from `place` on; past the end they repeat, as a text of that period."""
    period = tokens[place : place + count]
    repeats = -(-count // len(period))
    return (period * repeats)[:count]
