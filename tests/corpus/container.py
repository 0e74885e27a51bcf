"""The rows about the file as a whole: magic, version and counts (A-01 … A-16)."""

from __future__ import annotations

import struct

from tests.corpus.builder import (
    Gguf,
    Tensor,
    bare,
    key,
)
from tests.corpus.case import Case, write
from tests.corpus.tiny_model import tiny_model

__all__ = ["cases"]


def cases() -> list[Case]:
    return [*_wrong_files(), *_header(), *_counts()]


def _wrong_files() -> list[Case]:
    lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    safetensors = struct.pack("<Q", 16) + b'{"a":{"b": 123}}'
    looks = {
        "git-lfs": (lfs, "Git LFS pointer, not the model"),
        "safetensors": (safetensors, "safetensors"),
        "zip": (b"PK\3\4" + bytes(30), "zip archive"),
        "pickle": (b"\x80\x02ctorch\n", "pickle"),
        "html": (b"<!DOCTYPE html><html>404</html>", "web page"),
        "json": (b'{"error": "not found"}', "JSON"),
        "png": (b"\x89PNG\r\n\x1a\n", "PNG image"),
        "gzip": (b"\x1f\x8b\x08\0", "gzip"),
        "ggml": (b"lmgg" + bytes(40), "old GGML format"),
        "ggml-swapped": (b"ggml" + bytes(40), "old GGML format"),
        "GGML": (b"GGML" + bytes(40), "old GGML format"),
        "ggjt": (b"tjgg" + bytes(40), "old GGML format"),
        "ggjt-swapped": (b"ggjt" + bytes(40), "old GGML format"),
        "FUGG": (b"FUGG" + bytes(40), "big-endian"),
        "zeros": (bytes(4096), "zeros"),
        "text": (b"Not Found\n", "text file"),
        "noise": (bytes(range(128, 256)), "not a GGUF file"),
    }
    found = [Case("A-03", name, write(raw), text) for name, (raw, text) in looks.items()]
    return [
        Case("A-01", "empty", write(b""), "0 bytes"),
        Case("A-02", "four-bytes", write(b"GGUF"), "header: truncated"),
        Case("A-02", "two-bytes", write(b"GG"), "magic"),
        *found,
    ]


def _header() -> list[Case]:
    versions = {0: "2 or 3", 1: "2 or 3", 4: "2 or 3", 0xFFFFFFFF: "2 or 3"}
    found = []
    for version, text in versions.items():
        file = tiny_model()
        file.version = version
        found.append(Case("A-04", f"version-{version}", write(file), f"version: .*{text}"))
    for version in (2, 3):
        file = tiny_model()
        file.version = version
        found.append(Case("A-04", f"version-{version}", write(file), None, "record"))
    big = b"GGUF" + struct.pack(">IQQ", 3, 0, 1) + bytes(64)
    return [*found, Case("A-05", "big-endian", write(big), "big-endian file on a little-endian")]


def _counts() -> list[Case]:
    found = []
    for value in (-1, 1 << 63, 1 << 40):
        tensors, keys = tiny_model(), tiny_model()
        tensors.num_tensors = value
        keys.num_keys = value
        found.append(Case("A-10", f"tensors-{value}", write(tensors), "tensor count: read"))
        found.append(Case("A-11", f"keys-{value}", write(keys), "key count: read"))
    short_tensors = Gguf([], num_tensors=1000, num_keys=1).header()
    short_keys = Gguf([key("general.architecture", "llama")], num_keys=1000)
    one_more, one_less, unaligned = tiny_model(), tiny_model(), tiny_model()
    one_more.num_tensors = len(one_more.tensors) + 1
    one_less.num_tensors = len(one_less.tensors) - 1
    unaligned.set(key("general.name", "x" * 13)).num_tensors = one_less.num_tensors
    many_keys = Gguf([key(f"k{i:05d}", 1) for i in range(65_537)])
    f32 = struct.pack("<f", 1.0)
    many_tensors = bare(*(Tensor(b"t%05d" % i, [1], 0, f32) for i in range(65_536)))
    return [
        *found,
        Case("A-10", "tensors-1000-in-no-bytes", write(short_tensors), "at most 0 in the"),
        Case("A-11", "keys-1000-in-few-bytes", write(short_keys), r"at most \d+ in the"),
        Case("A-12", "nothing", write(Gguf()), "no architecture"),
        Case("A-12", "nothing-but-padding", write(Gguf(tail=bytes(64))), "no architecture"),
        Case("A-13", "one-tensor-too-many", write(one_more), "tensor name|truncated"),
        Case("A-14", "one-tensor-too-few", write(one_less), "offset mismatch"),
        Case("A-14", "one-tensor-too-few-other-padding", write(unaligned), "offset mismatch"),
        Case("A-15", "65537-keys", write(many_keys), "key count: .*at most 65536"),
        Case("A-16", "65536-tensors", write(many_tensors), None, max_ms=300),
        Case("A-16", "65536-tensors-used", write(many_tensors), "missing", "config", max_ms=300),
    ]
