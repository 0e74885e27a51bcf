"""Text to JSON: the prompt holds a JSON Schema, or names the keys; the answer is the object alone."""
# ruff: noqa: E501  a phrase with its choices is easier to read unbroken

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .case import Check, Exchange
from .draw import Draw
from .words import COLOURS, DAYS, HOBBIES, JOBS, MONTHS, OBJECTS


@dataclass(frozen=True)
class Attribute:
    keys: tuple[str, ...]  # names that schemas give it
    schema: dict[str, Any]
    value: Callable[[Draw], Any]
    sentence: str


_TEXT: dict[str, Any] = {"type": "string"}
_WHOLE: dict[str, Any] = {"type": "integer"}
_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}

PERSON = (
    Attribute(("age", "years", "age_in_years"), _WHOLE, lambda d: d.between(3, 99), "{<s> is <v> years old|<s> is <v>|<s>, aged <v>, is here}."),
    Attribute(("city", "town", "home", "location", "residence"), _TEXT, lambda d: d.city(), "<s> lives in <v>."),
    Attribute(("job", "profession", "occupation", "role"), _TEXT, lambda d: d.pick(JOBS), "{<s> works as a <v>|<s>'s job: <v>|<s> is a <v>}."),
    Attribute(("email", "mail", "email_address"), _TEXT, lambda d: f"{d.invented()}@{d.invented()}.{d.pick(('com', 'org', 'net'))}",
              "{Write to <s> at <v>|<s>'s email is <v>|Mail: <v>}."),
    Attribute(("phone", "phone_number", "telephone"), _TEXT, lambda d: f"{d.between(100, 999)}-{d.between(1000, 9999)}",
              "{Call <s> at <v>|The phone number is <v>|Phone: <v>}."),
    Attribute(("hobbies", "likes", "interests"), _TEXTS, lambda d: d.sample(HOBBIES, d.between(1, 3)), "<s> likes <v>."),
    Attribute(("favourite_colour", "color", "colour", "favorite_color"), {"type": "string", "enum": COLOURS[:6]},
              lambda d: d.pick(COLOURS[:6]), "<s>'s favourite colour is <v>."),
    Attribute(("married", "is_married"), {"type": "boolean"}, lambda d: d.chance(0.5), "<s> is <v>married."),
    Attribute(("pet", "pet_name"), _TEXT, lambda d: d.name(), "<s>'s pet is called <v>."),
)  # fmt: skip
PRODUCT = (
    Attribute(("price", "cost", "price_in_euros"), _WHOLE, lambda d: d.between(1, 999), "{It costs <v> euros|The price is <v> euros|Price: <v> euros}."),
    Attribute(("colour", "color"), _TEXT, lambda d: d.pick(COLOURS), "{It is <v>|The colour is <v>|Colour: <v>}."),
    Attribute(("shop", "seller", "store", "sold_by"), _TEXT, lambda d: d.name(), "{It is sold by <v>|The seller is <v>}."),
    Attribute(("in_stock", "available"), {"type": "boolean"}, lambda d: d.chance(0.5), "It is <v>in stock."),
    Attribute(("quantity", "count", "amount"), _WHOLE, lambda d: d.between(1, 99), "{There are <v> of them|Quantity: <v>}."),
    Attribute(("made_in", "origin", "city"), _TEXT, lambda d: d.city(), "It was made in <v>."),
)  # fmt: skip
EVENT = (
    Attribute(("day", "weekday"), _TEXT, lambda d: d.pick(DAYS), "It is on <v>."),
    Attribute(("date",), _TEXT, lambda d: f"{d.pick(MONTHS)} {d.between(1, 28)}", "{The date is <v>|Date: <v>}."),
    Attribute(("place", "location", "city", "venue"), _TEXT, lambda d: d.city(), "{It takes place in <v>|Place: <v>|It is in <v>}."),
    Attribute(("time", "start", "start_time"), _TEXT, lambda d: f"{d.between(1, 23)}:{d.pick(('00', '15', '30', '45'))}", "It starts at <v>."),
    Attribute(("guests", "people", "visitors"), _WHOLE, lambda d: d.between(2, 900), "{<v> people will come|<v> guests are expected}."),
    Attribute(("speakers", "guests_of_honour", "participants"), _TEXTS, lambda d: d.names(d.between(1, 3)), "The speakers are <v>."),
    Attribute(("free", "is_free"), {"type": "boolean"}, lambda d: d.chance(0.5), "It is <v>free."),
)  # fmt: skip
Domain = tuple[tuple[str, ...], tuple[Attribute, ...], Callable[[Draw], str], str]
DOMAINS: tuple[Domain, ...] = (
    (("name", "full_name", "person", "first_name"), PERSON, lambda d: d.name(), "{Meet <s>|This is <s>|<s> is new here|My friend is <s>}."),
    (("product", "item", "name", "article"), PRODUCT, lambda d: d.pick(OBJECTS), "{For sale: a <s>|We sell a <s>|Here is a <s>}."),
    (("event", "title", "name", "what"), EVENT, lambda d: d.pick(("concert", "meeting", "party", "lecture", "fair", "race", "workshop")),
     "{There is a <s>|Come to the <s>|We plan a <s>|News: a <s>}."),
)  # fmt: skip


def extraction(d: Draw) -> Exchange:
    keys, attributes, subject_of, opening = DOMAINS[d.pick((0, 0, 1, 2))]
    subject = subject_of(d)
    said = d.sample(attributes, d.between(1, min(5, len(attributes))))
    record: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    sentences = []
    for attribute in said:
        value = attribute.value(d)
        sentences.append(_said(d, attribute, subject, value))
        key = d.pick(attribute.keys)
        if key not in record and d.chance(0.8):
            record[key], properties[key] = value, attribute.schema
    if not any(subject in sentence for sentence in sentences) or d.chance(0.5):
        sentences.insert(0, d.text(opening, s=subject))
    if d.chance(0.85) or not record:
        key = next(k for k in d.sample(keys, len(keys)) if k not in record)
        record, properties = {key: subject, **record}, {key: _TEXT, **properties}
    if d.chance(0.5):
        order = d.sample(list(record), len(record))
        record = {key: record[key] for key in order}
        properties = {key: properties[key] for key in order}
    nested = d.pick(("", "", "", "", "person", "data", "result")) if len(record) > 1 else ""
    if nested:
        record, properties = {nested: record}, {nested: _object(d, properties)}
    answer = json.dumps(record, ensure_ascii=False)
    return Exchange(
        _prompt(d, " ".join(sentences), record, properties, bool(nested)),
        answer,
        Check("json", (answer,)),
    )


def _object(d: Draw, properties: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if d.chance(0.7):
        schema["required"] = list(properties)
    if d.chance(0.2):
        schema["additionalProperties"] = False
    return schema


def _said(d: Draw, attribute: Attribute, subject: str, value: Any) -> str:
    if isinstance(value, bool):
        value = "" if value else "not "
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else ", ".join(value[:-1]) + f" and {value[-1]}"
    text = d.text(attribute.sentence, s=subject, v=value)
    return text[0].upper() + text[1:]


def _prompt(
    d: Draw, text: str, record: dict[str, Any], properties: dict[str, Any], nested: bool
) -> str:
    if nested or d.chance(0.65):
        schema = _object(d, properties)
        style = d.random()
        if style < 0.7:
            shown = json.dumps(schema)
        elif style < 0.85:
            shown = json.dumps(schema, separators=(",", ":"))
        else:
            shown = json.dumps(schema, indent=2)
        return d.text(
            "{Extract {the data|the information|the fields} as JSON|Answer {in|with} JSON|Return JSON|Write JSON|Fill in the JSON|Give me JSON|"
            "Convert {the text |this }to JSON|Make JSON}{| that {matches|follows|fits}| with| for| using} {this|the} {schema|JSON schema|JSON "
            "Schema}: <j>{\n|\n\n| }{Text: |}<t>|<t>{\n|\n\n| }{Extract the data|Answer|Return the data|Extract this} as JSON{| with| using} "
            "{this|the} {schema|JSON schema}: <j>|{JSON schema|Schema}: <j>\n{Text|Input}: <t>{\nJSON:||}}" if False else
            "{{Extract {the data|the information|the fields} as JSON|Answer {in|with} JSON|Return JSON|Write JSON|Fill in the JSON|Give me JSON|"
            "Convert {the text |this }to JSON|Make JSON}{| that {matches|follows|fits}| with| for| using} {this|the} {schema|JSON schema|JSON "
            "Schema}: <j>{\n|\n\n| }{Text: |}<t>|<t>{\n|\n\n| }{Extract the data|Answer|Return the data|Extract this} as JSON{| with| using} "
            "{this|the} {schema|JSON schema}: <j>|{JSON schema|Schema}: <j>\n{Text|Input}: <t>{\nJSON:||}}",
            j=shown, t=text,
        )  # fmt: skip
    keys = list(record)
    style = d.random()
    if style < 0.5 or len(keys) == 1:
        named = ", ".join(keys)
    elif style < 0.8:
        named = ", ".join(keys[:-1]) + f" and {keys[-1]}"
    else:
        named = ", ".join(f'"{key}"' for key in keys)
    return d.text(
        "{{Extract|Give me|Return|Write} {a JSON object|JSON|an object} with {|the keys |the fields |keys }<k>{:| from:| from this text:|.} <t>|<t> "
        "{Give me this as JSON with|Write that as JSON with|Extract JSON with|Return a JSON object with} {|the keys |the fields }<k>.|Extract <k> as "
        "JSON{:| from this:| from} <t>|Make JSON with <k>: <t>|Turn this into JSON with {|the keys }<k>: <t>|{Give me|Return|Write} {a JSON object|JSON} with <k>: \"<t>\"}",
        k=named, t=text,
    )  # fmt: skip
