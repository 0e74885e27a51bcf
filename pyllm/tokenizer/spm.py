"""SentencePiece vocabularies (`tokenizer.ggml.model` = "llama"): merges ranked by score.

Spaces become "▁"; two neighbouring pieces whose joined text is a token merge, best score first,
then leftmost; characters that are no token become their UTF-8 bytes' tokens. No normaliser: what
the user wrote is what is encoded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from pyllm.errors import ModelFileError, TokenizerError
from pyllm.tokenizer.merges import Ids, IntegerLists, MergeTable, Offsets
from pyllm.tokenizer.vocabulary import TokenType, Vocabulary, read_scores

if TYPE_CHECKING:
    from pyllm.gguf import GGUFFile

__all__ = ["SPACE", "SpmEncoder"]

SPACE: Final = "▁"
_SPACE_POINT = ord(SPACE)
_CODE_POINTS = 0x110000
_MAX_SPLITS = 1 << 23  # ways to split all tokens in two; Gemma's 256 000 tokens have 1.8 million
_BYTE_TOKEN = re.compile("<0x([0-9A-F]{2})>", re.IGNORECASE)


class SpmEncoder:
    """Encodes plain text; knows nothing of special tokens."""

    def __init__(self, file: GGUFFile, vocabulary: Vocabulary) -> None:
        tokens = vocabulary.tokens
        # Control tokens are left out: plain text cannot merge into them.
        self._mergeable = vocabulary.ids_of(
            TokenType.UNDEFINED, TokenType.NORMAL, TokenType.USER_DEFINED, TokenType.UNUSED
        )
        self._n_vocab = len(tokens)
        self._as_list = IntegerLists(len(tokens))
        self._unk_id = vocabulary.unk_id
        self.byte_ids = _byte_ids(file, vocabulary)
        # A character that is no token is the symbol n_vocab + code point while merging.
        self._symbols = np.arange(_CODE_POINTS, dtype=np.int32) + np.int32(self._n_vocab)
        for token in self._mergeable:
            if len(tokens[token]) == 1:
                self._symbols[ord(tokens[token])] = token
        scores = read_scores(file, len(tokens))
        self._merges = MergeTable(self._rules(file, tokens, scores))
        # Where no token has "▁" behind another character, a space always begins a word.
        self._cuts_words = not any(_space_inside(tokens[token]) for token in self._mergeable)

    def _rules(self, file: GGUFFile, tokens: list[str], scores: npt.NDArray[np.float64]) -> Ids:
        n_splits = sum(len(tokens[token]) - 1 for token in self._mergeable)
        if n_splits > _MAX_SPLITS:
            limit = f"at most {_MAX_SPLITS} characters in all tokens"
            raise ModelFileError(file.path, None, "tokenizer.ggml.tokens", n_splits, limit)
        ids = {tokens[token]: token for token in self._mergeable}
        for char in {char for token in self._mergeable for char in tokens[token]}:
            ids.setdefault(char, self._n_vocab + ord(char))
        ranks = np.unique(-scores, return_inverse=True)[1].tolist()
        get = ids.get
        rules = [
            (left, right, token, ranks[token])
            for token in self._mergeable
            for text in (tokens[token],)
            for cut in range(1, len(text))
            if (left := get(text[:cut])) is not None and (right := get(text[cut:])) is not None
        ]
        return np.array(rules, np.int32).reshape(-1, 4)

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text. Raises TokenizerError for text that has no UTF-8 form."""
        points = _code_points("".join(texts).replace(" ", SPACE))
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        word_ends = self._word_ends(points, ends)
        tokens, token_ends = self._merges.merge(self._symbols[points], word_ends)
        # How many words end at or before each text's end; an empty text adds none.
        text_ends = np.concatenate(([0], token_ends))[np.searchsorted(word_ends, ends, "right")]
        tokens, text_ends = self._bytes_for_unknown(tokens, text_ends)
        flat = self._as_list(tokens)
        if len(texts) == 1:
            return [flat]
        return [flat[start:end] for start, end in pairwise([0, *text_ends.tolist()])]

    def _word_ends(self, points: Ids, ends: Offsets) -> Offsets:
        """Where words end: before the first "▁" of a run and at the end of each text."""
        is_end = np.zeros(len(points) + 1, np.bool_)
        if self._cuts_words:
            is_space = points == _SPACE_POINT
            is_end[1:-1] = is_space[1:] & ~is_space[:-1]
        is_end[ends] = True
        is_end[0] = False
        return np.flatnonzero(is_end)

    def _bytes_for_unknown(self, tokens: Ids, ends: Offsets) -> tuple[Ids, Offsets]:
        unknown = np.flatnonzero(tokens >= self._n_vocab)
        if len(unknown) == 0:
            return tokens, ends
        points = tokens[unknown] - self._n_vocab
        if self.byte_ids is None:
            if self._unk_id is None:
                shown = chr(int(points[0]))
                raise TokenizerError(f"the vocabulary has no token for the character {shown!r}")
            replaced = tokens.copy()
            replaced[unknown] = self._unk_id
            return replaced, ends
        # Each unknown character makes room for as many tokens as it has bytes.
        lengths = np.ones(len(tokens), np.int64)
        lengths[unknown] = 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000)
        new_ends = np.concatenate([[0], np.cumsum(lengths)])
        expanded = np.repeat(tokens, lengths)
        text = points.astype("<u4").tobytes().decode("utf-32-le")
        is_byte = np.repeat(tokens >= self._n_vocab, lengths)
        expanded[is_byte] = self.byte_ids[np.frombuffer(text.encode("utf-8"), np.uint8)]
        return expanded, new_ends[ends]


def _code_points(text: str) -> Ids:
    try:
        return np.frombuffer(text.encode("utf-32-le"), np.int32)
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"character {error.start} is a lone surrogate, which has no UTF-8 form"
        ) from None


def _space_inside(token: str) -> bool:
    return SPACE in token.lstrip(SPACE)


def _byte_ids(file: GGUFFile, vocabulary: Vocabulary) -> Ids | None:
    """Token of each byte; None when there are no byte tokens. Raises ModelFileError for some."""
    field = "tokenizer.ggml.tokens"
    table = np.full(256, -1, np.int32)
    byte_tokens = np.flatnonzero(vocabulary.types == TokenType.BYTE).tolist()
    for token in byte_tokens:
        match = _BYTE_TOKEN.fullmatch(vocabulary.tokens[token])
        if match is None:
            place = f"{field}[{token}]"
            limit = "<0x00> to <0xFF> for a byte token"
            raise file.error(place, vocabulary.tokens[token], limit)
        table[int(match[1], 16)] = token
    missing = np.flatnonzero(table < 0)
    if byte_tokens and len(missing):
        limit = f"a token for every byte, <0x{int(missing[0]):02X}> is missing"
        raise file.error(field, f"{256 - len(missing)} byte tokens", limit)
    return table if byte_tokens else None
