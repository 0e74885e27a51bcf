"""Rows 12 to 16 and 28 through HTTP: templates, grammars, schemas and addresses as weapons."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pyllm.demo import demo_model
from pyllm.server.model_card import read_card
from pyllm.server.settings import ModelSource
from tests.pyllm.server.sse import events
from tests.support.whole_server import WholeServer, demo_settings, whole_server

SUM = [{"role": "user", "content": "What is 3 + 4?"}]
BOMB = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
ESCAPES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.system('touch CANARY') }}",
    "{{ lipsum.__globals__['os'].popen('touch CANARY').read() }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ messages | map(attribute='__class__') | list }}",
    "{% include 'CANARY' %}",
)
BOMBS = (
    BOMB,
    "{{ 'x' * 10**10 }}",
    "{{ 'x' | center(10**10) }}",
    "{{ '%010000000000d' | format(1) }}",
    "{{ messages | tojson(indent=10**10) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "(" * 50 + "{{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}",
)


def with_template(folder: Path, name: str, template: str) -> ModelSource:
    """The embedded model with another template, of the same length so that nothing moves."""
    path = demo_model()
    assert path is not None
    given = read_card(ModelSource("demo", path)).chat_template
    assert given is not None
    assert len(template) < len(given)
    content = path.read_bytes()
    assert content.count(given.encode()) == 1
    copy = folder / f"{name}.gguf"
    copy.write_bytes(content.replace(given.encode(), template.ljust(len(given)).encode()))
    return ModelSource(name, copy)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeServer]:
    """Models whose files are hostile beside one that is not; clients may bring templates."""
    folder, plain = tmp_path_factory.mktemp("models"), demo_settings()
    models = (
        *plain.models,
        with_template(folder, "bomb", BOMB),
        with_template(folder, "escape", ESCAPES[1]),
        with_template(folder, "broken", "{% if %}"),
    )
    with whole_server(demo_settings(models=models, request_templates=True)) as server:
        yield server


@pytest.fixture(scope="module")
def plain() -> Iterator[WholeServer]:
    with whole_server() as server:
        yield server


TEMPLATED = {
    "/v1/chat/completions": {"messages": SUM, "max_tokens": 1},
    "/v1/responses": {"input": "hi", "max_output_tokens": 16},
    "/v1/responses/input_tokens": {"input": "hi"},
    "/v1/messages": {"messages": SUM, "max_tokens": 1},
    "/v1/messages/count_tokens": {"messages": SUM},
    "/api/chat": {"messages": SUM, "options": {"num_predict": 1}},
    "/api/generate": {"prompt": "hi", "options": {"num_predict": 1}},
    "/tokenize": {"messages": SUM},
    "/apply-template": {"messages": SUM},
}


@pytest.mark.parametrize("model", ["bomb", "escape", "broken"])
def test_a_model_with_a_hostile_template_fails_its_own_requests(
    server: WholeServer, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = TEMPLATED if model != "bomb" else ("/v1/chat/completions", "/apply-template")
    with server.client() as client:
        for path in paths:
            began = time.process_time()
            answer = client.post(path, json={**TEMPLATED[path], "model": model})
            assert answer.status_code == 422, (path, answer.text)
            assert time.process_time() - began < 5, path
        server.wait_idle()
        body = {"prompt": "hi", "max_tokens": 1, "model": model}
        assert client.post("/v1/completions", json=body).status_code == 200
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("template", [*ESCAPES, *BOMBS])
def test_a_hostile_template_of_a_client_is_refused(
    server: WholeServer, template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    body = {"messages": SUM, "chat_template": template, "max_tokens": 1}
    with server.client() as client:
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "template_error"
    assert not list(tmp_path.iterdir())
    server.wait_idle()


def test_others_are_answered_while_a_bomb_goes_off(server: WholeServer) -> None:
    body = {"prompt": "Once", "max_tokens": 400, "ignore_eos": True, "seed": 3}
    with server.client() as client, ThreadPoolExecutor(1) as pool:
        alone = client.post("/v1/completions", json=body).json()["choices"][0]["text"]
        beside = client.stream("POST", "/v1/completions", json={**body, "stream": True})
        with beside as stream, server.client() as attacker:
            bomb = {"messages": SUM, "model": "bomb"}
            going_off = pool.submit(attacker.post, "/v1/chat/completions", json=bomb)
            found = events(stream)[:-1]
            assert going_off.result().status_code == 422
    assert "".join(chunk["choices"][0]["text"] for chunk in found) == alone
    assert len(found) > 10, "it came in pieces"


@pytest.mark.parametrize("name", ["tokenize", "messages", "add_generation_prompt", "__class__"])
def test_templates_and_their_variables_are_the_servers(plain: WholeServer, name: str) -> None:
    bodies = {
        "/v1/chat/completions": TEMPLATED["/v1/chat/completions"],
        "/v1/responses": TEMPLATED["/v1/responses"],
        "/tokenize": TEMPLATED["/tokenize"],
        "/apply-template": TEMPLATED["/apply-template"],
    }
    with plain.client() as client:
        for path, body in bodies.items():
            answer = client.post(path, json={**body, "chat_template_kwargs": {name: True}})
            assert answer.status_code == 400, path
            assert answer.json()["error"]["code"] == "template_not_allowed"
        for path, body in TEMPLATED.items():
            answer = client.post(path, json={"model": "demo", **body, "chat_template": BOMB})
            assert answer.status_code == 400, path
    plain.wait_idle()


@pytest.mark.parametrize("name", ["tokenize", "messages", "add_generation_prompt", "__class__"])
def test_reserved_names_are_refused_where_variables_are_allowed(
    server: WholeServer, name: str
) -> None:
    body = {"messages": SUM, "max_tokens": 1, "chat_template_kwargs": {name: True}}
    with server.client() as client:
        assert client.post("/v1/chat/completions", json=body).status_code == 400


DEEP: dict[str, Any] = {"type": "string"}
for _ in range(25):
    DEEP = {"type": "array", "items": DEEP}
REPEATED: dict[str, Any] = {"type": "array", "items": {"type": "integer"}, "minItems": 10**9}
SCHEMAS = {
    "cycle": {"$ref": "#"},
    "cycle of definitions": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    "remote": {"$ref": "http://127.0.0.1:9/schema"},
    "remote file": {"$ref": "file:///etc/passwd"},
    "nowhere": {"$ref": "#/$defs/none"},
    "pattern begins with ?": {"type": "string", "pattern": "?x"},
    "look-behind": {"type": "string", "pattern": "(?<=x)a"},
    "back-reference": {"type": "string", "pattern": r"(a)\1"},
    "unknown type": {"type": "nothing"},
    "wrong kinds": {"type": "object", "properties": [], "required": 1, "items": "x"},
}
# Too much for some compilers; whoever takes them must not notice.
HEAVY_SCHEMAS = {
    "nested repeats": {"type": "string", "pattern": "((a{1000}){1000}){1000}"},
    "huge repeats": REPEATED,
    "deep": DEEP,
}
GRAMMARS = {
    "60 000 brackets": "root ::= " + "(" * 60_000 + '"a"' + ")" * 60_000,
    "unclosed brackets": "root ::= " + "(" * 60_000,
    "a long chain": "root ::= r0\n"
    + "".join(f"r{i} ::= r{i + 1}\n" for i in range(5000))
    + "r5000 ::= r0",
    "a million times": 'root ::= ("a"{1,1000000}){1,1000000}',
    "no such rule": "root ::= nothing",
    "no root": 'other ::= "a"',
    "recursion that reads nothing": "root ::= root",
    "an impossible code point": 'root ::= "\\U0FFFFFFF"',
}
# What these mean is harmless; they must cost nothing.
HARMLESS_GRAMMARS = {
    "repeated repeats": 'root ::= ("a"*)*',
    "left recursion": 'root ::= root "a" | "b"',
}
REGEXES = ("?x", "(?<=x)a", r"(a)\1", "(" * 20_000, "((a{1000}){1000}){1000}")


def refused(server: WholeServer, path: str, body: dict[str, Any]) -> None:
    with server.client() as client:
        answer = client.post(path, json={"model": "demo", **body})
    assert answer.status_code == 400, answer.text
    assert len(answer.content) < 2000, "it does not send all of it back"


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_hostile_schema_is_refused_wherever_it_stands(plain: WholeServer, name: str) -> None:
    schema, chat = SCHEMAS[name], TEMPLATED["/v1/chat/completions"]
    given = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    refused(plain, "/v1/chat/completions", {**chat, "response_format": given})
    refused(plain, "/v1/chat/completions", {**chat, "structured_outputs": {"json": schema}})
    refused(plain, "/v1/completions", {"prompt": "a", "guided_json": schema})
    wanted = {"type": "json_schema", "name": "a", "schema": schema}
    refused(plain, "/v1/responses", {"input": "a", "text": {"format": wanted}})
    refused(plain, "/api/chat", {"messages": SUM, "format": schema})
    refused(plain, "/completion", {"prompt": "a", "json_schema": schema})
    output = {"format": {"type": "json_schema", "schema": schema}}
    refused(plain, "/v1/messages", {"messages": SUM, "max_tokens": 1, "output_config": output})
    plain.wait_idle()


@pytest.mark.parametrize("name", HEAVY_SCHEMAS)
def test_a_heavy_schema_is_served_or_refused(plain: WholeServer, name: str) -> None:
    body = {"prompt": "a", "guided_json": HEAVY_SCHEMAS[name], "max_tokens": 4}
    with plain.client() as client:
        assert client.post("/v1/completions", json=body).status_code in (200, 400)
    plain.wait_idle()


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name != "cycle"])
def test_a_hostile_schema_of_a_tool_is_refused(plain: WholeServer, name: str) -> None:
    parameters = {"type": "object", "properties": {"a": SCHEMAS[name]}, "required": ["a"]}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    body = {**TEMPLATED["/v1/chat/completions"], "tools": [tool], "tool_choice": "required"}
    refused(plain, "/v1/chat/completions", body)
    plain.wait_idle()


@pytest.mark.parametrize("name", GRAMMARS)
def test_a_hostile_grammar_is_refused(plain: WholeServer, name: str) -> None:
    grammar = GRAMMARS[name]
    chat = TEMPLATED["/v1/chat/completions"]
    refused(plain, "/v1/chat/completions", {**chat, "structured_outputs": {"grammar": grammar}})
    refused(plain, "/v1/completions", {"prompt": "a", "guided_grammar": grammar})
    refused(plain, "/completion", {"prompt": "a", "grammar": grammar})
    plain.wait_idle()


@pytest.mark.parametrize("name", HARMLESS_GRAMMARS)
def test_a_grammar_that_has_killed_others_is_served_or_refused(
    plain: WholeServer, name: str
) -> None:
    body = {"prompt": "a", "grammar": HARMLESS_GRAMMARS[name], "n_predict": 4}
    with plain.client() as client:
        assert client.post("/completion", json=body).status_code in (200, 400)
    plain.wait_idle()


@pytest.mark.parametrize("regex", REGEXES)
def test_a_hostile_expression_is_refused(plain: WholeServer, regex: str) -> None:
    chat = TEMPLATED["/v1/chat/completions"]
    refused(plain, "/v1/chat/completions", {**chat, "structured_outputs": {"regex": regex}})
    refused(plain, "/v1/completions", {"prompt": "a", "guided_regex": regex})
    plain.wait_idle()


def test_an_expression_that_is_slow_elsewhere_is_matched(plain: WholeServer) -> None:
    body = {"prompt": "a", "guided_regex": "(a+)+", "max_tokens": 30}
    with plain.client() as client:
        text = client.post("/v1/completions", json=body).json()["choices"][0]["text"]
    assert set(text) == {"a"}


URLS = (
    "http://169.254.169.254/latest/meta-data",
    "https://example.org/a.png",
    "http://2130706433:9/",
    "http://[::ffff:127.0.0.1]:9/",
    "file:///etc/passwd",
    "data:image/png;base64,aGk=",
)


def requests_with(url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place where one of the four services would fetch a URL."""
    chat, claude, responses = "/v1/chat/completions", "/v1/messages", "/v1/responses"
    for part in (
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image_url", "image_url": url},
        {"type": "input_audio", "input_audio": {"data": url, "format": "wav"}},
        {"type": "audio_url", "audio_url": {"url": url}},
        {"type": "video_url", "video_url": {"url": url}},
        {"type": "file", "file": {"file_data": url, "filename": "a"}},
    ):
        yield chat, {"messages": [{"role": "user", "content": [part]}], "max_tokens": 1}
    for item in (
        {"type": "input_image", "image_url": url},
        {"type": "input_file", "file_url": url},
        {"type": "input_file", "file_data": url, "filename": "a"},
        {"type": "input_audio", "input_audio": {"data": url, "format": "wav"}},
    ):
        yield responses, {"input": [{"role": "user", "content": [item]}]}
        output = {"type": "function_call_output", "call_id": "a", "output": [item]}
        yield responses, {"input": [output]}
    yield responses, {"input": "a", "tools": [{"type": "mcp", "server_url": url}]}
    source = {"type": "url", "url": url}
    for block in ({"type": "image", "source": source}, {"type": "document", "source": source}):
        messages = [{"role": "user", "content": [block]}]
        yield claude, {"messages": messages, "max_tokens": 1}
        result = {"type": "tool_result", "tool_use_id": "a", "content": [block]}
        yield claude, {"messages": [{"role": "user", "content": [result]}], "max_tokens": 1}
    servers = [{"type": "url", "url": url, "name": "a"}]
    yield claude, {"messages": SUM, "max_tokens": 1, "mcp_servers": servers}
    yield "/api/chat", {"messages": [{**SUM[0], "images": [url]}]}
    yield "/api/generate", {"prompt": "a", "images": [url]}
    yield "/v1/embeddings", {"input": [{"type": "image_url", "image_url": {"url": url}}]}
    yield "/v1/rerank", {"query": "a", "documents": [{"image": url}]}


class Watch:
    """What this process connects to, looks up and opens, while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[tuple[str, Any]] = []
        self.port = 0
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or event not in ("socket.connect", "socket.getaddrinfo", "open"):
            return
        target = arguments[1] if event == "socket.connect" else arguments[:2]
        if target not in (("127.0.0.1", self.port), (b"127.0.0.1", self.port)):
            self.seen.append((event, target))


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()  # a hook stays for as long as the process


@pytest.mark.parametrize("url", URLS)
def test_nothing_is_ever_fetched(plain: WholeServer, watch: Watch, url: str) -> None:
    with plain.client() as client:
        client.get("/health")
        watch.port, watch.on = plain.port, True
        try:
            answers = [
                (path, client.post(path, json={"model": "demo", **body}))
                for path, body in requests_with(url)
            ]
        finally:
            watch.on = False
    for path, answer in answers:
        assert answer.status_code == 400, (path, answer.text)
    hosts = [event for event in watch.seen if event[0] != "open"]
    files = [name for event, (name, *_) in watch.seen if event == "open"]
    assert not hosts
    assert not [name for name in files if "passwd" in os.fsdecode(str(name))]
    plain.wait_idle()
