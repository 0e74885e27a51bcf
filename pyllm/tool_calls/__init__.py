"""What a chat model writes, understood: reasoning, text and tool calls."""

from pyllm.tool_calls.answer_parser import AnswerParser
from pyllm.tool_calls.chat_format import AnswerPlan, ChatFormat
from pyllm.tool_calls.events import (
    Event,
    ReasoningPiece,
    TextPiece,
    ToolCallArguments,
    ToolCallEnd,
    ToolCallStart,
)
from pyllm.tool_calls.tools import ToolRequest

__all__ = [
    "AnswerParser",
    "AnswerPlan",
    "ChatFormat",
    "Event",
    "ReasoningPiece",
    "TextPiece",
    "ToolCallArguments",
    "ToolCallEnd",
    "ToolCallStart",
    "ToolRequest",
]
