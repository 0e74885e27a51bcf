"""The flags that say what an answer must look like, as structured output's parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyllm.cli.arguments import CommandLineError
from pyllm.errors import printable

if TYPE_CHECKING:
    from pyllm.structured import StructuredOutputsParams

__all__ = ["structure_of"]


def structure_of(
    json_schema: str | None, grammar: str | None, grammar_file: str | None
) -> StructuredOutputsParams | None:
    """What the flags ask for, None when none is given.

    Raises CommandLineError for several at once, RequestError for what is no JSON, OSError.
    """
    given = [value for value in (json_schema, grammar, grammar_file) if value is not None]
    if not given:
        return None
    if len(given) > 1:
        raise CommandLineError("an answer has one structure; use -j, --grammar or --grammar-file")
    from pyllm.structured import StructuredOutputsParams
    from pyllm.structured.schema import read_schema

    if json_schema is not None:
        is_text = json_schema.lstrip()[:1] in ("{", "")
        text = json_schema if is_text else _read(json_schema)
        return StructuredOutputsParams(json=read_schema("--json-schema", text))
    return StructuredOutputsParams(grammar=_read(grammar_file) if grammar_file else grammar)


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        limit = f"is not UTF-8 text (byte {error.start})"
        raise CommandLineError(f"{printable(path)} {limit}") from None
