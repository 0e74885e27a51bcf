"""A conversation whose last message is not finished: its text ends where that message's does.

The template renders the message with a mark behind it, and the text is cut there. As in
transformers, what the template would have trimmed from the end of a message stays away.
"""

from __future__ import annotations

from pyllm.errors import RequestError, TemplateError
from pyllm.text.special_text import Messages, unused_mark

__all__ = ["cut_at_mark", "with_mark_at_end"]

# White space to a template that trims, and nothing that a template would write itself.
_TRIMMED = "\v"


def with_mark_at_end(messages: Messages) -> tuple[Messages, str]:
    """The messages with a mark behind the last one's text, and the mark.

    Raises RequestError unless that is an answer of the assistant that has a text.
    """
    *before, last = messages
    place, wanted = f"messages[{len(before)}]", "to be continued"
    if last.get("role") != "assistant":
        raise RequestError(f"{place}.role", last.get("role"), f"must be assistant {wanted}")
    content = last.get("content")
    if not isinstance(content, str):
        raise RequestError(f"{place}.content", content, f"must be a text {wanted}")
    mark = unused_mark(messages)
    return [*before, {**last, "content": content + mark + _TRIMMED}], mark


def cut_at_mark(text: str, mark: str) -> str:
    """What a template wrote, up to the end of the last message. Raises TemplateError."""
    before, found, after = text.rpartition(mark)
    if not found:
        raise TemplateError(
            "the chat template does not write the last message as it is; it cannot be continued"
        )
    return before if after.startswith(_TRIMMED) else before.rstrip()
