"""Model files for tokenizer tests: made-up metadata, small trained vocabularies, real ones."""

from __future__ import annotations

import base64
import io
import json
import os
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import sentencepiece
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as HubTokenizer

from pyllm.gguf import GGUFFile, StringArray
from pyllm.tokenizer.byte_letters import LETTERS

ROOT = Path(__file__).resolve().parents[3]
MATERIAL = Path(os.environ.get("PYLLM_TEST_MATERIAL", ROOT.parent / "shared" / "material"))

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]


def material(*parts: str) -> Path:
    """A file of the optional test material; skips the test where it is absent."""
    path = MATERIAL.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"test material is absent: {path}")
    return path


class FakeMetadata(dict[str, Any]):
    def offset(self, key: str) -> int | None:
        return 64 if key in self else None

    def type_name(self, key: str) -> str:
        return type(self[key]).__name__

    def python_type(self, key: str) -> type:
        kind = type(self[key])
        return StringArray if issubclass(kind, list) else kind


class ListedStrings(StringArray):
    """A list as the string array it would be in a file; the bytes are made when asked for."""

    __slots__ = ("_texts",)

    def __init__(self, texts: list[str]) -> None:
        super().__init__(b"", 0, len(texts), 0)  # type: ignore[arg-type]
        self._texts = texts

    def _lay_out(self) -> None:
        raw = [text.encode("utf-8", "surrogateescape") for text in self._texts]
        data = b"".join(len(each).to_bytes(8, "little") + each for each in raw)
        super().__init__(data, 0, len(raw), len(data))  # type: ignore[arg-type]

    def place(self) -> Any:
        self._lay_out()
        return super().place()

    def raw(self, index: int) -> bytes:
        return self._texts[index].encode("utf-8", "surrogateescape")

    def tolist(self) -> list[str]:
        return list(self._texts)


class FakeFile:
    """Metadata without a file; reads keys exactly as GGUFFile does."""

    error = GGUFFile.error

    def __init__(self, metadata: dict[str, Any]) -> None:
        self.path = Path("made-up.gguf")
        self.metadata = FakeMetadata(
            {f"tokenizer.ggml.{key}" if "." not in key else key: v for key, v in metadata.items()}
        )

    def get(self, key: str, *kind: Any) -> Any:
        value = GGUFFile.get(self, key, *kind)  # type: ignore[call-overload]
        return ListedStrings(value) if isinstance(value, list) else value


def spm_file(pieces: dict[str, float], **keys: Any) -> FakeFile:
    """An SPM vocabulary: <unk> <s> </s>, 256 bytes, then `pieces` with their scores."""
    tokens = ["<unk>", "<s>", "</s>", *BYTE_TOKENS, *pieces]
    metadata: dict[str, Any] = {
        "model": "llama",
        "tokens": tokens,
        "scores": np.array([0.0] * 259 + list(pieces.values()), np.float32),
        "token_type": np.array(
            [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * len(pieces), np.int32
        ),
        "bos_token_id": 1,
        "eos_token_id": 2,
        "unknown_token_id": 0,
    }
    return FakeFile(metadata | keys)


def bpe_file(
    merges: list[str], *, pre: str = "gpt-2", extra: dict[str, int] | None = None, **keys: Any
) -> FakeFile:
    """A byte-level vocabulary: 256 bytes, the merges' results, then `extra` texts with types."""
    extra = extra or {}
    made = dict.fromkeys(merge.replace(" ", "") for merge in merges)
    tokens = [*LETTERS, *made, *extra]
    metadata: dict[str, Any] = {
        "model": "gpt2",
        "pre": pre,
        "tokens": tokens,
        "token_type": np.array([NORMAL] * (256 + len(made)) + list(extra.values()), np.int32),
        "merges": merges,
    }
    return FakeFile(metadata | keys)


@cache
def training_text() -> str:
    """About 200 kB of prose and code: this repository's own sources."""
    paths = sorted((ROOT / "pyllm").rglob("*.py"))
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)[:200_000]


@cache
def trained_spm() -> tuple[FakeFile, sentencepiece.SentencePieceProcessor]:
    """A sentencepiece BPE model of 800 pieces and the file that a converter would make of it."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(training_text().splitlines()),
        model_writer=out,
        model_type="bpe",
        vocab_size=800,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    ids = range(model.get_piece_size())
    kinds = [
        UNKNOWN
        if model.is_unknown(i)
        else CONTROL
        if model.is_control(i)
        else BYTE
        if model.is_byte(i)
        else NORMAL
        for i in ids
    ]
    metadata = {
        "model": "llama",
        "tokens": [model.id_to_piece(i) for i in ids],
        "scores": np.array([model.get_score(i) for i in ids], np.float32),
        "token_type": np.array(kinds, np.int32),
        "bos_token_id": model.bos_id(),
        "eos_token_id": model.eos_id(),
        "unknown_token_id": model.unk_id(),
    }
    return FakeFile(metadata), model


# The expressions as their models publish them; the `tokenizers` library runs them.
PUBLISHED_PATTERNS = {
    "gpt-2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama-bpe": r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


@cache
def trained_bpe(pre: str) -> tuple[FakeFile, HubTokenizer]:
    """A byte-level BPE of 800 tokens and the file that a converter would make of it."""
    model = HubTokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PUBLISHED_PATTERNS[pre]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=800, initial_alphabet=list(LETTERS), show_progress=False
    )
    model.train_from_iterator(training_text().splitlines(keepends=True), trainer)
    vocab = model.get_vocab()
    tokens = sorted(vocab, key=vocab.__getitem__)
    merges = [" ".join(pair) for pair in json.loads(model.to_str())["model"]["merges"]]
    metadata = {
        "model": "gpt2",
        "pre": pre,
        "tokens": tokens,
        "token_type": np.full(len(tokens), NORMAL, np.int32),
        "merges": merges,
    }
    return FakeFile(metadata), model


def write_bpe_from_ranks(ranks_file: Path, path: Path, pre: str) -> None:
    """Writes a vocabulary GGUF from a tiktoken rank file ("base64 rank" lines)."""
    ranks: dict[bytes, int] = {}
    for line in ranks_file.read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    by_rank = sorted(ranks, key=ranks.__getitem__)
    pairs = [_last_merge(token, ranks) for token in by_rank if len(token) > 1]
    # A few tokens are not built of two others; only a whole word gives them.
    merges = [(left, right) for left, right in pairs if left in ranks and right in ranks]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([_spelled(token) for token in by_rank])
    writer.add_token_types([NORMAL] * len(by_rank))
    writer.add_token_merges([f"{_spelled(left)} {_spelled(right)}" for left, right in merges])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def _last_merge(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two tokens a token is made of: merge its bytes by rank until two parts are left."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        pair_ranks = [ranks.get(left + right, 1 << 30) for left, right in pairwise(parts)]
        best = pair_ranks.index(min(pair_ranks))
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts[0], parts[1]


def _spelled(token: bytes) -> str:
    return "".join(LETTERS[byte] for byte in token)
