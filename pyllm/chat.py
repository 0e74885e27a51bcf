"""From a conversation to the token ids the model's chat template makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from pyllm.errors import RequestError, TemplateError
from pyllm.open_message import cut_at_mark, with_mark_at_end
from pyllm.prompts import Encoded, checked_text
from pyllm.text.special_text import Messages, SpecialText

if TYPE_CHECKING:
    from pyllm.tokenizer import ChatTemplate, Tokenizer


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


_OPTIONS = (
    "chat_template, add_generation_prompt, continue_final_message, tools and chat_template_kwargs"
)


def _with_plain_contents(messages: Messages) -> Messages:
    """Contents that are lists of parts as texts: most templates know nothing else."""
    return [
        {**message, "content": _joined(message["content"], f"messages[{index}].content")}
        if isinstance(message.get("content"), list | tuple)
        else message
        for index, message in enumerate(messages)
    ]


def _joined(parts: Sequence[Any], field: str) -> str:
    texts = []
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, Mapping) else part
        if kind != "text":
            raise RequestError(f"{field}[{index}]", kind, 'must be a part of type "text"')
        text = part.get("text")
        if not isinstance(text, str):
            raise RequestError(f"{field}[{index}].text", text, "must be a string")
        texts.append(text)
    return "".join(texts)


# Compiled templates to keep; callers may bring their own, and each takes memory.
_MAX_TEMPLATES = 16


class ChatRenderer:
    """Renders conversations; compiled templates are kept, one per source text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._special_text: SpecialText | None = None
        self._templates: dict[str, ChatTemplate] = {}

    def encode(
        self,
        messages: Messages,
        *,
        chat_template: str | None = None,
        add_generation_prompt: bool | None = None,
        continue_final_message: bool = False,
        tools: Sequence[Mapping[str, Any]] | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> Encoded:
        """The rendered text and its ids. Raises TemplateError, TokenizerError and RequestError.

        add_generation_prompt   end with the opening of an answer; None: unless the last is open
        continue_final_message  leave the last message, the assistant's, open: the answer goes on

        Special tokens written by the template are tokens; written by a user they are text.
        A content of text parts, as OpenAI's clients send it, is one text.
        """
        for name, value in unknown.items():
            raise RequestError(name, value, f"is no option of a chat; known are {_OPTIONS}")
        if continue_final_message and add_generation_prompt:
            limit = "an answer is continued or begun; add_generation_prompt must be False"
            raise RequestError("continue_final_message", True, limit)
        if self._special_text is None:  # on first use: a model may never chat
            self._special_text = SpecialText(self._tokenizer)
        variables = _checked_variables(chat_template_kwargs or {})
        template = self._template(chat_template)
        messages, end = _with_plain_contents(messages), None
        if continue_final_message:
            messages, end = with_mark_at_end(messages)
        else:
            add_generation_prompt = add_generation_prompt is None or add_generation_prompt
        marked, mark = self._special_text.marked(messages)
        text = template.render(
            marked, add_generation_prompt=bool(add_generation_prompt), tools=tools, **variables
        )
        if end is not None:
            text = cut_at_mark(text, end)
        ids = self._special_text.encode(checked_text("messages", text), mark)
        # Templates differ in whether they write the BOS token; the model expects exactly one.
        bos = self._tokenizer.bos_id
        if self._tokenizer.add_bos and bos is not None and ids[:1] != [bos]:
            ids.insert(0, bos)
        return text.replace(mark, "") if mark else text, ids

    def _template(self, override: str | None) -> ChatTemplate:
        source = override if override is not None else self._tokenizer.chat_template
        if source is None:
            raise TemplateError(
                "the model has no chat template; give chat_template= or use generate()"
            )
        if not isinstance(source, str):
            raise RequestError("chat_template", source, "must be the text of a template")
        if source not in self._templates:
            if len(self._templates) >= _MAX_TEMPLATES:
                self._templates.clear()
            from pyllm.tokenizer import ChatTemplate  # here: it imports Jinja

            bos, eos = self._tokenizer.bos_id, self._tokenizer.eos_id
            self._templates[source] = ChatTemplate(
                source, self._token_text(bos), self._token_text(eos)
            )
        return self._templates[source]

    def _token_text(self, token: int | None) -> str | None:
        if token is None:
            return None
        return self._tokenizer.token_bytes(token).decode("utf-8", "replace")


# Arguments of their own, which a template's variable of the same name would contradict.
_NOT_VARIABLES = ("add_generation_prompt", "continue_final_message", "tools")


def _checked_variables(variables: object) -> dict[str, Any]:
    if not isinstance(variables, Mapping):
        raise RequestError("chat_template_kwargs", variables, "must be a dictionary")
    for name in variables:
        if not isinstance(name, str) or name in _NOT_VARIABLES:
            limit = "cannot be set here" if isinstance(name, str) else "must be a string"
            raise RequestError("chat_template_kwargs", name, limit)
    return dict(variables)
