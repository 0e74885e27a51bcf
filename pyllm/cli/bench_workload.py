"""The requests of `pyllm bench throughput` and `bench serve`: random tokens, or lines of a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.speculation import llm_options
from pyllm.errors import PyLLMError, RequestError, printable
from pyllm.prompts import encode_prompt

__all__ = [
    "Item",
    "Lengths",
    "Source",
    "check_lengths",
    "engine_options",
    "make_items",
    "warm_up",
]

_WARM_UP_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Item:
    """One request: its prompt and how many tokens the answer shall have."""

    prompt_token_ids: list[int]
    output_len: int

    @property
    def prompt(self) -> dict[str, Any]:
        """As `LLM.generate` takes it."""
        return {"prompt_token_ids": self.prompt_token_ids}

    @property
    def num_tokens(self) -> int:
        return len(self.prompt_token_ids) + self.output_len


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a random request: a prefix that all share, the rest of the prompt, the answer."""

    prefix_len: int
    input_len: int
    output_len: int

    @property
    def total(self) -> int:
        return self.prefix_len + self.input_len + self.output_len


@dataclass(frozen=True, slots=True)
class Source:
    """Where requests come from."""

    count: int
    path: str | None  # a file of JSON lines; None: random tokens
    lengths: Lengths
    seed: int


def engine_options(engine: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """The options of the LLM; the context of random requests is no longer than they are."""
    options = llm_options(engine)
    if options["max_model_len"] is None and source.path is None:
        options["max_model_len"] = source.lengths.total
    return options


def make_items(source: Source, tokenizer: Any) -> list[Item]:
    """The requests. Raises CommandLineError for a file that has none, and OSError."""
    if source.path is None:
        return random_items(source.lengths, source.count, tokenizer.n_vocab, source.seed)
    return dataset(source.path, source.count, source.lengths.output_len, tokenizer)


def check_lengths(items: list[Item], max_model_len: int) -> None:
    """Raises CommandLineError unless every answer can have its full length."""
    longest = max(item.num_tokens for item in items)
    if longest > max_model_len:
        raise CommandLineError(
            f"prompt and answer have up to {longest} tokens, the context holds {max_model_len}; "
            "ask for less, or raise -c/--max-model-len"
        )


def warm_up(source: Source, n_vocab: int, max_model_len: int) -> dict[str, Any]:
    """A prompt that makes the engine touch all weights, and helps no prompt of the workload."""
    lengths = Lengths(0, min(_WARM_UP_TOKENS, max_model_len - 1), 1)
    return random_items(lengths, 1, n_vocab, source.seed + 1)[0].prompt


def random_items(lengths: Lengths, count: int, n_vocab: int, seed: int) -> list[Item]:
    """The same tokens for the same seed, whatever the count."""
    rng = np.random.default_rng(seed)
    prefix: list[int] = rng.integers(0, n_vocab, lengths.prefix_len).tolist()
    return [
        Item(prefix + rng.integers(0, n_vocab, lengths.input_len).tolist(), lengths.output_len)
        for _ in range(count)
    ]


def dataset(path: str, count: int, output_len: int, tokenizer: Any) -> list[Item]:
    """The first `count` lines of a JSON lines file, or all when there are fewer.

    {"prompt": text} or {"prompt_token_ids": [...]}; "output_tokens", as in vLLM's custom data
    sets, goes before `output_len`. Raises CommandLineError naming the line, and OSError.
    """
    items: list[Item] = []
    for number, line in enumerate(_lines(path), 1):
        if len(items) == count:
            break
        if not line.strip():
            continue
        try:
            items.append(_item(line, output_len, tokenizer))
        except (ValueError, PyLLMError) as error:
            raise CommandLineError(f"{printable(path)}, line {number}: {error}") from None
    if not items:
        raise CommandLineError(f"{printable(path)} has no prompts")
    return items


def _lines(path: str) -> Iterator[str]:
    with Path(path).expanduser().open(encoding="utf-8") as file:
        try:
            yield from file
        except UnicodeDecodeError as error:
            raise CommandLineError(f"{printable(path)} is not UTF-8 text: {error.reason}") from None


def _item(line: str, output_len: int, tokenizer: Any) -> Item:
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("is no JSON object")
    length = fields.pop("output_tokens", output_len)
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise RequestError("output_tokens", length, "must be an integer, 1 or more")
    known = {key: fields[key] for key in ("prompt", "prompt_token_ids") if key in fields}
    return Item(encode_prompt(known, tokenizer)[1], length)
