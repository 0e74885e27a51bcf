"""Structural tags: free text in which what begins with a trigger must follow a schema."""

from __future__ import annotations

import json

from pyllm.errors import RequestError
from pyllm.structured.params import StructuredOutputsParams
from pyllm.structured.schema import Json, with_options

_FIELD = "structured_outputs.structural_tag"
_NEED = 'must be {"structures": [{"begin", "schema", "end"}, …], "triggers": [text, …]}'


def lark_of_tag(tag: Json, params: StructuredOutputsParams, special_tokens: dict[str, int]) -> str:
    """A Lark grammar. A trigger that is the text of a special token means that token."""
    triggers = _texts(tag, "triggers")
    structures = tag.get("structures")
    if not isinstance(structures, list) or not structures:
        raise RequestError(_FIELD, tag, _NEED)
    rules = [
        _rule(number, structure, triggers, params, special_tokens)
        for number, structure in enumerate(structures)
    ]
    names = " | ".join(f"tag_{number}" for number in range(len(structures)))
    return "\n".join([f"start: ({names})* TEXT", r"TEXT: /(.|\n)*/", *rules])


def _rule(
    number: int,
    structure: Json,
    triggers: list[str],
    params: StructuredOutputsParams,
    special_tokens: dict[str, int],
) -> str:
    if not isinstance(structure, dict):
        raise RequestError(_FIELD, structure, _NEED)
    begin, end = structure.get("begin"), structure.get("end", "")
    if not isinstance(begin, str) or not isinstance(end, str):
        raise RequestError(_FIELD, begin, "begin and end of a structure must be strings")
    trigger = next((t for t in triggers if begin.startswith(t)), None)
    if trigger is None:
        raise RequestError(f"{_FIELD}.begin", begin, "must begin with one of the triggers")
    schema = json.dumps(with_options(structure.get("schema", {}), params))
    body = f"{_literal(begin[len(trigger) :])} %json {schema} {_literal(end, special_tokens)}"
    if trigger in special_tokens:
        return f"tag_{number}: TEXT {_literal(trigger, special_tokens)} {body}"
    head = f"tag_{number}_head[lazy]: TEXT {_literal(trigger)}"
    return f"{head}\ntag_{number}: tag_{number}_head {body}"


def _literal(text: str, special_tokens: dict[str, int] | None = None) -> str:
    if special_tokens and text in special_tokens:
        return f"<[{special_tokens[text]}]>"
    return json.dumps(text, ensure_ascii=False) if text else ""


def _texts(tag: Json, name: str) -> list[str]:
    texts = tag.get(name) if isinstance(tag, dict) else None
    if not isinstance(texts, list) or not texts:
        raise RequestError(_FIELD, tag, _NEED)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise RequestError(f"{_FIELD}.{name}", text, "must be non-empty strings")
    return texts
