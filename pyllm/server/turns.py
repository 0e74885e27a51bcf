"""A conversation in pieces, as blocks or items have it, as the messages chat templates are for."""

from __future__ import annotations

from typing import Any

_PARAGRAPH = "\n\n"


class Turns:
    """Pieces of one turn that follow each other become one message, since templates want roles to
    alternate: texts of a user or of the system as paragraphs, those of an assistant as they are."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def text(self, role: str, text: str) -> None:
        if role == "assistant":
            self._assistant()["content"] += text
            return
        last = self.messages[-1] if self.messages else None
        if last is not None and last["role"] == role:
            last["content"] += _PARAGRAPH + text
        else:
            self.messages.append({"role": role, "content": text})

    def reasoning(self, text: str) -> None:
        """What the assistant thought before what follows."""
        message = self._assistant()
        message["reasoning_content"] = message.get("reasoning_content", "") + text

    def call(self, call_id: str, name: str, arguments: str) -> None:
        """The assistant called a tool; `arguments` are JSON text."""
        function = {"name": name, "arguments": arguments}
        call = {"id": call_id, "type": "function", "function": function}
        self._assistant().setdefault("tool_calls", []).append(call)

    def result(self, call_id: str, text: str) -> None:
        """What the tool answered."""
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": text})

    def _assistant(self) -> dict[str, Any]:
        if not self.messages or self.messages[-1]["role"] != "assistant":
            self.messages.append({"role": "assistant", "content": ""})
        return self.messages[-1]
