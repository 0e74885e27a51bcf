"""Real templates: the calls that they write are read again, as they were."""

from __future__ import annotations

import json
from functools import cache
from itertools import takewhile
from typing import Any

import pytest

from pyllm.errors import TemplateError
from pyllm.tokenizer import ChatTemplate
from pyllm.tool_calls import ChatFormat, ToolRequest
from tests.pyllm.tokenizer.files import MATERIAL, material
from tests.pyllm.tool_calls.support import TOOLS, read_all, shown, tokenizer_of

FOLDERS = (
    *("chujiezheng", "llama.cpp", "llama.cpp-ik-extra", "minja", "mistral-common/chat_templates"),
    *("mistral.rs", "ollama/renderers", "vllm"),
)
MOST = {"openai-gpt-oss-120b": 1}  # calls that a template writes of an answer
DEFINITIONS = ToolRequest.of(TOOLS).definitions
BRNO, USTI = {"city": "Brno", "days": 3}, {"city": 'Ústí "n. L."', "days": 2}
# These fail, here as in the reference implementation, or know no tools.
FAILING = {"Kimi-K2-Instruct", "fireworks-ai-llama-3-firefunction-v2", "gpt-oss", "v1", "v1_spm"}
# Templates that write no calls at all, or in a way that no format here reads.
UNREAD = {
    *("Kimi-K3", "LFM2-8B-A1B", "LFM2.5-8B-A1B", "LFM2.5-Instruct", "MiniMax-M3"),
    *("GigaChat3-10B-A1.8B",),
    *("glimmer_chat_template", "deepseek-ai-DeepSeek-V3.2"),
    *("ibm-granite-granite-3.3-2B-Instruct", "tool_chat_template_phi4_mini"),
    "CohereForAI-c4ai-command-r-plus-tool_use",
    *FAILING,
}


@cache
def templates() -> dict[str, str]:
    found = {}
    for folder in FOLDERS:
        for path in sorted((MATERIAL / "templates" / folder).glob("*.jinja*")):
            found[path.name.partition(".jinja")[0]] = path.read_text(encoding="utf-8")
    models = MATERIAL / "tokenizers" / "hf-config-only"
    for path in sorted(models.glob("*/chat_template.jinja")):
        found[path.parent.name] = path.read_text(encoding="utf-8")
    for path in sorted(models.glob("*/tokenizer_config.json")):
        source = json.loads(path.read_text(encoding="utf-8")).get("chat_template")
        if isinstance(source, str):
            found.setdefault(path.parent.name, source)
    return found


def form_of(source: str) -> ChatFormat:
    return ChatFormat.detect(source, tokenizer_of([]))


def conversation(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": f"abcdef{100 + index}",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": json.dumps(arguments)},
                }
                for index, arguments in enumerate(calls)
            ],
        },
    ]


def answer(source: str, form: ChatFormat, *calls: dict[str, Any]) -> str:
    """What the template writes behind its prompt for an answer with calls."""
    template = ChatTemplate(source, "<BOS>", "<EOS>")
    messages = form.prepare_messages(conversation(*calls))
    variables = {"tools": DEFINITIONS, "enable_thinking": False}
    prompt = template.render(messages[:1], **variables)
    whole = template.render(messages, add_generation_prompt=False, **variables)
    # What a template writes for earlier answers has no reasoning.
    for marker in reversed(form.reasoning.texts if form.reasoning else ()):
        prompt = prompt.removesuffix(marker.strip()).rstrip("\n")
    pairs = zip(prompt, whole, strict=False)
    return whole[sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)) :]


def test_the_templates_are_there() -> None:
    material("templates")
    assert len(templates()) > 60


@pytest.mark.parametrize("name", sorted(set(templates()) - UNREAD))
def test_written_calls_are_read(name: str) -> None:
    source = templates()[name]
    form = form_of(source)
    if not form.supports_tools:
        pytest.skip("the template knows no tools")
    for calls in ([BRNO], [BRNO, USTI]):
        text = answer(source, form, *calls)
        if "get_weather" not in text:
            pytest.skip("the template leaves calls out")
        found = [each for each in shown(read_all(form, text)) if each[0] == "get_weather"]
        assert found == [("get_weather", arguments) for arguments in calls[: MOST.get(name)]]


@pytest.mark.parametrize("name", sorted(templates()))
def test_prepared_messages_are_rendered(name: str) -> None:
    """Whatever the style: what one template refuses in another's style, it takes in its own."""
    form = form_of(templates()[name])
    if not form.supports_tools:
        pytest.skip("the template knows no tools")
    template = ChatTemplate(templates()[name], "<BOS>", "<EOS>")
    result = {"role": "tool", "tool_call_id": "abcdef100", "content": '{"temperature": 7}'}
    messages = form.prepare_messages([*conversation({"city": "Brno"}), result])
    if name in FAILING:
        with pytest.raises(TemplateError):
            template.render(messages, tools=DEFINITIONS)
        return
    text = template.render(messages, tools=DEFINITIONS)
    assert "\\u0022" not in text
    assert '\\"city\\"' not in text


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("qwen3", "<think>"),
        ("Qwen-QwQ-32B", "<think>"),
        ("smollm3", "<think>"),
        ("deepseek-ai-DeepSeek-V3.1", "<think>"),
        ("GLM-5.2", "<think>"),
        ("v13_think", "[THINK]"),
        ("ByteDance-Seed-OSS", "<seed:think>"),
        ("Cohere2MoE", "<|START_THINKING|>"),
        ("Apertus-8B-Instruct", "<|inner_prefix|>"),
        ("openai-gpt-oss-120b", "<|channel|>analysis<|message|>"),
        ("Qwen-Qwen2.5-7B-Instruct", None),
        ("v7", None),
    ],
)
def test_reasoning_is_found(name: str, start: str | None) -> None:
    material("templates")
    reasoning = form_of(templates()[name]).reasoning
    assert (reasoning.start if reasoning else None) == start


@pytest.mark.parametrize("name", ["qwen3", "Qwen3.5-4B", "GLM-5.2"])
def test_whether_a_prompt_lets_the_model_think(name: str) -> None:
    material("templates")
    source = templates()[name]
    reasoning = form_of(source).reasoning
    assert reasoning is not None
    template = ChatTemplate(source, None, None)
    on, off = (
        reasoning.state(template.render([{"role": "user", "content": "a"}], enable_thinking=flag))
        for flag in (True, False)
    )
    assert (on, off) == ("unsaid" if name == "qwen3" else "open", "closed")
