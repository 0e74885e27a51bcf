"""The rows about where tensor data lies (A-41 … A-49, A-53)."""

from __future__ import annotations

from tests.corpus.builder import (
    Gguf,
    Tensor,
    bare,
)
from tests.corpus.case import Case, write
from tests.corpus.tiny_model import tiny_model

__all__ = ["cases"]

I8_TYPE = 24


def cases() -> list[Case]:
    return [*_places(), *_order(), *_ends()]


def _places() -> list[Case]:
    def pair(first: Tensor, second: Tensor) -> Gguf:
        return bare(first, second, tail=256)

    huge = (1 << 63) - 64
    sum_wraps = pair(Tensor(b"a", [huge], I8_TYPE), Tensor(b"b", [huge], I8_TYPE, offset=huge))
    pad_wraps = pair(
        Tensor(b"a", [(1 << 63) - 1], I8_TYPE),
        Tensor(b"b", [(1 << 63) - 1], I8_TYPE, offset=1 << 63),
    )
    overhead = bare(*(Tensor(b"t%d" % i, [1 << 58], I8_TYPE, offset=i << 58) for i in range(40)))
    found = [
        Case("A-41", "sizes-sum-wraps", write(sum_wraps), "it needs"),
        Case("A-42", "size-plus-padding-wraps", write(pad_wraps), "it needs"),
        Case("A-43", "overhead-plus-data-wraps", write(overhead), "it needs"),
    ]
    file = tiny_model()
    size = len(file.bytes())
    offsets = {
        "A-44 wraps-2^64": (1 << 64) - 32,
        "A-45 file-size": size,
        "A-45 file-size-minus-1": size - 1,
        "A-45 2^63": 1 << 63,
        "A-47 not-aligned": 33,
        "A-47 negative": -32,
        "A-47 minus-1": -1,
    }
    for row_name, offset in offsets.items():
        row, name = row_name.split(" ")
        file = tiny_model()
        file.tensors[-1].offset = offset
        found.append(Case(row, name, write(file), "data offset: read"))
    return found


def _order() -> list[Case]:
    def two(second_offset: int, first_offset: int | None = None) -> Gguf:
        first = Tensor(b"a", [16], 0, bytes(64), first_offset)
        return bare(first, Tensor(b"b", [16], 0, bytes(64), second_offset), tail=256)

    return [
        Case("A-48", "identical", write(two(0)), "overlaps"),
        Case("A-48", "partial", write(two(32)), "overlaps"),
        Case("A-48", "inside", write(_inside()), "overlaps"),
        Case("A-49", "gap", write(two(96)), "gap"),
        Case("A-49", "gap-before-the-first", write(two(96, 32)), "gap"),
        Case("A-49", "out-of-order", write(two(0, 64)), "out of order"),
    ]


def _inside() -> Gguf:
    big = Tensor(b"a", [64], 0, bytes(256))
    return bare(big, Tensor(b"b", [8], 0, b"", offset=64), tail=256)


def _ends() -> list[Case]:
    whole = tiny_model().bytes()
    trailing = write(whole + b"x" * 100)
    no_padding = tiny_model()
    odd = Tensor(b"blk.1.odd", [3], 0, bytes(12))
    no_padding.tensors.append(odd)
    text = r"read 6143, allowed: it needs 6144; truncated download\?"
    return [
        Case("A-46", "one-byte-short", write(whole[:-1]), text),
        Case("A-46", "last-padding-cut", write(no_padding.bytes()[:-20]), None),
        Case("A-46", "no-data-at-all", write(tiny_model().header()), "truncated download"),
        Case(
            "A-53",
            "trailing",
            trailing,
            None,
            "record",
            warning="100 bytes follow",
        ),
    ]
