"""Conversations as OpenAI's clients send them, as a chat template wants them.

Templates differ in what they take: arguments as an object or as JSON text, no content as "" or as
None. Which of them a template renders faithfully is found by letting it render an example.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

from pyllm.errors import RequestError, TemplateError
from pyllm.tool_calls.call_ids import call_id

if TYPE_CHECKING:
    from pyllm.tokenizer import ChatTemplate

Message: TypeAlias = Mapping[str, Any]

_KEY, _VALUE = "probe_key", "probe value"
_PROBE_TOOL = {
    "type": "function",
    "function": {
        "name": "probe_function",
        "description": "",
        "parameters": {
            "type": "object",
            "properties": {_KEY: {"type": "string", "description": ""}},
            "required": [_KEY],
        },
    },
}
# The argument as JSON or as an element; with "\" or "'" it would be text within JSON, or Python.
_FAITHFUL = re.compile(rf"""(?<!\\)["=>{{(]{_KEY}\b""")
_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")


@dataclass(frozen=True, slots=True)
class MessageStyle:
    """What a template wants of a message with tool calls.

    arguments_as_text  JSON text, not an object
    empty_content      where there is none
    short_ids          9 letters and digits: Mistral's templates refuse others
    """

    arguments_as_text: bool = False
    empty_content: str | None = ""
    short_ids: bool = False

    @staticmethod
    def detect(template: ChatTemplate, *, short_ids: bool) -> MessageStyle:
        """The first style in which the template renders a call faithfully."""
        for empty_content, as_text in product(("", None), (False, True)):
            style = MessageStyle(as_text, empty_content, short_ids)
            if style._is_rendered_by(template):
                return style
        return MessageStyle(short_ids=short_ids)

    def _is_rendered_by(self, template: ChatTemplate) -> bool:
        function = {"name": "probe_function", "arguments": json.dumps({_KEY: _VALUE})}
        call = {"id": "123456789", "type": "function", "function": function}
        messages = self.prepare(
            [
                {"role": "user", "content": "."},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "123456789", "content": "."},
            ]
        )
        try:
            text = template.render(messages, tools=[_PROBE_TOOL], add_generation_prompt=False)
        except TemplateError:
            return False
        # The last place is the call: the definition of the tool stands before it.
        is_whole = _VALUE in text and "&#34;" not in text
        return is_whole and _FAITHFUL.search(text, text.rfind(_KEY) - 2) is not None

    def prepare(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Copies of the messages. RequestError names a call that is none, or its arguments."""
        names: dict[str, str] = {}  # of functions, by the id of their call
        return [self._prepared(dict(m), f"messages[{i}]", names) for i, m in enumerate(messages)]

    def _prepared(
        self, message: dict[str, Any], where: str, names: dict[str, str]
    ) -> dict[str, Any]:
        if message.get("role") == "tool":
            return self._result(message, where, names)
        if message.get("role") != "assistant":
            return message
        if (reasoning := message.get("reasoning")) and not message.get("reasoning_content"):
            message["reasoning_content"] = reasoning
        calls = message.pop("tool_calls", None)
        if calls is None or calls == []:
            return message
        if not isinstance(calls, list | tuple):
            raise RequestError(f"{where}.tool_calls", calls, "must be a list")
        message["tool_calls"] = [
            self._call(call, f"{where}.tool_calls[{index}]", names)
            for index, call in enumerate(calls)
        ]
        if not message.get("content"):
            message["content"] = self.empty_content
        return message

    def _call(self, call: object, where: str, names: dict[str, str]) -> dict[str, Any]:
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(call, Mapping) or not isinstance(function, Mapping):
            limit = 'must be {"id": …, "type": "function", "function": {"name": …, "arguments": …}}'
            raise RequestError(where, call, limit)
        name, identity = function.get("name"), call.get("id")
        if not isinstance(name, str) or not name:
            raise RequestError(f"{where}.function.name", name, "must be a non-empty string")
        if not isinstance(identity, str | None):
            raise RequestError(f"{where}.id", identity, "must be a string")
        if identity is not None:
            names[identity] = name
        arguments = self._arguments(function.get("arguments"), f"{where}.function.arguments")
        prepared = {"type": "function", "function": {**function, "arguments": arguments}}
        return {**call, **prepared, **({} if identity is None else {"id": self._id(identity)})}

    def _arguments(self, arguments: object, where: str) -> object:
        value = arguments
        if isinstance(arguments, str):
            try:
                value = json.loads(arguments, strict=False) if arguments.strip() else {}
            except (ValueError, RecursionError):
                raise RequestError(where, arguments, "must be the JSON of an object") from None
        value = {} if value is None else value
        if not isinstance(value, Mapping):
            raise RequestError(where, arguments, "must be the JSON of an object")
        if not self.arguments_as_text:
            return value
        # A client's own text stays as it is: its model has written it so.
        is_text = isinstance(arguments, str) and arguments.strip()
        return arguments if is_text else json.dumps(value, ensure_ascii=False)

    def _result(
        self, message: dict[str, Any], where: str, names: Mapping[str, str]
    ) -> dict[str, Any]:
        """Templates ask results for their function's name, which OpenAI's clients do not send."""
        identity = message.get("tool_call_id")
        if not isinstance(identity, str | None):
            raise RequestError(f"{where}.tool_call_id", identity, "must be a string")
        if identity is not None:
            message["tool_call_id"] = self._id(identity)
            if identity in names:
                message.setdefault("name", names[identity])
        return message

    def _id(self, identity: str) -> str:
        if not self.short_ids or _SHORT_ID.fullmatch(identity):
            return identity
        return call_id(identity, 0, is_short=True)
