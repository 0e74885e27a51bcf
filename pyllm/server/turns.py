"""A conversation in pieces, as blocks or items have it, as the messages chat templates are for."""

from __future__ import annotations

from typing import Any

_PARAGRAPH = "\n\n"


class Turns:
    """Pieces of one turn that follow each other become one message, since templates want roles to
    alternate: texts of a user or of the system as paragraphs, those of an assistant as they are."""

    def __init__(self) -> None:
        # Texts are lists of their pieces: joined one by one, thousands would be copied each time.
        self._turns: list[dict[str, Any]] = []

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [_joined(turn) for turn in self._turns]

    def text(self, role: str, text: str) -> None:
        if role == "assistant":
            self._assistant()["content"].append(text)
        elif self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["content"].append(text)
        else:
            self._turns.append({"role": role, "content": [text]})

    def reasoning(self, text: str) -> None:
        """What the assistant thought before what follows."""
        self._assistant().setdefault("reasoning_content", []).append(text)

    def call(self, call_id: str, name: str, arguments: str) -> None:
        """The assistant called a tool; `arguments` are JSON text."""
        function = {"name": name, "arguments": arguments}
        call = {"id": call_id, "type": "function", "function": function}
        self._assistant().setdefault("tool_calls", []).append(call)

    def result(self, call_id: str, text: str) -> None:
        """What the tool answered."""
        self._turns.append({"role": "tool", "tool_call_id": call_id, "content": [text]})

    def _assistant(self) -> dict[str, Any]:
        if not self._turns or self._turns[-1]["role"] != "assistant":
            self._turns.append({"role": "assistant", "content": []})
        return self._turns[-1]


def _joined(turn: dict[str, Any]) -> dict[str, Any]:
    between = "" if turn["role"] == "assistant" else _PARAGRAPH
    message = {**turn, "content": between.join(turn["content"])}
    if "reasoning_content" in turn:
        message["reasoning_content"] = "".join(turn["reasoning_content"])
    return message
