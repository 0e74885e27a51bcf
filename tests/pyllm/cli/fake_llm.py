"""A language model made of a script: what it says and what it was asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyllm.outputs import Delta
from pyllm.sampling.params import SamplingParams


@dataclasses.dataclass
class FakeTokenizer:
    chat_template: str | None = "a template"

    def encode(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        assert (add_special, parse_special) == (True, True)
        return list(text.encode())


class FakeLLM:
    """Streams `pieces` in answer to everything; an exception among them is raised."""

    def __init__(
        self, pieces: list[Any] | None = None, template: str | None = "a template"
    ) -> None:
        self.pieces = ["Hel", "lo", "!"] if pieces is None else pieces
        self.tokenizer = FakeTokenizer(template)
        self.finish_reason = "stop"
        self.asked: list[tuple[Any, SamplingParams]] = []
        self.loads: list[tuple[Path, dict[str, Any]]] = []
        self.streams_ended = 0
        self.closed = 0
        self.kv_cache_bytes = 3 * 2**19
        self.kv_sequence_bytes = 2**19

    def load(self, path: Path, engine: Mapping[str, Any]) -> FakeLLM:
        """The loader to pass to Session and run."""
        self.loads.append((path, dict(engine)))
        return self

    def get_tokenizer(self) -> FakeTokenizer:
        return self.tokenizer

    def stream(self, prompt: Any, sampling_params: Any = None) -> Iterator[Delta]:
        self.asked.append((prompt, sampling_params))
        try:
            for number, piece in enumerate(self.pieces):
                if isinstance(piece, BaseException):
                    raise piece
                last = number == len(self.pieces) - 1
                yield Delta(
                    0,
                    piece,
                    [number],
                    finish_reason=self.finish_reason if last else None,  # type: ignore[arg-type]
                    finished=last,
                    prompt_token_ids=[1, 2, 3],
                )
        finally:
            self.streams_ended += 1

    def close(self) -> None:
        self.closed += 1
