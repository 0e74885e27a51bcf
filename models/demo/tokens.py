"""The tokenizer: a sentencepiece BPE model of 2048 pieces, trained on the corpus.

python -m models.demo.tokens tokenizer.model
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import sentencepiece

from .corpus.chat_format import CONTROL, TAGS
from .corpus.documents import documents

VOCABULARY = 2048
BOS, EOS = 1, 2
_SEED, _DOCUMENTS = 1, 40_000  # shard -1: no training document is drawn with it
_SPECIAL = re.compile("(" + "|".join(map(re.escape, (*CONTROL, *TAGS))) + ")")


class Tokens:
    """Text to ids and back; control tokens in the text are found, as a chat template wants it."""

    def __init__(self, path: str | Path) -> None:
        self.model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        self._control = {text: self.model.piece_to_id(text) for text in CONTROL}
        self.end = self._control["<|end|>"]

    def encode(self, text: str) -> list[int]:
        """Ids without BOS. The tool-call tags are pieces of their own in any text."""
        ids: list[int] = []
        for part in _SPECIAL.split(text):
            if part in self._control:
                ids.append(self._control[part])
            elif part:
                ids += self.model.encode(part)
        return ids

    def is_tag(self, token: int) -> bool:
        """Whether it is a tool-call tag, which is found in any text."""
        return self.model.id_to_piece(token) in TAGS

    def decode(self, ids: list[int]) -> str:
        text: str = self.model.decode(ids)
        return text


def train(path: Path) -> None:
    """Writes the sentencepiece model to `path`; one thread, so that it is always the same."""
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_lines(),
            model_writer=file,
            model_type="bpe",
            vocab_size=VOCABULARY,
            character_coverage=1.0,
            byte_fallback=True,
            split_digits=True,
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            normalization_rule_name="identity",
            control_symbols=list(CONTROL),
            user_defined_symbols=list(TAGS),
            num_threads=1,
            minloglevel=1,
        )


def _lines() -> Iterator[str]:
    for document in documents(_SEED, -1, _DOCUMENTS):
        for text, _ in document:
            for part in _SPECIAL.split(text):
                if part and not _SPECIAL.fullmatch(part):
                    yield from filter(None, part.split("\n"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    train(parser.parse_args().path)


if __name__ == "__main__":
    main()
