"""A small request for every route that has a body, and every field that its schema allows."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

Place = tuple[str | int, ...]  # of a field: ("messages", 0, "tool_calls", 0, "index")

CALL: dict[str, Any] = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FUNCTION: dict[str, Any] = {"name": "f", "parameters": {"type": "object", "properties": {}}}
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "1", "tool_call_id": "a"},
]
CHAT: dict[str, Any] = {
    "messages": MESSAGES,
    "tools": [{"type": "function", "function": FUNCTION}],
    "max_tokens": 1,
}
ITEMS: list[dict[str, Any]] = [
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
    {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "a", "output": "1"},
]
RESPONSES: dict[str, Any] = {
    "input": ITEMS,
    "tools": [{"type": "function", **FUNCTION}],
    "text": {},
    "reasoning": {},
    "max_output_tokens": 16,
}
CLAUDE: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f"}]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [{"type": "text", "text": "1"}],
                }
            ],
        },
    ],
    "system": [{"type": "text", "text": "be brief"}],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "disabled"},
    "output_config": {},
}
OLLAMA_CALL: dict[str, Any] = {"function": {"name": "f", "arguments": {}}}
OLLAMA: dict[str, Any] = {"model": "demo", "options": {"num_predict": 1}, "stream": False}
RANK: dict[str, Any] = {"query": "a", "documents": [{"text": "b"}, "c"]}

BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"prompt": "hi", "max_tokens": 1},
    "/v1/responses": RESPONSES,
    "/v1/responses/input_tokens": RESPONSES,
    "/v1/embeddings": {"input": "hi"},
    "/v1/rerank": RANK,
    "/v1/score": {"text_1": "a", "text_2": "b"},
    "/api/chat": {
        **OLLAMA,
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "", "tool_calls": [OLLAMA_CALL]},
            {"role": "tool", "content": "1", "tool_name": "f"},
        ],
        "tools": [{"type": "function", "function": FUNCTION}],
    },
    "/api/generate": {**OLLAMA, "prompt": "hi"},
    "/api/embed": {"model": "demo", "input": "hi", "options": {}},
    "/api/embeddings": {"model": "demo", "prompt": "hi", "options": {}},
    "/api/show": {"model": "demo"},
    "/api/pull": {"model": "demo"},
    "/v1/messages": {**CLAUDE, "max_tokens": 1},
    "/v1/messages/count_tokens": CLAUDE,
    "/tokenize": {"messages": MESSAGES, "tools": CHAT["tools"]},
    "/detokenize": {"tokens": [1]},
    "/apply-template": {"messages": MESSAGES, "tools": CHAT["tools"]},
    "/completion": {"prompt": "hi", "n_predict": 1},
    "/infill": {"input_prefix": "a", "input_suffix": "b", "input_extra": [], "n_predict": 1},
}

# The same handlers under other names.
OTHER_NAMES = {
    "/v1/reranking": "/v1/rerank",
    "/v2/rerank": "/v1/rerank",
    "/rerank": "/v1/rerank",
    "/reranking": "/v1/rerank",
    "/score": "/v1/score",
    "/api/push": "/api/pull",
    "/api/create": "/api/pull",
    "/api/copy": "/api/pull",
}


def posted_paths(app: FastAPI) -> set[str]:
    """Every route of `app` that reads a body."""
    paths: dict[str, Any] = app.openapi()["paths"]
    return {path for path, methods in paths.items() if "requestBody" in methods.get("post", {})}


def fields_of(app: FastAPI, path: str, *, numbers: bool = False) -> list[Place]:
    """Every field that a request to `path` may have, those inside its example among them.

    numbers  those only that may be numbers, or lists or objects of numbers
    """
    spec = app.openapi()
    content = spec["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    schemas = spec["components"]["schemas"]
    found = _fields(schemas, content["schema"], BODIES[path], (), numbers)
    return list(dict.fromkeys(found))


def _fields(schemas: Any, schema: Any, value: Any, place: Place, numbers: bool) -> Iterator[Place]:
    for form in _forms(schemas, schema):
        if isinstance(value, dict):
            for name, inner in form.get("properties", {}).items():
                if not numbers or _takes_numbers(schemas, inner):
                    yield (*place, name)
                yield from _fields(schemas, inner, value.get(name), (*place, name), numbers)
        elif isinstance(value, list) and "items" in form:
            for index, item in enumerate(value):
                yield from _fields(schemas, form["items"], item, (*place, index), numbers)


def _takes_numbers(schemas: Any, schema: Any) -> bool:
    if "$ref" in schema:
        return False  # its own fields are looked at
    if schema.get("type") in ("integer", "number"):
        return True
    inner = [*schema.get("anyOf", ()), schema.get("items"), schema.get("additionalProperties")]
    return any(_takes_numbers(schemas, form) for form in inner if isinstance(form, dict))


def _forms(schemas: Any, schema: Any) -> Iterator[Any]:
    if "$ref" in schema:
        yield from _forms(schemas, schemas[schema["$ref"].rpartition("/")[2]])
    yield schema
    for form in schema.get("anyOf", ()):
        yield from _forms(schemas, form)


def changed(path: str, place: Place, value: Any) -> dict[str, Any]:
    """The example of `path` with `value` in the field at `place`."""
    body = copy.deepcopy(BODIES[path])
    inner: Any = body
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    return body


def asking(path: str, prompt: str) -> dict[str, Any]:
    """A request to `path` that has the model read `prompt`, and nothing else of length."""
    body = {name: value for name, value in BODIES[path].items() if "tool" not in name}
    for name in ("prompt", "input", "query", "text_1"):
        if name in body:
            return {**body, name: prompt}
    return {**body, "messages": [{"role": "user", "content": prompt}]}
