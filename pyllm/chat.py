"""From a conversation to the token ids the model's chat template makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from pyllm.errors import RequestError, TemplateError
from pyllm.prompts import Encoded, checked_text

if TYPE_CHECKING:
    from pyllm.tokenizer import ChatTemplate, Tokenizer

Messages: TypeAlias = Sequence[Mapping[str, Any]]


def is_conversation(value: object) -> TypeGuard[Messages]:
    """A non-empty list of messages, each a dictionary with a role."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str | bytes)
        and len(value) > 0
        and all(isinstance(item, Mapping) and "role" in item for item in value)
    )


def as_conversations(messages: object) -> list[Messages]:
    """One conversation or several, as a list of checked conversations."""
    if is_conversation(messages):
        return [messages]
    if isinstance(messages, str | bytes) or not isinstance(messages, Sequence) or not messages:
        raise RequestError("messages", messages, "must be a non-empty list of messages")
    if isinstance(messages[0], Mapping):
        raise RequestError("messages", messages, 'every message must have a "role"')
    conversations = []
    for index, conversation in enumerate(messages):
        if not is_conversation(conversation):
            limit = 'must be a non-empty list of messages, each with a "role"'
            raise RequestError(f"messages[{index}]", conversation, limit)
        conversations.append(conversation)
    return conversations


class ChatRenderer:
    """Renders conversations; compiled templates are kept, one per source text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._templates: dict[str, ChatTemplate] = {}

    def encode(
        self,
        messages: Messages,
        *,
        chat_template: str | None = None,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
    ) -> Encoded:
        """The rendered text and its ids. Raises TemplateError and RequestError."""
        template = self._template(chat_template)
        text = template.render(
            messages,
            add_generation_prompt=add_generation_prompt,
            tools=tools,
            **(chat_template_kwargs or {}),
        )
        ids = self._tokenizer.encode(
            checked_text("messages", text), add_special=False, parse_special=True
        )
        # Templates differ in whether they write the BOS token; the model expects exactly one.
        bos = self._tokenizer.bos_id
        if self._tokenizer.add_bos and bos is not None and ids[:1] != [bos]:
            ids.insert(0, bos)
        return text, ids

    def _template(self, override: str | None) -> ChatTemplate:
        from pyllm.tokenizer import ChatTemplate

        source = override if override is not None else self._tokenizer.chat_template
        if source is None:
            raise TemplateError(
                "the model has no chat template; give chat_template= or use generate()"
            )
        if source not in self._templates:
            bos, eos = self._tokenizer.bos_id, self._tokenizer.eos_id
            self._templates[source] = ChatTemplate(
                source, self._token_text(bos), self._token_text(eos)
            )
        return self._templates[source]

    def _token_text(self, token: int | None) -> str:
        if token is None:
            return ""
        return self._tokenizer.token_bytes(token).decode("utf-8", "replace")
