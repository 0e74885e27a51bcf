"""A case as the text the model reads: the same text that chat_template.jinja writes."""

from __future__ import annotations

import json
from typing import Any

from .case import Case, Message

CONTROL = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>")
TAGS = ("<tool_call>", "</tool_call>")


def segments(case: Case) -> list[tuple[str, bool]]:
    """The turns behind the first token, each with whether the model is to write it.

    A segment of the model's own starts behind "<|assistant|>" and includes "<|end|>".
    """
    parts: list[tuple[str, bool]] = []
    messages = case.messages
    instructions = messages[0]["content"] if messages[0]["role"] == "system" else ""
    if instructions or case.tools:
        parts.append(
            (f"<|system|>{instructions}{_tools(case.tools, bool(instructions))}<|end|>", False)
        )
    for message in messages:
        if message["role"] == "assistant":
            parts.append(("<|assistant|>", False))
            parts.append((f"{message['content']}<|end|>", True))
        elif message["role"] != "system":
            parts.append((f"<|{message['role']}|>{message['content']}<|end|>", False))
    return parts


def prompt(case: Case) -> str:
    """Everything up to the last answer, which is left to the model."""
    return "".join(text for text, _ in segments(case)[:-1])


def last_answer(messages: list[Message]) -> str:
    return str(messages[-1]["content"])


def _tools(tools: list[dict[str, Any]], behind_text: bool) -> str:
    if not tools:
        return ""
    lines = [json.dumps(tool["function"], ensure_ascii=False) for tool in tools]
    return "\n".join([("\n" if behind_text else "") + "Tools:", *lines])
