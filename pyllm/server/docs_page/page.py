"""An OpenAPI document as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

Document = Mapping[str, Any]

_METHODS = ("get", "post", "put", "patch", "delete")


def page(document: Document) -> str:
    """The whole page; operations under their first tag, in the order of the document."""
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                tag = operations[method].get("tags", ["other"])[0]
                groups.setdefault(tag, []).append(
                    _operation(document, method, path, operations[method])
                )
    links = "".join(f'<a href="#{_anchor(tag)}">{escape(tag)}</a>' for tag in groups)
    sections = "".join(
        f'<section id="{_anchor(tag)}"><h2>{escape(tag)}</h2>{"".join(operations)}</section>'
        for tag, operations in groups.items()
    )
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}: HTTP interfaces</title><link rel="stylesheet" href="/docs/style.css">'
        f"</head><body><header><h1>{title}</h1><p>{escape(info.get('summary', ''))}. "
        'The same for programs: <a href="/openapi.json">openapi.json</a>.</p>'
        f"<nav>{links}</nav></header><main>{sections}</main></body></html>"
    )


def _anchor(tag: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in tag.lower())


def _operation(document: Document, method: str, path: str, operation: Document) -> str:
    about = operation.get("description") or operation.get("summary", "")
    parts = [f"<p>{escape(about)}</p>"]
    if operation.get("parameters"):
        parts.append(_table(_parameters(document, operation["parameters"])))
    content = operation.get("requestBody", {}).get("content", {})
    for kind, body in content.items():
        rows = list(_fields(document, body.get("schema", {})))
        if rows:
            parts.append(f"<h4>Body <small>{escape(kind)}</small></h4>{_table(rows)}")
    parts.append(_responses(operation.get("responses", {})))
    summary = f'<b class="{method}">{method.upper()}</b> <code>{escape(path)}</code>'
    return f"<details><summary>{summary}</summary>{''.join(parts)}</details>"


def _parameters(document: Document, parameters: list[Document]) -> Iterator[tuple[str, str, str]]:
    for parameter in parameters:
        kind = _type(document, parameter.get("schema", {}))
        about = f"in the {parameter['in']}. {parameter.get('description', '')}"
        yield parameter["name"] + _mark(parameter.get("required")), kind, about


def _fields(document: Document, schema: Document) -> Iterator[tuple[str, str, str]]:
    schema = _resolved(document, schema)
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield name + _mark(name in required), _type(document, field), field.get("description", "")


def _mark(required: object) -> str:
    return " *" if required else ""


def _resolved(document: Document, schema: Document) -> Document:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: Document = document.get("components", {}).get("schemas", {}).get(name, schema)
    return found


def _type(document: Document, schema: Document) -> str:
    """In words: "integer ≥ 1 or null", "list of ChatMessage"."""
    if "$ref" in schema:
        return str(_resolved(document, schema).get("title", "object"))
    for several in ("anyOf", "oneOf"):
        if several in schema:
            kinds = dict.fromkeys(_type(document, kind) for kind in schema[several])
            return " or ".join(kind for kind in kinds if kind != "null")
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f'"{value}"' for value in values)
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        kind = f"list of {_type(document, schema.get('items', {}))}"
    for sign, key in (("≥", "minimum"), (">", "exclusiveMinimum"), ("≤", "maximum")):
        if key in schema:
            kind += f" {sign} {schema[key]}"
    return kind


def _table(rows: Iterator[tuple[str, str, str]] | list[tuple[str, str, str]]) -> str:
    body = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{escape(about)}</td></tr>"
        for name, kind, about in rows
    )
    head = "<thead><tr><th>field</th><th>type</th><th>meaning</th></tr></thead>"
    return f"<table>{head}<tbody>{body}</tbody></table>"


def _responses(responses: Document) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(str(status))}</code></td><td>{escape(found.get('description', ''))}"
        "</td></tr>"
        for status, found in sorted(responses.items())
    )
    return f"<h4>Responses</h4><table><tbody>{rows}</tbody></table>"
