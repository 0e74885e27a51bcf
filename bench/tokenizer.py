"""How fast text becomes tokens, beside the libraries that others use for it.

    python bench/tokenizer.py                   vocabularies of the test material, or a made-up one
    python bench/tokenizer.py MODEL.gguf …      those of real files

Megabytes of UTF-8 per second, best of several runs; one thread. Exits with 1 when pyllm encodes
less than 5 MB/s of the long prose. --quick leaves the one-class texts out.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gguf
from tokenizers import Tokenizer as HubTokenizer
from tokenizers import models, pre_tokenizers

from pyllm.gguf import GGUFFile, StringArray
from pyllm.tokenizer import Tokenizer
from vocabulary import make_vocabulary

MATERIAL = Path(
    os.environ.get(
        "PYLLM_TEST_MATERIAL",
        Path(__file__).resolve().parents[2] / "shared" / "material",
    )
)
VOCABULARIES = ("llama-spm", "gpt-2", "phi-3")
LIMIT = 5.0  # MB/s of prose
RUNS = 3
PROSE = frozenset({"synthetic prose", "wikitext"})
MEGABYTES = 8


def main() -> int:
    parser = argparse.ArgumentParser(description="Encoding speed in MB/s.")
    parser.add_argument("files", nargs="*", type=Path, help="GGUF files with a vocabulary")
    parser.add_argument("--quick", action="store_true", help="prose only")
    options = parser.parse_args()
    texts = prose() if options.quick else prose() | one_class()
    with tempfile.TemporaryDirectory() as folder:
        files = options.files or material_files() or [made_up(Path(folder) / "made-up.gguf")]
        slowest = min(report(file, texts) for file in files)
    print(f"slowest prose: {slowest:.1f} MB/s, wanted {LIMIT:.0f}")
    return 0 if slowest >= LIMIT else 1


def material_files() -> list[Path]:
    folder = MATERIAL / "tokenizers" / "ggml-vocab"
    paths = [folder / f"ggml-vocab-{name}.gguf" for name in VOCABULARIES]
    return [path for path in paths if path.exists()]


def made_up(path: Path) -> Path:
    """A file with a vocabulary of 32 000 tokens that nobody trained."""
    vocabulary = make_vocabulary(32_000, qwen=False)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(vocabulary.merges)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def prose() -> dict[str, str]:
    """Long texts: WikiText-2 where it is, and random words with the frequencies of a language."""
    rng = random.Random(1)
    letters = "etaoinshrdlucmfwypvbgk"
    lexicon = ["".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(20_000)]
    weights = [1 / rank for rank in range(1, len(lexicon) + 1)]
    words = rng.choices(lexicon, weights, k=MEGABYTES * 200_000)
    marks = rng.choices([" ", " ", " ", " ", ", ", ". ", "\n"], k=len(words))
    texts = {"synthetic prose": "".join(w + m for w, m in zip(words, marks, strict=True))}
    wikitext = MATERIAL / "evals" / "wikitext-2" / "valid.txt"
    if wikitext.exists():
        texts["wikitext"] = wikitext.read_text(encoding="utf-8") * 4
    return texts


def one_class() -> dict[str, str]:
    """Megabytes of one character class: what takes quadratic time where a word is long."""
    rng = random.Random(2)
    n = MEGABYTES * 1_000_000
    return {
        "one letter": "a" * n,
        "random letters": "".join(rng.choices("etaoinshrdlucm", k=n)),
        "newlines": "\n" * n,
        "spaces": " " * n,
        "random digits": "".join(rng.choices("0123456789", k=n)),
        "combining marks": "\u0301" * (n // 2),
    }


def report(path: Path, texts: dict[str, str]) -> float:
    """Prints a table for one vocabulary; returns the slowest rate for prose."""
    with GGUFFile.open(path) as file:
        start = time.perf_counter()
        tokenizer = Tokenizer.from_gguf(file)
        loaded = time.perf_counter() - start
        name, peer = peer_of(file)
    print(f"\n{path.name}: {tokenizer.name}, {tokenizer.n_vocab} tokens, built in {loaded:.2f} s")
    print(f"| text | MB | pyllm MB/s | {name} MB/s |")
    print("|---|---:|---:|---:|")
    slowest = float("inf")
    for kind, text in texts.items():
        size = len(text.encode()) / 1e6
        rate = size / best_time(lambda text=text: tokenizer.encode(text), RUNS)  # type: ignore[misc]
        # A fiftieth of the text for the peer: some of these take it minutes.
        part = text[: len(text) // 50]
        peer_rate = "-"
        if peer is not None:
            peer_time = best_time(lambda part=part: peer(part), 1)  # type: ignore[misc]
            peer_rate = f"{len(part.encode()) / 1e6 / peer_time:.1f}"
        print(f"| {kind} | {size:.1f} | {rate:.1f} | {peer_rate} |", flush=True)
        if kind in PROSE:
            slowest = min(slowest, rate)
    return slowest


def best_time(work: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def peer_of(file: GGUFFile) -> tuple[str, Callable[[str], object] | None]:
    """The usual library on the same vocabulary, or on Llama 2's for SPM."""
    if file.get("tokenizer.ggml.model", str) == "gpt2":
        return "tokenizers", hub_tokenizer(file)
    path = MATERIAL / "tokenizers" / "llama2-spm" / "tokenizer.model"
    if not path.exists():
        return "sentencepiece", None
    import sentencepiece

    return "sentencepiece", sentencepiece.SentencePieceProcessor(str(path)).encode


def hub_tokenizer(file: GGUFFile) -> Callable[[str], object]:
    tokens = list(file.get("tokenizer.ggml.tokens", StringArray))
    lines = file.get("tokenizer.ggml.merges", StringArray)
    merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines)]
    vocabulary = {token: at for at, token in enumerate(tokens)}
    model = HubTokenizer(models.BPE(vocab=vocabulary, merges=merges))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return lambda text: model.encode_batch_fast([text])[0].ids


if __name__ == "__main__":
    sys.exit(main())
