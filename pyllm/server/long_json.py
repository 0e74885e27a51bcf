"""JSON of any length, written in short steps: between two of them other threads get their turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyllm.server.streams import to_json

__all__ = ["long_json"]

_MOST_VALUES = 2000  # written in one step, which lets nobody in: half a millisecond
_ITEMS = 64  # of a list that are tried together


def long_json(value: Any) -> bytes:
    """The same as `to_json`, of dicts and lists."""
    return b"".join(_parts(value))


def _parts(value: Any) -> Iterator[bytes]:
    if not isinstance(value, dict | list) or _is_small(value):
        yield to_json(value)
    elif isinstance(value, dict):
        yield from _object(value)
    else:
        yield from _list(value)


def _object(fields: dict[str, Any]) -> Iterator[bytes]:
    before = b"{"
    for name, value in fields.items():
        yield before + to_json(name) + b":"
        yield from _parts(value)
        before = b","
    yield b"}"


def _list(items: list[Any]) -> Iterator[bytes]:
    before = b"["
    for at in range(0, len(items), _ITEMS):
        some = items[at : at + _ITEMS]
        if _is_small(some):
            yield before + to_json(some)[1:-1]
        else:
            for item in some:
                yield before
                yield from _parts(item)
                before = b","
        before = b","
    yield b"]"


def _is_small(value: Any) -> bool:
    rest, count = [value], 0
    while rest:
        item = rest.pop()
        count += 1
        if count > _MOST_VALUES:
            return False
        if isinstance(item, dict):
            rest += item.values()
        elif isinstance(item, list):
            rest += item
    return True
