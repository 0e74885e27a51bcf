"""From what a user calls MODEL to the file to open."""

from __future__ import annotations

import re
from pathlib import Path

from pyllm.cli.arguments import CommandLineError
from pyllm.errors import printable

__all__ = ["resolve_model", "whole_models"]

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)


def resolve_model(name: str) -> Path:
    """The GGUF file `name` stands for: the file itself, or the only one in a directory."""
    if not name:
        raise CommandLineError("MODEL is empty; give the path of a GGUF file")
    try:
        path = Path(name).expanduser()
    except RuntimeError:  # ~somebody who has no home
        raise CommandLineError(_missing(name)) from None
    if path.is_dir():
        return _only_gguf(path)
    if not path.exists():
        raise CommandLineError(_missing(name))
    if not path.is_file():
        raise CommandLineError(f"{printable(name)} is not a file; give the path of a GGUF file")
    shard = _SHARD.search(path.name)
    if shard and int(shard.group(1)) != 1:
        first = f"{path.name[: shard.start()]}-00001-of-{shard.group(2)}.gguf"
        raise CommandLineError(
            f"{printable(name, 4096)} is part {int(shard.group(1))} of {int(shard.group(2))}; "
            f"give the first part, {printable(str(path.with_name(first)), 4096)}"
        )
    return path


def _missing(name: str) -> str:
    looks_remote = not name.lower().endswith(".gguf") and (":" in name or name.count("/") == 1)
    hint = "; models are not downloaded, give the path of a GGUF file" if looks_remote else ""
    return f"no such file: {printable(name, 4096)}{hint}"


def whole_models(directory: Path) -> list[Path]:
    """Single files and first parts in a directory. CommandLineError when there are none."""
    found = [file for file in _gguf_files(directory) if _begins_a_model(file)]
    if not found:
        _only_gguf(directory)  # says why
    return found


def _gguf_files(directory: Path) -> list[Path]:
    # A projector for images (mmproj) lies beside its model and is not one itself.
    return sorted(
        entry
        for entry in directory.iterdir()
        if entry.suffix.lower() == ".gguf" and not entry.name.lower().startswith("mmproj")
    )


def _begins_a_model(file: Path) -> bool:
    shard = _SHARD.search(file.name)
    return shard is None or int(shard.group(1)) == 1


def _only_gguf(directory: Path) -> Path:
    files = _gguf_files(directory)
    whole = [file for file in files if _begins_a_model(file)]
    shown = printable(str(directory), 4096)
    if len(whole) == 1:
        return whole[0]
    if files and not whole:
        raise CommandLineError(f"{shown} lacks the first part of {printable(files[0].name)}")
    if whole:
        names = ", ".join(printable(f.name) for f in whole[:5]) + (", …" if len(whole) > 5 else "")
        raise CommandLineError(f"{shown} holds {len(whole)} models; give one of them: {names}")
    what = (
        "weights to be converted to GGUF"
        if any(directory.glob("*.safetensors"))
        else "no GGUF file"
    )
    raise CommandLineError(f"{shown} is a directory with {what}; give the path of a GGUF file")
