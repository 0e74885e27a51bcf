"""Vocabularies with markers, tools, and answers read piece by piece."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from pyllm.sampling.token_mask import UnwrittenMask
from pyllm.structured import StructuredOutputsParams
from pyllm.structured.compiler import GrammarCompiler
from pyllm.tokenizer import Tokenizer
from pyllm.tool_calls import (
    AnswerParser,
    ChatFormat,
    Event,
    ReasoningPiece,
    TextPiece,
    ToolCallArguments,
    ToolCallEnd,
    ToolCallStart,
    ToolRequest,
)
from pyllm.tool_calls.events import joined_events
from pyllm.tool_calls.formats.base import CallFormat
from pyllm.tool_calls.formats.table import detect_calls
from pyllm.tool_calls.reasoning import ReasoningMarkers, detect_reasoning
from tests.pyllm.tokenizer.files import CONTROL, bpe_file

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "A city"},
                    "days": {"type": "integer", "description": "How many"},
                    "unit": {"enum": ["c", "f"], "description": "A unit"},
                    "flags": {"$ref": "#/$defs/flags", "description": "Some"},
                },
                "required": ["city"],
                "additionalProperties": False,
                "$defs": {"flags": {"type": "array", "items": {"type": "boolean"}}},
            },
        },
    },
    {"type": "function", "function": {"name": "stop", "description": "Stop"}},
]


def is_valid(name: str, arguments: str) -> bool:
    """Whether arguments follow the schema that the function above has."""
    value = json.loads(arguments)
    if name == "stop":
        return bool(value == {})
    return (
        isinstance(value["city"], str)
        and set(value) <= {"city", "days", "unit", "flags"}
        and type(value.get("days", 1)) is int
        and value.get("unit", "c") in ("c", "f")
        and all(type(flag) is bool for flag in value.get("flags", []))
    )


def tokenizer_of(markers: Iterable[str], kind: int = CONTROL) -> Tokenizer:
    """Bytes, markers of one kind, and an end-of-text token."""
    extra = dict.fromkeys(markers, kind) | {"<eos>": CONTROL}
    return Tokenizer.from_gguf(bpe_file([], extra=extra, eos_token_id=256 + len(extra) - 1))


@cache
def format_of(*texts: str, kind: int = CONTROL) -> ChatFormat:
    """The format of a template that holds these texts; all its markers are tokens."""
    template = "{# " + " ".join(texts) + " #}"
    calls, reasoning = detect_calls(template), detect_reasoning(template)
    return ChatFormat.detect(template, tokenizer_of(_markers(calls, reasoning), kind))


def tokenizer_for(form: ChatFormat, kind: int = CONTROL) -> Tokenizer:
    """The one that the format was made with."""
    return tokenizer_of(_markers(form.calls, form.reasoning), kind)


def _markers(calls: CallFormat | None, reasoning: ReasoningMarkers | None) -> list[str]:
    texts = [*(calls.markers if calls else ()), *(reasoning.texts if reasoning else ())]
    return list(filter(str.strip, texts))


def parser_of(form: ChatFormat, prompt: str = "", **choice: Any) -> AnswerParser:
    request = ToolRequest.of(TOOLS, **choice) if form.supports_tools else ToolRequest()
    return form.plan(request, prompt).parser("seed")


def read(parser: AnswerParser, pieces: Sequence[str]) -> list[Event]:
    events = [event for piece in pieces for event in parser.feed(piece)]
    return joined_events([*events, *parser.finish()])


def read_all(form: ChatFormat, text: str, prompt: str = "", **choice: Any) -> list[Event]:
    """The events of a text, which must not depend on how it is cut."""
    whole = read(parser_of(form, prompt, **choice), [text])
    for size in (1, 2, 3, 5, 11):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert read(parser_of(form, prompt, **choice), pieces) == whole
    return whole


def shown(events: Sequence[Event]) -> list[Any]:
    """Short: "text", ("thinks", …), (name, arguments); a call without an end has none."""
    found: list[Any] = []
    for event in events:
        match event:
            case TextPiece(text):
                found.append(text)
            case ReasoningPiece(text):
                found.append(("thinks", text))
            case ToolCallStart(_, _, name):
                found.append([name, ""])
            case ToolCallArguments(_, text):
                found[-1][1] += text
            case ToolCallEnd(_):
                found[-1] = (found[-1][0], json.loads(found[-1][1]))
    return found


_LIKELY = frozenset({b'"', b"}", b"<", b"\n", b"]", b">", b"{", b"a", b"1"})


def random_answer(
    tokenizer: Tokenizer, params: StructuredOutputsParams, seed: int, prefix: str = ""
) -> tuple[str, bool]:
    """What a model writes that chooses at random what the grammar allows; whether it ended."""
    state = GrammarCompiler(tokenizer).compile(params, jump=False)
    choose = random.Random(seed)
    ids = tokenizer.encode(prefix, add_special=False, parse_special=True) if prefix else []
    assert all(map(state.accept, ids))
    while len(ids) < 800:
        mask = state.next_mask()
        allowed = np.arange(tokenizer.n_vocab)
        if mask is not None:
            words = mask.matcher().compute_bitmask() if isinstance(mask, UnwrittenMask) else mask
            bits = np.unpackbits(np.frombuffer(words, np.uint8), bitorder="little")
            allowed = np.flatnonzero(bits[: tokenizer.n_vocab])
        likely = [t for t in allowed if t >= 256 or tokenizer.token_bytes(int(t)) in _LIKELY]
        is_likely = likely and choose.random() < 0.9
        token = int(choose.choice(likely if is_likely else list(allowed)))
        assert state.accept(token), state.error
        if token in tokenizer.eog_ids:
            return tokenizer.decode(ids, skip_special=False), True
        ids.append(token)
        state.take_forced()
    return tokenizer.decode(ids, skip_special=False), False
