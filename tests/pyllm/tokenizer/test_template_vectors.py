"""Templates of real models against renderings by the reference implementation."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from typing import Any

import pytest

from pyllm.errors import TemplateError
from pyllm.tokenizer import ChatTemplate
from tests.pyllm.tokenizer.files import MATERIAL, material

VECTORS = MATERIAL / "templates" / "vectors"
AGREES = ("python_jinja2_3.1.6_agrees", "python_jinja2_agrees")


def load(name: str) -> Any:
    path = VECTORS / f"{name}.shared.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def agreed(name: str) -> list[Any]:
    return [case for case in load(name) if any(case.get(key) for key in AGREES)]


RENDERINGS: dict[str, Any] = load("jinja_renders") or {"results": []}


@cache
def compiled(path: str) -> ChatTemplate:
    with (MATERIAL / path).open(encoding="utf-8", newline="") as file:
        source = file.read()
    now = datetime.fromisoformat(RENDERINGS["strftime_now"].split()[0])
    bos, eos = RENDERINGS["bos_token"], RENDERINGS["eos_token"]
    return ChatTemplate(source, bos, eos, clock=lambda: now)


@pytest.mark.parametrize(
    "result", RENDERINGS["results"], ids=lambda result: f"{result['template']}-{result['case']}"
)
def test_real_templates_render_as_the_reference_does(result: dict[str, str]) -> None:
    case = dict(RENDERINGS["cases"][result["case"]])
    messages = case.pop("messages")
    template = compiled(result["template"])
    if "text" in result:
        assert template.render(messages, **case) == result["text"]
    else:
        with pytest.raises(TemplateError):
            template.render(messages, **case)


def test_the_vectors_are_there() -> None:
    material("templates", "vectors")
    assert len(RENDERINGS["results"]) > 400
    assert len(agreed("hfjs_jinja_unit")) > 40
    assert len(agreed("llamacpp_jinja_cases")) > 120


def rendered(source: str, variables: dict[str, Any]) -> str:
    """With any variables: the vectors are about Jinja, not about conversations."""
    return ChatTemplate(source, None, None)._rendered(variables)


@pytest.mark.parametrize("case", agreed("hfjs_jinja_unit"), ids=lambda case: case["name"])
def test_jinja_unit_cases(case: dict[str, Any]) -> None:
    assert rendered(case["template"], case["context"]) == case["expected"]


@pytest.mark.parametrize("case", agreed("llamacpp_jinja_cases"), ids=lambda case: case["name"])
def test_jinja_engine_cases(case: dict[str, Any]) -> None:
    assert rendered(case["template"], case["vars"]) == case["expected"]


@pytest.mark.parametrize("case", agreed("hfjs_e2e"), ids=lambda case: case["name"])
def test_whole_conversations(case: dict[str, Any]) -> None:
    variables = {"tools": None, **case["data"]}
    assert rendered(case["chat_template"], variables) == case["target"]


@pytest.mark.parametrize(
    "case", load("llamacpp_chat_template_cases"), ids=lambda case: case["name"]
)
def test_chat_template_cases(case: dict[str, Any]) -> None:
    template = ChatTemplate(case["template"], case["bos_token"], case["eos_token"])
    expected = case["python_jinja2_render"]
    if expected.startswith("EXC "):
        with pytest.raises(TemplateError, match="refuses this conversation"):
            template.render(case["messages"])
    else:
        assert template.render(case["messages"]) == expected
