"""What a caller may ask of structured output: vLLM's names, checked before a request exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pyllm.errors import RequestError

MAX_TEXT = 262_144  # characters of a schema, expression or grammar: the largest in use have 200,000
MAX_AFTER = 256  # characters of `after`
_KINDS = ("json", "regex", "choice", "grammar", "json_object", "structural_tag")
_TEXTS = ("regex", "grammar")
_FLAGS = ("disable_any_whitespace", "disable_additional_properties")


@dataclass(slots=True)
class StructuredOutputsParams:
    """Exactly one of the first six fields says what the answer must look like.

    json             a JSON schema, as text or as an object
    regex            a regular expression for the whole answer: Rust's syntax, which has no
                     look-around; \\d is 0 to 9
    choice           the answers there are
    grammar          a grammar in Lark's or in GBNF's syntax
    json_object      any JSON object
    structural_tag   {"structures": [{"begin", "schema", "end"}, …], "triggers": […]}: free text in
                     which whatever begins with a trigger must be one of the structures
    disable_any_whitespace         JSON without white space between its parts
    disable_additional_properties  objects have the listed properties only
    whitespace_pattern             a regular expression for white space between the parts of JSON;
                                   None: up to 2 line breaks, then up to 40 blanks
    after            the structure begins behind the first occurrence of this text (as "</think>");
                     what is written before it is free

    Properties of a JSON object are written in the order of the schema.
    """

    json: str | Mapping[str, Any] | bool | None = None
    regex: str | None = None
    choice: Sequence[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    structural_tag: str | Mapping[str, Any] | None = None
    disable_any_whitespace: bool = False
    disable_additional_properties: bool = False
    whitespace_pattern: str | None = None
    after: str | None = None

    def __post_init__(self) -> None:
        self.validate()

    @property
    def kind(self) -> str:
        """The one field that says what the answer must look like."""
        return next(kind for kind in _KINDS if self._is_set(kind))

    def _is_set(self, kind: str) -> bool:
        value = getattr(self, kind)
        return value is not None and not (kind == "json_object" and value is False)

    def validate(self) -> None:
        """Raises RequestError naming the field. What a schema means is checked when compiled."""
        given = [kind for kind in _KINDS if self._is_set(kind)]
        if len(given) != 1:
            limit = f"must give exactly one of {', '.join(_KINDS)}"
            raise RequestError("structured_outputs", given, limit)
        for name in _TEXTS:
            self._check_text(name, MAX_TEXT)
        self._check_text("after", MAX_AFTER)
        self._check_text("whitespace_pattern", MAX_TEXT)
        for name in (*_FLAGS, "json_object"):
            if not isinstance(getattr(self, name), bool | None):
                raise _error(name, getattr(self, name), "must be True or False")
        if self.json is not None and not isinstance(self.json, str | Mapping | bool):
            raise _error("json", self.json, "must be a JSON schema, as text or as a dict")
        if self.structural_tag is not None and not isinstance(self.structural_tag, str | Mapping):
            raise _error("structural_tag", self.structural_tag, "must be JSON text or a dict")
        self._check_choice()

    def _check_text(self, name: str, most: int) -> None:
        text = getattr(self, name)
        if text is None:
            return
        if not isinstance(text, str):
            raise _error(name, text, "must be a string")
        if not text and name != "regex":  # an empty expression allows the empty answer
            raise _error(name, text, "must not be empty")
        if len(text) > most:
            raise _error(name, len(text), f"must have at most {most} characters")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise _error(name, text, "must be text without lone surrogates") from None

    def _check_choice(self) -> None:
        choice = self.choice
        if choice is None:
            return
        if isinstance(choice, str) or not isinstance(choice, Sequence) or not choice:
            raise _error("choice", choice, "must be a list of at least one string")
        for text in choice:
            if not isinstance(text, str):
                raise _error("choice", text, "every choice must be a string")
        if sum(map(len, choice)) + len(choice) > MAX_TEXT:
            raise _error("choice", len(choice), f"must have at most {MAX_TEXT} characters in all")


def as_structured_outputs(value: object) -> StructuredOutputsParams | None:
    """`value` as given to SamplingParams: parameters, or a dict of their fields."""
    if value is None or isinstance(value, StructuredOutputsParams):
        return value
    if not isinstance(value, Mapping):
        limit = "must be StructuredOutputsParams or a dict of its fields"
        raise RequestError("structured_outputs", value, limit)
    known = {field.name for field in fields(StructuredOutputsParams)}
    for name in value:
        if name not in known:
            limit = f"is no field of structured outputs ({', '.join(sorted(known))})"
            raise RequestError("structured_outputs", name, limit)
    return StructuredOutputsParams(**value)


def _error(name: str, value: object, limit: str) -> RequestError:
    return RequestError(f"structured_outputs.{name}", value, limit)
