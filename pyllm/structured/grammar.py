"""From what a caller asks for to the text that llguidance compiles."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from llguidance import regex_to_lark

from pyllm.errors import RequestError
from pyllm.structured.gbnf import is_gbnf, lark_of_gbnf
from pyllm.structured.params import StructuredOutputsParams
from pyllm.structured.schema import (
    Json,
    check_cost,
    read_schema,
    with_options,
    without_additional_properties,
)
from pyllm.structured.structural_tag import lark_of_tag

_INLINE_SCHEMA = re.compile(r"%json\s*")


def grammar_of(params: StructuredOutputsParams, special_tokens: dict[str, int]) -> str:
    """llguidance's own notation. Raises RequestError naming the field and what is wrong with it.

    special_tokens  text and id of the tokens that plain text cannot produce
    """
    field = f"structured_outputs.{params.kind}"
    if params.kind == "json":
        return _json_grammar(field, params.json, params)
    if params.kind == "json_object":
        return _json_grammar(field, {"type": "object"}, params)
    if params.kind == "regex":
        assert params.regex is not None
        return _lark_grammar(f"start: {regex_literal(params.regex)}")
    if params.kind == "choice":
        assert params.choice is not None
        return _lark_grammar(choice_lark(params.choice))
    if params.kind == "structural_tag":
        tag = read_schema(field, params.structural_tag)
        check_cost(field, tag)
        return _lark_grammar(lark_of_tag(tag, params, special_tokens))
    assert params.grammar is not None
    if is_gbnf(params.grammar):
        return _lark_grammar(lark_of_gbnf(params.grammar))
    _check_inline_schemas(field, params.grammar)
    return _lark_grammar(params.grammar)


def _json_grammar(field: str, value: object, params: StructuredOutputsParams) -> str:
    schema: Json = read_schema(field, value)
    check_cost(field, schema)
    if params.disable_additional_properties:
        schema = without_additional_properties(schema)
    return json.dumps({"grammars": [{"json_schema": with_options(schema, params)}]})


def _lark_grammar(text: str) -> str:
    # As a list of one: text that begins with "{" would be read as such a list.
    return json.dumps({"grammars": [{"lark_grammar": text}]})


def regex_literal(regex: str) -> str:
    """A regular expression between the slashes of a Lark terminal; its digits are 0 to 9."""
    return f"/{regex_to_lark(regex, 'd')}/" if regex else '""'


def choice_lark(choice: Sequence[str]) -> str:
    """One terminal with all choices: as rules, a thousand of them would be slow."""
    return f"start: CHOICE\nCHOICE: {regex_literal('|'.join(map(_quoted, choice)))}"


def _quoted(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text)


def _check_inline_schemas(field: str, grammar: str) -> None:
    decoder = json.JSONDecoder()
    for place in _INLINE_SCHEMA.finditer(grammar):
        try:
            schema, _ = decoder.raw_decode(grammar, place.end())
        except (ValueError, RecursionError):
            raise RequestError(field, place[0], "must be followed by a JSON schema") from None
        check_cost(field, schema)
