"""Training documents: conversations, and one in twelve a plain text without any turns."""

from __future__ import annotations

from collections.abc import Iterator

from .chat_format import segments
from .draw import Draw
from .facts import facts
from .families import any_case
from .stories import story

Document = list[tuple[str, bool]]  # text, whether the model is to write it


def documents(seed: int, shard: int, count: int) -> Iterator[Document]:
    """The documents of one shard; the same seed and shard always give the same ones."""
    draw = Draw(f"train {seed} {shard}")
    for _ in range(count):
        yield _plain(draw) if draw.chance(0.06) else segments(any_case(draw))


def _plain(d: Draw) -> Document:
    """Text that goes on as it began, for completion without a chat."""
    text = story(d).answer if d.chance(0.6) else facts(d).answer
    return [(text + "<|end|>", True)]
