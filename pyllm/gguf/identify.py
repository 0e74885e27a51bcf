"""Names what a file that is not GGUF looks like, from its first bytes."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["HEAD_BYTES", "identify"]

HEAD_BYTES = 512  # enough for every signature below


class _Signature(NamedTuple):
    prefix: bytes
    looks_like: str
    advice: str


_NEEDS_GGUF = "choose the .gguf file of this model, or convert it"
_UNPACK = "unpack it first"
_DOWNLOAD = "the download went wrong; download the model itself"

_SIGNATURES = (
    _Signature(
        b"version https://git-lfs.github.com/spec",
        "a Git LFS pointer, not the model",
        "run `git lfs pull`, or download the model itself",
    ),
    _Signature(b"PK\x03\x04", "a zip archive (perhaps a PyTorch checkpoint)", _NEEDS_GGUF),
    _Signature(b"\x80\x02", "a Python pickle (perhaps a PyTorch checkpoint)", _NEEDS_GGUF),
    _Signature(b"\x89HDF", "an HDF5 file", _NEEDS_GGUF),
    _Signature(b"\x93NUMPY", "a NumPy array", _NEEDS_GGUF),
    _Signature(b"\x08\x07", "an ONNX model", _NEEDS_GGUF),
    _Signature(b"\x89PNG", "a PNG image", _DOWNLOAD),
    _Signature(b"\xff\xd8\xff", "a JPEG image", _DOWNLOAD),
    _Signature(b"GIF8", "a GIF image", _DOWNLOAD),
    _Signature(b"%PDF", "a PDF document", _DOWNLOAD),
    _Signature(b"\x7fELF", "a program, not a model", _DOWNLOAD),
    _Signature(b"\x1f\x8b", "a gzip archive", _UNPACK),
    _Signature(b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    _Signature(b"\xfd7zXZ", "an xz archive", _UNPACK),
    _Signature(b"BZh", "a bzip2 archive", _UNPACK),
    _Signature(b"7z\xbc\xaf", "a 7-Zip archive", _UNPACK),
    _Signature(b"FUGG", "GGUF with its bytes swapped (big-endian)", "use a little-endian file"),
    *(
        _Signature(magic, "a model in the old GGML format, before GGUF", "use a GGUF of the model")
        for magic in (
            b"ggml",
            b"ggmf",
            b"ggjt",
            b"ggla",
            b"GGML",
            b"lmgg",
            b"fmgg",
            b"tjgg",
            b"algg",
        )
    ),
)


def identify(head: bytes) -> tuple[str, str]:
    """What `head` (the first HEAD_BYTES of a file) looks like, and what to do about it.

    Both are phrases for an error message; an unknown file gives a general answer.
    """
    for signature in _SIGNATURES:
        if head.startswith(signature.prefix):
            return signature.looks_like, signature.advice
    if head and not head.strip(b"\0"):
        return "zeros: space reserved by a download that did not finish", _DOWNLOAD
    # safetensors: u64 length of a JSON object, then the object.
    if (
        len(head) > 9
        and head[8:10] in (b'{"', b"{ ", b"{}")
        and int.from_bytes(head[:8], "little") < 1 << 32
    ):
        return "a safetensors file", _NEEDS_GGUF
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    return _identify_text(head)


def _identify_text(head: bytes) -> tuple[str, str]:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return "a web page, not the model", _DOWNLOAD
    if start.startswith((b"{", b"[")):
        return "a JSON document", _NEEDS_GGUF
    if start and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
        return "a text file", _DOWNLOAD
    return "not a GGUF file", "choose a .gguf file"
