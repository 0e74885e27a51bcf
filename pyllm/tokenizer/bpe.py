"""Byte-level BPE vocabularies (`tokenizer.ggml.model` = "gpt2"): words, then ranked merges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pyllm.errors import TokenizerError
from pyllm.gguf import StringArray
from pyllm.tokenizer.byte_letters import LETTERS, MAX_LETTER, spelled_bytes
from pyllm.tokenizer.merges import Ids, IntegerLists, MergeTable, Offsets, read_rules
from pyllm.tokenizer.pretokenizers import CHUNK_CHARS, PreTokenizer, chunks
from pyllm.tokenizer.vocabulary import TOKENS, TokenType, Vocabulary, check_count

if TYPE_CHECKING:
    from pyllm.gguf import GGUFFile

__all__ = ["BpeEncoder"]

_MERGES = "tokenizer.ggml.merges"
_MAX_MERGES = 1 << 21  # the largest vocabularies in use have half a million


class BpeEncoder:
    """Encodes plain text; knows nothing of special tokens."""

    def __init__(self, file: GGUFFile, vocabulary: Vocabulary, pre: PreTokenizer) -> None:
        self._pre = pre
        ids = dict(zip(vocabulary.tokens, range(len(vocabulary.tokens)), strict=True))
        self._byte_ids = np.array([ids.get(letter, -1) for letter in LETTERS], np.int32)
        self._as_list = IntegerLists(len(vocabulary.tokens))
        self._merges = MergeTable(_read_rules(file))
        # Words that are tokens although merging does not build them, and their ids.
        self._whole_words: dict[str, int] = {}
        if pre.family.keep_whole_words:
            self._whole_words = self._unmerged(file.get(TOKENS, StringArray), vocabulary)

    def _unmerged(self, texts: StringArray, vocabulary: Vocabulary) -> dict[str, int]:
        symbols = np.full(MAX_LETTER + 1, -2, np.int32)
        symbols[[ord(letter) for letter in LETTERS]] = self._byte_ids
        ids = np.array(vocabulary.ids_of(TokenType.NORMAL), np.int32)
        words: dict[str, int] = {}
        for token in self._merges.unmerged(texts, ids, symbols):
            raw = spelled_bytes(vocabulary.tokens[token])
            assert raw is not None
            words[raw.decode("utf-8", "surrogateescape")] = token
        return words

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text. Raises TokenizerError for text that has no UTF-8 form."""
        results: list[list[int]] = []
        for batch in _batches(texts):
            if len(batch) > 1 or len(batch[0]) <= CHUNK_CHARS:
                results.extend(self._encode_batch(batch))
            else:
                ids: list[int] = []
                for chunk in chunks(batch[0]):
                    ids += self._encode_batch([chunk])[0]
                results.append(ids)
        return results

    def _encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        words: list[str] = []
        word_counts = []  # words in this and all earlier texts
        for text in texts:
            words += self._pre.words(text)
            word_counts.append(len(words))
        tokens, ends = self._merge("".join(texts), words)
        flat = self._as_list(tokens)
        if self._whole_words and not self._whole_words.keys().isdisjoint(words):
            flat, ends = self._with_whole_words(words, flat, ends)
        if len(texts) == 1:
            return [flat]
        cuts = [0, *np.concatenate(([0], ends))[word_counts].tolist()]
        return [flat[start:end] for start, end in pairwise(cuts)]

    def _merge(self, text: str, words: list[str]) -> tuple[Ids, Offsets]:
        try:
            raw = np.frombuffer(text.encode("utf-8"), np.uint8)
        except UnicodeEncodeError as error:
            raise TokenizerError(
                f"character {error.start} is a lone surrogate, which has no UTF-8 form"
            ) from None
        ends = np.cumsum(np.fromiter(map(len, words), np.int64, len(words)))
        if len(raw) != len(text):  # from characters to bytes
            first_bytes = np.flatnonzero((raw & 0xC0) != 0x80)
            ends = np.append(first_bytes, len(raw))[ends]
        symbols = self._byte_ids[raw]
        if len(raw) and int(symbols.min()) < 0:
            missing = int(raw[int(symbols.argmin())])
            raise TokenizerError(f"the vocabulary has no token for the byte 0x{missing:02X}")
        return self._merges.merge(symbols, ends)

    def _with_whole_words(
        self, words: list[str], flat: list[int], ends: Offsets
    ) -> tuple[list[int], Offsets]:
        whole = self._whole_words
        pieces = [
            [whole[word]] if word in whole else flat[start:end]
            for word, (start, end) in zip(words, pairwise([0, *ends.tolist()]), strict=True)
        ]
        new_ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
        return [token for piece in pieces for token in piece], new_ends


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Neighbouring texts together, up to a chunk's size; a longer text alone."""
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and size + len(text) > CHUNK_CHARS:
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


def _read_rules(file: GGUFFile) -> Ids:
    """Rows (left, right, result, rank) from "left right" lines. Raises ModelFileError."""
    lines = file.get(_MERGES, StringArray)
    check_count(file, _MERGES, lines, _MAX_MERGES)
    rules = read_rules(file.get(TOKENS, StringArray), lines)
    if isinstance(rules, int):
        limit = "two tokens separated by one space, whose joined text is a token"
        raise file.error(f"{_MERGES}[{rules}]", lines[rules], limit)
    return rules
