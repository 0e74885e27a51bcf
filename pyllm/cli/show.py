"""`pyllm show MODEL`: what a GGUF file is, as text or JSON. Reads the header only."""

from __future__ import annotations

import json
import os
from typing import Any

from pyllm.byte_size import byte_size
from pyllm.cli.model_summary import metadata_rows, summary, tensor_rows
from pyllm.cli.terminal import escape_controls, note, one_line
from pyllm.gguf import GGUFFile

__all__ = ["show"]

_TEMPLATE_LINES = 12  # printed without --metadata; real templates have up to 400


def show(
    model: str | os.PathLike[str],
    *,
    tensors: bool = False,
    metadata: bool = False,
    as_json: bool = False,
) -> None:
    """Prints what the file holds; `tensors` and `metadata` list each one. Raises ModelFileError."""
    with GGUFFile.open(model) as file:
        facts = summary(file)
        if metadata:
            facts["metadata"] = metadata_rows(file)
        if tensors:
            facts["tensors"] = tensor_rows(file)
    if as_json:
        print(json.dumps(facts, indent=2, allow_nan=False))
        return
    for text in facts["warnings"]:
        note(text)
    print(escape_controls("\n".join(_lines(facts, all_of_template=metadata))))


def _lines(facts: dict[str, Any], *, all_of_template: bool) -> list[str]:
    model = {name.replace("_", " "): _text(value) for name, value in facts["model"].items()}
    model["parameters"] = f"{facts['model']['parameters']:,}"
    lines = ["Model", *_table(list(model.items()))]
    lines += ["", "Types"]
    for row in facts["types"]:
        size = byte_size(row["bytes"])
        lines.append(
            f"  {row['type']:<8} {row['tensors']:>6} tensors {size:>10}  {row['share']:6.1%}"
        )
    lines += ["", "Tokenizer"]
    lines += _table([(name, _text(value)) for name, value in facts["tokenizer"].items()])
    lines += _template_lines(facts["template"], all_of_template)
    if "metadata" in facts:
        lines += ["", "Metadata"]
        for row in facts["metadata"]:
            lines.append(one_line(f"  {row['key']}: {row['type']} = {_value(row)}"))
    if "tensors" in facts:
        lines += ["", "Tensors"]
        lines += [_tensor_line(row) for row in facts["tensors"]]
    return lines


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in rows]


def _template_lines(template: dict[str, Any] | None, everything: bool) -> list[str]:
    if template is None:
        return ["", "Template", "  none"]
    text = template["text"].splitlines()
    shown = text if everything else text[:_TEMPLATE_LINES]
    lines = ["", "Template", f"  SHA-256 {template['sha256']} ({template['bytes']} bytes)"]
    lines += [f"  | {line}" for line in shown]
    if len(text) > len(shown):
        lines.append(f"  … {len(text) - len(shown)} more lines; --metadata prints all")
    return lines


def _tensor_line(row: dict[str, Any]) -> str:
    shape = " × ".join(str(size) for size in row["shape"])
    return f"  {row['name']:<40} {row['type']:<8} {shape:<20} {byte_size(row['bytes'])}"


def _value(row: dict[str, Any]) -> str:
    if "length" not in row:
        return _text(row["value"])
    more = ", …" if row["length"] > len(row["first"]) else ""
    first = ", ".join(repr(item) for item in row["first"])
    return f"{row['length']} elements [{first}{more}]"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.7g}"  # what a float32 holds
    return one_line(str(value))
