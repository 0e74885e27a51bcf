"""The facts `pyllm show` prints, as plain lists and dicts that JSON can hold."""

from __future__ import annotations

import hashlib
import math
from typing import Any, TypeVar

from pyllm.architectures import builders
from pyllm.config import read_config
from pyllm.errors import ModelFileError
from pyllm.gguf import GGUFFile

__all__ = ["metadata_rows", "summary", "tensor_rows"]

T = TypeVar("T")

_FIRST = 8  # elements of an array that are shown
_LONGEST_TEXT = 256  # characters of a metadata string that are shown

# What a reader wants to know first, and the key after "<architecture>." that holds it.
_HYPERPARAMETERS = {
    "context_length": "context_length",
    "embedding_length": "embedding_length",
    "layers": "block_count",
    "feed_forward_length": "feed_forward_length",
    "heads": "attention.head_count",
    "kv_heads": "attention.head_count_kv",
    "experts": "expert_count",
    "rope_base": "rope.freq_base",
    "rope_scaling": "rope.scaling.type",
}
_TOKENIZER = {
    "model": "model",
    "pre": "pre",
    "tokens": "tokens",
    "merges": "merges",
    "bos": "bos_token_id",
    "eos": "eos_token_id",
    "unknown": "unknown_token_id",
    "padding": "padding_token_id",
    "add bos": "add_bos_token",
    "add eos": "add_eos_token",
}


def summary(file: GGUFFile) -> dict[str, Any]:
    """Model, types, tokenizer and template; a value that is not in the file is left out."""
    return {
        "model": _model(file),
        "types": _types(file),
        "tokenizer": _tokenizer(file),
        "template": _template(file),
        "warnings": list(file.warnings),
    }


def _model(file: GGUFFile) -> dict[str, Any]:
    architecture = _simple(file, "general.architecture")
    found = {
        "path": str(file.path),
        "parts": len(file.part_paths) if len(file.part_paths) > 1 else None,
        "format": f"GGUF version {file.version}",
        "architecture": architecture,
        "name": _simple(file, "general.name"),
        "license": _simple(file, "general.license"),
        "parameters": sum(info.num_elements for info in file.tensors.values()),
    }
    for name, key in _HYPERPARAMETERS.items():
        found[name] = _simple(file, f"{architecture}.{key}")
    found["runs"] = _runs(file)
    return {name: value for name, value in found.items() if value is not None}


def _runs(file: GGUFFile) -> str:
    """ "yes", or why pyllm would refuse the file."""
    try:
        read_config(file, architectures=builders())
    except ModelFileError as error:
        return f"no: {error}"
    return "yes"


def _types(file: GGUFFile) -> list[dict[str, Any]]:
    """One row for each tensor type, the largest first."""
    rows: dict[str, dict[str, Any]] = {}
    total = sum(info.nbytes for info in file.tensors.values())
    for info in file.tensors.values():
        new = {"type": info.type_name, "tensors": 0, "bytes": 0}
        row = rows.setdefault(info.type_name, new)
        row["tensors"] += 1
        row["bytes"] += info.nbytes
    for row in rows.values():
        row["share"] = row["bytes"] / total if total else 0.0
    return sorted(rows.values(), key=lambda row: -int(row["bytes"]))


def _tokenizer(file: GGUFFile) -> dict[str, Any]:
    found = {}
    for name, key in _TOKENIZER.items():
        full = f"tokenizer.ggml.{key}"
        if full in file.metadata:
            length = file.metadata.length(full)
            found[name] = _simple(file, full) if length is None else length
    return found


def _template(file: GGUFFile) -> dict[str, Any] | None:
    template = file.metadata.get("tokenizer.chat_template")
    if not isinstance(template, str):
        return None
    raw = template.encode()
    return {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw), "text": template}


def metadata_rows(file: GGUFFile) -> list[dict[str, Any]]:
    """Every key with its type and value; of an array the length and the first elements."""
    rows = []
    for key in file.metadata:
        row: dict[str, Any] = {"key": key, "type": file.metadata.type_name(key)}
        length = file.metadata.length(key)
        if length is None:
            row["value"] = _simple(file, key)
        else:
            row["length"] = length
            row["first"] = [_plain(element) for element in file.metadata.first(key, _FIRST)]
        rows.append(row)
    return rows


def tensor_rows(file: GGUFFile) -> list[dict[str, Any]]:
    """Every tensor in file order."""
    return [
        {
            "name": info.name,
            "type": info.type_name,
            "shape": list(info.shape),
            "bytes": info.nbytes,
            "part": info.part,
            "offset": info.offset,
        }
        for info in file.tensors.values()
    ]


def _simple(file: GGUFFile, key: str) -> bool | int | float | str | None:
    """A scalar as JSON can hold it; of an array its type; None for a missing key."""
    if key not in file.metadata:
        return None
    length = file.metadata.length(key)
    if length is not None:
        return f"{file.metadata.type_name(key)} ({length})"
    value = file.metadata[key]
    assert isinstance(value, bool | int | float | str)
    return _plain(value)


def _plain(value: T) -> T | str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"{value[:_LONGEST_TEXT]}… ({len(value)} characters)"
    return value
