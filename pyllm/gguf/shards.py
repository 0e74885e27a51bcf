"""Split models: NAME-00001-of-00003.gguf and its sisters, checked to be parts of one model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pyllm.errors import ModelFileError
from pyllm.gguf.limits import MAX_PARTS
from pyllm.gguf.metadata import Scalar
from pyllm.gguf.part import Part

__all__ = ["check_parts", "part_paths"]

_NAME: Final = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)
_COUNT: Final = "split.count"
_NUMBER: Final = "split.no"
_NUM_TENSORS: Final = "split.tensors.count"
_SAME_MODEL: Final = ("general.architecture", "general.name", "general.uuid")
_MIXED: Final = "parts of different models are mixed; download all parts again"


def part_paths(first: Part) -> list[str]:
    """Paths of all parts, the opened one first; just that one when the model is not split.

    The names come from the opened path only, never from the file's content.
    """
    if _COUNT not in first.metadata:
        return [first.path]
    count = _integer(first, _COUNT)
    if not 1 <= count <= MAX_PARTS:
        raise _error(first, _COUNT, count, f"1 to {MAX_PARTS}")
    if count == 1:
        return [first.path]
    match = _NAME.fullmatch(first.path)
    if match is None or int(match["count"]) != count:
        limit = f"a file name that ends in -00001-of-{count:05d}.gguf"
        raise _error(first, _COUNT, count, limit, "give the parts their original names")
    paths = [f"{match['stem']}-{i + 1:05d}-of-{count:05d}.gguf" for i in range(count)]
    number = _integer(first, _NUMBER)
    if number != int(match["number"]) - 1:
        limit = f"{int(match['number']) - 1}, as the file name says"
        raise _error(first, _NUMBER, number, limit, "the parts were renamed or swapped")
    if number != 0:
        raise _error(first, _NUMBER, number, "0, the first part", f"open {paths[0]}")
    _refuse_missing(first, paths)
    return paths


def _refuse_missing(first: Part, paths: list[str]) -> None:
    missing = [Path(path).name for path in paths if not Path(path).exists()]
    if missing:
        limit = f"all {len(paths)} parts beside the first"
        names = f"{missing[0]} and {len(missing) - 1} more" if len(missing) > 1 else missing[0]
        raise _error(first, "missing part", names, limit, "download the missing parts")


def check_parts(parts: list[Part]) -> None:
    """Raises ModelFileError naming the first part that does not belong to parts[0]'s model."""
    first = parts[0]
    count = len(parts)
    owners: dict[str, Part] = {}
    for index, part in enumerate(parts):
        if count > 1:
            _check_part(first, part, index, count)
        for name in part.tensors:
            if name in owners:
                other = Path(owners[name].path).name
                limit = f"each tensor once ({other} has it too)"
                raise ModelFileError(part.path, None, "tensor name", name, limit, _MIXED)
            owners[name] = part
    if count > 1 and _NUM_TENSORS in first.metadata:
        total = _integer(first, _NUM_TENSORS)
        if total != len(owners):
            limit = f"the {len(owners)} tensors in the {count} parts"
            raise _error(first, _NUM_TENSORS, total, limit, _MIXED)


def _check_part(first: Part, part: Part, index: int, count: int) -> None:
    if _integer(part, _COUNT) != count:
        raise _error(part, _COUNT, _integer(part, _COUNT), f"{count}, as in the first part", _MIXED)
    if _integer(part, _NUMBER) != index:
        limit = f"{index}, as the file name says"
        raise _error(part, _NUMBER, _integer(part, _NUMBER), limit, _MIXED)
    for key in (*_SAME_MODEL, _NUM_TENSORS):
        if key in part.metadata and _scalar(part, key) != _scalar(first, key):
            raise _error(part, key, _scalar(part, key), "the value in the first part", _MIXED)


def _integer(part: Part, key: str) -> int:
    value = _scalar(part, key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _error(part, key, value, "an integer", _MIXED)
    return value


def _scalar(part: Part, key: str) -> Scalar:
    """The value of a key; of an array, or of a key that is not there, what to call it."""
    if key not in part.metadata:
        return "nothing"
    if part.metadata.length(key) is not None:
        return part.metadata.type_name(key)
    value = part.metadata[key]
    assert isinstance(value, bool | int | float | str)
    return value


def _error(part: Part, key: str, value: object, limit: str, message: str = "") -> ModelFileError:
    return ModelFileError(part.path, part.metadata.offset(key), key, value, limit, message)
