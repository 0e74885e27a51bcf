"""DRY, "don't repeat yourself": a penalty that grows with the repetition a token would go on with.

Philipp Emanuel Weidmann, text-generation-webui #5677; details as in llama.cpp. The penalty of a
token is multiplier * base ^ (length - allowed_length), where `length` tokens at the end of the text
occurred before and were followed by that token then. Sequence breakers start anew.
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from pyllm._core import find_repeats
from pyllm.sampling.token_bias import NO_BIAS, BiasArrays, bias_arrays
from pyllm.sampling.token_suffixes import TokenSuffixes

if TYPE_CHECKING:
    from pyllm.sampling.params import SamplingParams
    from pyllm.tokenizer import Tokenizer

_MAX_BREAKER_BYTES = 40
_MAX_TAIL_TOKENS = 20
_LOG_OF_LARGEST = 88.7228391  # of float32: larger exponents would overflow
_LARGEST = 3.4028234e38
_CACHED_SETS = 8

TokenSequence = tuple[int, ...]


class Breakers:
    """Token sequences that contain one of some strings; found by a look at the whole vocabulary."""

    def __init__(self, tokenizer: Tokenizer, strings: Sequence[str]) -> None:
        sequences: set[TokenSequence] = set()
        pieces = [tokenizer.token_bytes(token) for token in range(tokenizer.n_vocab)]
        for string in strings:
            wanted = string.encode()[:_MAX_BREAKER_BYTES]
            rests = [_rest(tokenizer, wanted[length:]) for length in range(1, len(wanted))]
            for token, piece in enumerate(pieces):
                if wanted[0] not in piece:  # most tokens
                    continue
                if wanted in piece:
                    sequences.add((token,))
                else:
                    sequences |= _begun_by(token, piece, wanted, rests)
        self.single_tokens = frozenset(s[0] for s in sequences if len(s) == 1)
        self.suffixes = TokenSuffixes()  # the value is the number of tokens
        for sequence in sequences:
            self.suffixes.add(sequence, len(sequence))


def _rest(tokenizer: Tokenizer, text: bytes) -> TokenSequence:
    tokens = tokenizer.encode(text.decode("utf-8", "replace"), add_special=False)
    return tuple(tokens[:_MAX_TAIL_TOKENS])


def _begun_by(
    token: int, piece: bytes, wanted: bytes, rests: Sequence[TokenSequence]
) -> set[TokenSequence]:
    """Sequences that begin inside `piece`, whose end is the beginning of `wanted`.

    rests  tokens of wanted[1:], wanted[2:], …
    """
    return {
        (token, *rest)
        for length, rest in enumerate(rests[: len(piece)], 1)
        if piece.endswith(wanted[:length])
    }


_breakers: WeakKeyDictionary[Tokenizer, dict[tuple[str, ...], Breakers]] = WeakKeyDictionary()
_breakers_lock = threading.Lock()  # requests are made on any thread


def breakers_of(tokenizer: Tokenizer, strings: Sequence[str]) -> Breakers:
    """Breakers, remembered: building them takes tens of milliseconds for 128k tokens."""
    key = tuple(strings)
    with _breakers_lock:
        known = _breakers.setdefault(tokenizer, {})
        found = known.get(key)
    if found is None:
        found = Breakers(tokenizer, strings)  # nobody waits for this; twice does no harm
        with _breakers_lock:
            while len(known) >= _CACHED_SETS:
                del known[next(iter(known))]
            known[key] = found
    return found


class DryHistory:
    """What DRY knows of a sequence; kept token by token."""

    def __init__(self, prompt: Sequence[int], params: SamplingParams, breakers: Breakers) -> None:
        self._params = params
        self._breakers = breakers
        self._tokens: npt.NDArray[np.int32] = np.zeros(max(64, 2 * len(prompt)), np.int32)
        self._count = 0
        self._restart = (-1, 0)  # the latest sequence breaker: its first token, and past its last
        for token in prompt:
            self.add(token)

    def add(self, token: int) -> None:
        """Append one token."""
        if self._count == len(self._tokens):
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)])
        self._tokens[self._count] = token
        self._count += 1
        # Of several breakers that end here the shortest one begins last.
        for length in self._breakers.suffixes.matches(self._tokens, 0, self._count):
            self._restart = max(self._restart, (self._count - length, self._count))
            break

    def copy(self) -> DryHistory:
        """One that goes on by itself."""
        twin = copy.copy(self)
        twin._tokens = self._tokens.copy()
        return twin

    def penalties(self) -> BiasArrays:
        """What is added to the logits of the token that follows."""
        params = self._params
        window = params.dry_penalty_last_n
        size = self._count if window < 0 else min(self._count, window)
        first = self._count - size
        limit = self._count - self._restart[1] if self._restart[0] >= first else size
        if size <= params.dry_allowed_length or limit < params.dry_allowed_length:
            return NO_BIAS
        tokens = self._tokens[first : self._count]
        repeats = find_repeats(tokens, limit, params.dry_allowed_length)
        return bias_arrays(
            {
                token: -self._penalty(length - params.dry_allowed_length)
                for token, length in repeats.items()
                if token not in self._breakers.single_tokens
            }
        )

    def _penalty(self, exponent: int) -> float:
        params = self._params
        if params.dry_base > 1.000001:
            exponent = min(exponent, int(_LOG_OF_LARGEST / math.log(params.dry_base)))
        return min(params.dry_multiplier * params.dry_base**exponent, _LARGEST)
