"""The rows about keys, values and arrays (A-20 … A-30)."""

from __future__ import annotations

import struct

from tests.corpus.builder import (
    ARRAY,
    BOOL,
    I32,
    STRING,
    U8,
    U64,
    Entry,
    Gguf,
    array,
    key,
    string,
)
from tests.corpus.case import Case, write
from tests.corpus.tiny_model import tiny_model

__all__ = ["cases"]


def cases() -> list[Case]:
    return [*_keys(), *_values(), *_arrays(), *_alignments()]


def _raw_entries(raw: bytes, count: int = 1) -> Gguf:
    """A file whose metadata section is exactly these bytes."""
    entry = Entry(b"", 0, b"")
    entry.bytes = lambda: raw  # type: ignore[method-assign]
    return Gguf([entry], num_keys=count)


def _keys() -> list[Case]:
    size = 24 + 8 + 64  # header, the length itself, what follows
    found = []
    for length in (1 << 63, 1 << 32, size + 1, (1 << 64) - 1):
        raw = string(b"", length) + bytes(64)
        text = "key length: read|key: truncated"
        found.append(Case("A-20", f"key-length-{length}", write(_raw_entries(raw)), text))
    for name, raw in {
        "empty": b"",
        "nul": b"general\0name",
        "not-utf8": b"general.\xff\xfe",
        "surrogate": "\ud800".encode("utf-8", "surrogatepass"),
        "64-kib": b"k" * 65_536,
    }.items():
        text = {"64-kib": "at most 65535", "not-utf8": "UTF-8", "surrogate": "UTF-8"}
        file = tiny_model().set(key(raw, 1))
        found.append(Case("A-21", f"key-{name}", write(file), text.get(name, "non-empty name")))
    same = {
        "same-value": key("general.name", "tiny"),
        "other-value": key("general.name", "other"),
        "other-type": key("general.name", 1),
    }
    for name, entry in same.items():
        file = tiny_model()
        file.entries.append(entry)
        found.append(Case("A-30", name, write(file), "each key once"))
    return found


def _values() -> list[Case]:
    found = []
    for length in (1 << 63, (16 << 20) + 1, 1 << 32):
        entry = Entry(b"general.name", STRING, string(b"", length))
        case = Case("A-22", f"string-{length}", write(Gguf([entry])), "at most 16777216")
        found.append(case)
    bad_utf8 = tiny_model().set(key("general.name", b"\xc3\x28"))
    found.append(Case("A-22", "string-not-utf8", write(bad_utf8), "UTF-8"))
    template = tiny_model().set(key("tokenizer.chat_template", "x" * ((1 << 20) + 1)))
    found.append(Case("A-22", "template-over-1-mib", write(template), "at most 1048576"))
    for type_id in (13, -1, 255):
        file = tiny_model().set(Entry(b"general.name", type_id, bytes(16)))
        found.append(Case("A-23", f"type-{type_id}", write(file), "value type: .*0 to 12"))
    for value in (2, 255):
        scalar = tiny_model().set(key("general.flag", value, BOOL))
        inside = tiny_model().set(array("general.flags", BOOL, [1, 0, value]))
        found.append(Case("A-27", f"bool-{value}", write(scalar), "0 or 1 for a bool"))
        found.append(Case("A-27", f"bool-{value}-in-array", write(inside), "0 or 1 for each bool"))
    return found


def _arrays() -> list[Case]:
    def case(row: str, name: str, entry: Entry, message: str) -> Case:
        # Without padding: the array is the last thing in the file.
        file = Gguf([key("general.architecture", "llama"), entry])
        return Case(row, name, write(file.header()), message)

    nested = Entry(b"a", ARRAY, struct.pack("<IQIQI", ARRAY, 1, 4, 1, 7))
    deep = Entry(b"a", ARRAY, struct.pack("<IQ", ARRAY, 1) * 10_000 + struct.pack("<IQ", U8, 0))
    wraps = (1 << 63) + 1  # × 8 bytes = 8 in 64 bits
    four_million = Entry(b"a", ARRAY, struct.pack("<IQ", STRING, 4_000_000) + bytes(32_000_000))
    cut = Entry(b"a", ARRAY, struct.pack("<IQ", STRING, 2) + string(b"ok") + b"\1\0\0")
    long_element = Entry(b"a", ARRAY, struct.pack("<IQ", STRING, 1) + string(b"", (16 << 20) + 1))
    past_end = Entry(b"a", ARRAY, struct.pack("<IQ", STRING, 1) + string(b"abc", 4))
    wraps_end = Entry(b"a", ARRAY, struct.pack("<IQ", STRING, 1) + string(b"", (1 << 64) - 1))
    type_cut = Entry(b"a", ARRAY, b"\x08\0")
    length_cut = Entry(b"a", ARRAY, struct.pack("<IQ", STRING, 2) + string(b"x" * 8) + b"\1\0")
    return [
        case("A-24", "type-cut", type_cut, "element type: truncated"),
        case("A-24", "second-length-cut", length_cut, "truncated, bytes left: read 2"),
        case("A-24", "type-13", array("a", 13, [1]), "element type: .*0 to 12"),
        case("A-24", "count-2^63", array("a", U8, [1], 1 << 63), "at most"),
        case("A-24", "size-wraps", array("a", U64, [1], wraps), "at most"),
        case("A-24", "over-64-mi", array("a", U8, [1], (64 << 20) + 1), "at most"),
        case("A-24", "one-too-many", array("a", I32, [1, 2], 3), "truncated"),
        case("A-24", "strings-2^26", array("a", STRING, [], 64 << 20), "truncated"),
        case("A-24", "string-cut", cut, "truncated"),
        case("A-24", "string-over-16-mib", long_element, "at most 16777216"),
        case("A-24", "string-past-end", past_end, "at most the 3 bytes left"),
        case("A-24", "string-length-wraps", wraps_end, "string length"),
        case("A-25", "array-in-array", nested, "no array inside an array"),
        case("A-25", "depth-10000", deep, "no array inside an array"),
        # The pages of the 32 MB file itself count as memory of the process once they are read.
        Case("A-26", "4m-empty-strings", write(Gguf([four_million])), None, max_mib=64),
    ]


def _alignments() -> list[Case]:
    name = "general.alignment"
    found = [
        Case(
            "A-28", f"alignment-{value}", write(tiny_model().set(key(name, value))), "power of two"
        )
        for value in (0, 3, 13, 1 << 31, 131_072)
    ]
    others = {
        "i32": key(name, 32, I32),
        "u64": key(name, 32, U64),
        "string": key(name, "32"),
        "array": array(name, I32, [32]),
        "bool": key(name, True),
    }
    for kind, entry in others.items():
        found.append(Case("A-29", kind, write(tiny_model().set(entry)), "type uint32"))
    for value in (1, 8, 65_536):
        file = tiny_model().set(key(name, value))
        file.alignment = value
        found.append(Case("A-28", f"alignment-{value}-is-fine", write(file), None, "record"))
    return found
