"""JSON of any length, written in short steps: between two of them other threads get their turn."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from pyllm.server.streams import to_json

__all__ = ["long_json"]

_MOST_VALUES = 2000  # written in one step, which lets nobody in: half a millisecond
_ITEMS = 64  # of a list that are tried together


def long_json(value: Any) -> bytes:
    """The same as `to_json`; the items of an iterator are made as they are written, so that the
    garbage collector, which holds Python too, never sees all of them."""
    return b"".join(_parts(value))


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, Iterator):
        yield from _list(value)
    elif not isinstance(value, dict | list) or _is_small(value):
        yield to_json(value)
    elif isinstance(value, dict):
        yield from _object(value)
    else:
        yield from _list(iter(value))


def _object(fields: dict[str, Any]) -> Iterator[bytes]:
    before = b"{"
    for name, value in fields.items():
        yield before + to_json(name) + b":"
        yield from _parts(value)
        before = b","
    yield b"}"


def _list(items: Iterator[Any]) -> Iterator[bytes]:
    before = b"["
    while some := list(islice(items, _ITEMS)):
        if _is_small(some):
            yield before + to_json(some)[1:-1]
        else:
            for item in some:
                yield before
                yield from _parts(item)
                before = b","
        before = b","
    yield b"]" if before == b"," else b"[]"


def _is_small(value: Any) -> bool:
    rest, count = [value], 0
    while rest:
        item = rest.pop()
        count += 1
        if count > _MOST_VALUES or isinstance(item, Iterator):
            return False
        if isinstance(item, dict):
            rest += item.values()
        elif isinstance(item, list):
            rest += item
    return True
