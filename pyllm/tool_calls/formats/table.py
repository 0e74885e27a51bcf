"""Which format a chat template speaks of: the first row all of whose texts it holds."""

from __future__ import annotations

import re
from functools import partial

from pyllm.tool_calls.formats.base import CallFormat
from pyllm.tool_calls.formats.channel_calls import ChannelCalls
from pyllm.tool_calls.formats.gemma_calls import GemmaCalls
from pyllm.tool_calls.formats.json_calls import JsonCalls
from pyllm.tool_calls.formats.mistral_calls import MistralCalls
from pyllm.tool_calls.formats.named_calls import NamedCalls
from pyllm.tool_calls.formats.xml_calls import XmlCalls

_NAME = r"(?P<name>[\w.-]+)"
_DEEPSEEK = ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>")
_FUNCTION = partial(
    XmlCalls,
    name=("<function=", ">"),
    key=("<parameter=", ">"),
    value=("", "</parameter>"),
    end="</function>",
)

_TABLE: tuple[tuple[tuple[str, ...], CallFormat], ...] = (
    # gpt-oss
    (("<|channel|>", "<|message|>"), ChannelCalls()),
    (
        # DeepSeek-V3 and R1
        ("<｜tool▁calls▁begin｜>", "```json"),
        NamedCalls(
            "<｜tool▁call▁begin｜>",
            "function<｜tool▁sep｜>{name}\n```json\n",
            re.compile(rf"\s*(?:function)?<｜tool▁sep｜>{_NAME}\s*(?:```(?:json)?\s*)?", re.ASCII),
            "\n```<｜tool▁call▁end｜>",
            *_DEEPSEEK,
            "\n",
        ),
    ),
    (
        # DeepSeek-V3.1
        ("<｜tool▁calls▁begin｜>",),
        NamedCalls(
            "<｜tool▁call▁begin｜>",
            "{name}<｜tool▁sep｜>",
            re.compile(rf"\s*{_NAME}\s*<｜tool▁sep｜>\s*", re.ASCII),
            "<｜tool▁call▁end｜>",
            *_DEEPSEEK,
        ),
    ),
    (
        # Kimi K2
        ("<|tool_calls_section_begin|>",),
        NamedCalls(
            "<|tool_call_begin|>",
            "functions.{name}:0<|tool_call_argument_begin|>",
            re.compile(
                rf"\s*(?:functions\.)?{_NAME}(?::[0-9]+)?\s*<\|tool_call_argument_begin\|>\s*",
                re.ASCII,
            ),
            "<|tool_call_end|>",
            "<|tool_calls_section_begin|>",
            "<|tool_calls_section_end|>",
        ),
    ),
    (
        # Solar
        ("<|tool_call:begin|>",),
        NamedCalls(
            "<|tool_call:begin|>",
            "call<|tool_call:name|>{name}<|tool_call:args|>",
            re.compile(rf"[^<]*<\|tool_call:name\|>\s*{_NAME}\s*<\|tool_call:args\|>\s*", re.ASCII),
            "<|tool_call:end|>",
            "<|tool_calls|>",
        ),
    ),
    # Mistral, Mixtral, Devstral, Magistral
    (("[TOOL_CALLS]", "[ARGS]"), MistralCalls(is_named=True)),
    (("[TOOL_CALLS] ",), MistralCalls(is_named=False, space=" ")),
    (("[TOOL_CALLS]",), MistralCalls(is_named=False)),
    # Seed-OSS
    (
        ("<seed:tool_call>",),
        _FUNCTION("<seed:tool_call>", "</seed:tool_call>", around_value=""),
    ),
    # Qwen3-Coder, Qwen3.5, Step-3.5, Nemotron 3
    (
        ("<function=", "<parameter="),
        _FUNCTION("<tool_call>", "</tool_call>"),
    ),
    # GLM-4.5 and later
    (
        ("<arg_key>",),
        XmlCalls(
            "<tool_call>",
            "</tool_call>",
            name=("", ""),
            key=("<arg_key>", "</arg_key>"),
            value=("<arg_value>", "</arg_value>"),
            space="",
            around_value="",
        ),
    ),
    # Functionary, and Llama 3.1 with tools of its own
    (
        ("<function=",),
        NamedCalls(
            "<function=",
            "{name}>",
            re.compile(rf"{_NAME}>\s*", re.ASCII),
            "</function>",
        ),
    ),
    # Nemotron Nano
    (("<TOOLCALL>",), JsonCalls("<TOOLCALL>", "</TOOLCALL>", listed=True)),
    # Apriel
    (("<tool_calls>",), JsonCalls("<tool_calls>", "</tool_calls>", listed=True)),
    # Command A and R7B
    (
        ("<|START_ACTION|>",),
        JsonCalls(
            "<|START_ACTION|>",
            "<|END_ACTION|>",
            listed=True,
            name="tool_name",
            arguments="parameters",
        ),
    ),
    # Apertus
    (
        ("<|tools_prefix|>",),
        JsonCalls("<|tools_prefix|>", "<|tools_suffix|>", listed=True, name=None),
    ),
    # Hermes, Qwen2.5, Qwen3, Granite 4, SmolLM3
    (("<tool_call>\\n",), JsonCalls("<tool_call>", "</tool_call>", space="\n")),
    (("<tool_call>\n",), JsonCalls("<tool_call>", "</tool_call>", space="\n")),
    (("<tool_call>{",), JsonCalls("<tool_call>", "</tool_call>")),
    # Gemma 4
    (("<|tool_call>", "call:"), GemmaCalls()),
    # Firefunction, and Phi-4-mini as some of its templates have it
    (("functools[",), JsonCalls("functools", also=("<|tool_call|>",), listed=True)),
    # Granite 3
    (("<|tool_call|>",), JsonCalls("<|tool_call|>", listed=True)),
    # Phi-4-mini
    (
        ("<|tool|>",),
        JsonCalls("<|tool_call|>", "<|/tool_call|>", also=("functools",), listed=True),
    ),
    # Llama 3 and 4
    (
        ('"parameters": ',),
        JsonCalls(also=("<|python_tag|>",), arguments="parameters"),
    ),
    (("<|python_tag|>",), JsonCalls(also=("<|python_tag|>",), arguments="parameters")),
    # Whatever else has tools: most models were shown this form.
    (("tools",), JsonCalls()),
)


def detect_calls(template: str) -> CallFormat | None:
    """None for a template that knows no tools."""
    if "tools" not in template:
        return None
    return next(form for texts, form in _TABLE if all(text in template for text in texts))
