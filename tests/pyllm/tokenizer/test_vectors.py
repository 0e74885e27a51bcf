"""Real vocabularies against llama.cpp's published token ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyllm.gguf import GGUFFile
from pyllm.tokenizer import Tokenizer
from tests.pyllm.tokenizer.files import material, write_bpe_from_ranks

_VOCABULARIES = ("tokenizers", "ggml-vocab")
_RANKS = {
    "llama-bpe": ("tokenizers", "llama3-llama4-tiktoken", "llama3.tokenizer.model"),
    "qwen2": ("tokenizers", "qwen-tiktoken", "qwen.tiktoken"),
}


def _cases(name: str) -> list[tuple[str, list[int]]]:
    texts = material(*_VOCABULARIES, f"ggml-vocab-{name}.gguf.inp")
    ids = material(*_VOCABULARIES, f"ggml-vocab-{name}.gguf.out")
    with texts.open(encoding="utf-8", newline="") as file:
        inputs = file.read().split("\n__ggml_vocab_test__\n")
    lines = ids.read_text().split("\n")
    assert len(inputs) == len(lines) == 47
    return [(text, list(map(int, line.split()))) for text, line in zip(inputs, lines, strict=True)]


@pytest.fixture(scope="module", params=["llama-spm", "phi-3", "gpt-2", "llama-bpe", "qwen2"])
def real(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tokenizer, list[tuple[str, list[int]]]]:
    name = request.param
    cases = _cases(name)
    if name in _RANKS:
        path: Path = tmp_path_factory.mktemp("vocabulary") / f"{name}.gguf"
        write_bpe_from_ranks(material(*_RANKS[name]), path, name)
    else:
        path = material(*_VOCABULARIES, f"ggml-vocab-{name}.gguf")
    with GGUFFile.open(path) as file:
        return Tokenizer.from_gguf(file), cases


def test_all_47_texts_give_the_published_ids(
    real: tuple[Tokenizer, list[tuple[str, list[int]]]],
) -> None:
    tokenizer, cases = real
    wrong = [text for text, ids in cases if tokenizer.encode(text, add_special=False) != ids]
    assert wrong == []


def test_decoding_gives_the_text_back(
    real: tuple[Tokenizer, list[tuple[str, list[int]]]],
) -> None:
    tokenizer, cases = real
    for text, ids in cases:
        assert tokenizer.decode(ids) == text
