"""The rows about the tensor table: names, sizes and types (A-32 … A-40, A-50 … A-52)."""

from __future__ import annotations

from tests.corpus.builder import (
    Gguf,
    Tensor,
    bare,
    string,
)
from tests.corpus.case import Case, write
from tests.corpus.tiny_model import tiny_model

__all__ = ["cases"]

I8_TYPE, F64_TYPE, Q4_0, Q4_K = 24, 28, 2, 12


def cases() -> list[Case]:
    return [*_names(), *_dimensions(), *_types()]


def _names() -> list[Case]:
    names = {
        "empty": b"",
        "64-bytes": b"w" * 64,
        "2^63-bytes": None,
        "nul": b"w\0evil",
        "parent-folder": b"../../x",
        "escape": b"\x1b[2Jw",
        "newline": b"a\nb",
        "not-utf8": b"w\xff",
        "right-to-left": "w\u202egpj".encode(),
    }
    found = []
    for name, raw in names.items():
        file = bare(Tensor(b"w" if raw is None else raw, [4], 0, bytes(16)))
        content = file.bytes()
        if raw is None:
            content = content.replace(string(b"w"), string(b"w", 1 << 63))
        found.append(Case("A-32", name, write(content), "tensor name"))
    twice = bare(Tensor(b"w", [8], 0, bytes(32)), Tensor(b"w", [8], 0, bytes(32)))
    return [*found, Case("A-33", "same-name-twice", write(twice), "each tensor once")]


def _dimensions() -> list[Case]:
    def one(dims: list[int], type_id: int = 0, rank: int | None = None) -> Gguf:
        return bare(Tensor(b"w", dims, type_id, rank=rank))

    def case(row: str, name: str, file: Gguf, message: str) -> Case:
        return Case(row, name, write(file), message)

    found = [
        case("A-34", "rank-5", one([1] * 5), "number of dimensions"),
        case("A-34", "rank-2^32-1", one([1], rank=(1 << 32) - 1), "number of dimensions"),
        Case("A-34", "rank-0-unused", write(_scalar_embedding()), "dimensions", "config"),
        case("A-36", "2^63-1", one([(1 << 63) - 1], I8_TYPE), "it needs 9223372036854775807"),
        case("A-36", "2^62,2", one([1 << 62, 2], I8_TYPE), r"2\^63-1 elements"),
        case("A-36", "2^31^3,1", one([1 << 31, 1 << 31, 1 << 31, 1]), r"2\^63-1 elements"),
        case("A-37", "product-wraps-to-0", one([1 << 32, 1 << 32]), r"2\^63-1 elements"),
        case("A-38", "product-wraps-negative", one([1 << 62, 2], I8_TYPE), r"2\^63-1 elements"),
        case("A-39", "q4_0-2^64", one([1 << 32, 1 << 32], Q4_0), r"2\^63-1 elements"),
        case("A-40", "bytes-do-not-fit", one([1 << 61], F64_TYPE), "size in bytes"),
        case("A-52", "q4_k-ne0-255", one([255, 2], Q4_K), "multiple of 256 for Q4_K"),
        case("A-52", "q4_0-ne0-33", one([33], Q4_0), "multiple of 32 for Q4_0"),
    ]
    for position in range(4):
        negative, zero = [4, 1, 1, 1], [4, 1, 1, 1]
        negative[position], zero[position] = -1, 0
        found.append(case("A-35", f"minus-1-at-{position}", one(negative), "at least 0"))
        file = tiny_model()
        file.tensors.append(Tensor(b"blk.1.extra", zero))
        found.append(Case("A-35", f"zero-at-{position}-parses", write(file), None))
        used = Case("A-35", f"zero-at-{position}-used", write(file), "at least 1", "config")
        found.append(used)
    return found


def _scalar_embedding() -> Gguf:
    file = tiny_model()
    embedding = file.tensor("token_embd.weight")
    embedding.dims, embedding.data = [], bytes(4)
    return file


def _types() -> list[Case]:
    found = []
    for type_id in (4, 5, 31, 32, 33, 36, 37, 38):
        file = bare(Tensor(b"w", [256], type_id))
        found.append(Case("A-50", f"removed-{type_id}", write(file), f"removed .*read {type_id},"))
    for type_id in (255, -1, 1 << 31, 43):
        file = bare(Tensor(b"w", [256], type_id))
        found.append(Case("A-50", f"unknown-{type_id}", write(file), "unknown tensor type"))
    for type_id, size in ((24, 1), (25, 2), (26, 4), (27, 8), (28, 8)):
        file = tiny_model()
        file.tensors.append(Tensor(b"blk.1.extra", [1], type_id, bytes(size)))
        error = "UnsupportedModelError"
        case = Case("A-51", f"type-{type_id}", write(file), "Q4_K, Q5_K", "config", error)
        found.append(case)
    return found
