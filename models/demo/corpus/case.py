"""A case: one conversation whose last turn is the answer to learn, and how to judge an answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["exact", "json", "tool", "words", "prose"]
Message = dict[str, Any]  # role, content


@dataclass(frozen=True)
class Check:
    """What counts as right.

    exact  the answer is one of `wanted`
    json   the answer parses to the same value as wanted[0]
    tool   one <tool_call> whose JSON equals wanted[0]
    words  every text of `wanted` is in the answer, whatever its case
    prose  as words, and two or more sentences, none of them twice, the last one complete
    """

    kind: Kind
    wanted: tuple[str, ...]

    def accepts(self, answer: str) -> bool:
        answer = answer.strip()
        if self.kind == "exact":
            return answer in self.wanted
        if self.kind == "json":
            return _same_json(answer, self.wanted[0])
        if self.kind == "tool":
            call = re.fullmatch(r"<tool_call>(.*)</tool_call>", answer, re.DOTALL)
            return call is not None and _same_json(call[1], self.wanted[0])
        lower = answer.lower()
        if not all(text.lower() in lower for text in self.wanted):
            return False
        return self.kind == "words" or _is_prose(answer)


@dataclass(frozen=True)
class Case:
    """messages end with the assistant's; tools are function definitions as OpenAI writes them."""

    family: str
    messages: list[Message]
    check: Check
    tools: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Exchange:
    """A question that needs no earlier turn, its answer, and the bare result when it has one."""

    question: str
    answer: str
    check: Check
    short: str | None = None


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def _same_json(answer: str, wanted: str) -> bool:
    try:
        return bool(json.loads(answer) == json.loads(wanted))
    except ValueError:
        return False


def _is_prose(answer: str) -> bool:
    sentences = [s for s in re.split(r"(?<=[.!?])[\"”]?\s+", answer) if s]
    return len(sentences) > 1 and len(set(sentences)) == len(sentences) and answer[-1] in '.!?"'
