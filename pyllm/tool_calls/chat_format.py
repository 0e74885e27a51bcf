"""What a chat template makes a model write, and how to read and to constrain that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllm.errors import RequestError
from pyllm.structured.params import StructuredOutputsParams
from pyllm.tool_calls.answer_parser import AnswerParser
from pyllm.tool_calls.call_writer import MAX_CALLS
from pyllm.tool_calls.constraint import constraint_of
from pyllm.tool_calls.formats.base import CallFormat
from pyllm.tool_calls.formats.mistral_calls import MistralCalls
from pyllm.tool_calls.formats.table import detect_calls
from pyllm.tool_calls.messages import Message, MessageStyle
from pyllm.tool_calls.reasoning import ReasoningMarkers, State, detect_reasoning
from pyllm.tool_calls.tools import ToolRequest

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """What one request needs of sampling, and a parser for each of its answers.

    structured_outputs   for SamplingParams; None: the model writes what it likes
    skip_special_tokens  for SamplingParams: False where the markers are special tokens, which the
                         parser must see
    """

    structured_outputs: StructuredOutputsParams | None
    skip_special_tokens: bool
    _format: ChatFormat
    _request: ToolRequest
    _state: State
    _is_certain: bool

    def parser(self, id_seed: str) -> AnswerParser:
        """A parser for one answer. Ids of calls are a function of `id_seed` and their index."""
        form, request = self._format, self._request
        return AnswerParser(
            reasoning=form.reasoning,
            reasoning_state=self._state,
            call_format=None if request.mode == "none" else form.calls,
            functions=request.functions,
            most_calls=MAX_CALLS if request.parallel else 1,
            id_seed=id_seed,
            has_short_ids=form.style.short_ids,
            is_certain=self._is_certain,
        )


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """Found once per template; any number of threads may use it.

    calls      how the model writes calls; None: its template knows no tools
    reasoning  the markers around reasoning; None: it has none
    style      what the template wants of messages with tool calls
    special    ids of the special tokens in the markers, which detokenizers leave out, by text
    """

    calls: CallFormat | None
    reasoning: ReasoningMarkers | None
    style: MessageStyle
    special: Mapping[str, int]

    @staticmethod
    def detect(template: str | None, tokenizer: Tokenizer) -> ChatFormat:
        """Raises TemplateError for a template that cannot be compiled."""
        calls = detect_calls(template) if template else None
        reasoning = detect_reasoning(template) if template else None
        texts = [*(calls.markers if calls else ()), *(reasoning.texts if reasoning else ())]
        ids = {token for text in texts for token in _ids(tokenizer, text)}
        special = {_text_of(tokenizer, token): token for token in filter(tokenizer.is_special, ids)}
        style = MessageStyle()
        if template and calls:
            style = _style(template, tokenizer, short_ids=isinstance(calls, MistralCalls))
        return ChatFormat(calls, reasoning, style, special)

    def prepare_messages(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Messages as OpenAI's clients send them, as the template wants them.

        RequestError for tool calls that are none, or whose arguments are no JSON.
        """
        return self.style.prepare(messages)

    @property
    def supports_tools(self) -> bool:
        return self.calls is not None

    @property
    def supports_thinking(self) -> bool:
        return self.reasoning is not None

    def plan(
        self,
        request: ToolRequest,
        prompt_text: str,
        response: StructuredOutputsParams | None = None,
    ) -> AnswerPlan:
        """
        request      checked tools; `request.definitions` is what the template gets as `tools`
        prompt_text  the rendered prompt: its end says whether the model thinks already
        response     what the text of the answer must look like, reasoning and calls apart

        RequestError for tools that the template knows nothing of, or too large ones.
        """
        if request.mode != "none" and self.calls is None:
            limit = "the model's chat template knows no tools"
            raise RequestError("tools", len(request.functions), limit)
        state = self.reasoning.state(prompt_text) if self.reasoning else "closed"
        constraint = constraint_of(self, request, state, response)
        return AnswerPlan(
            constraint,
            not self._has_special_markers(request),
            self,
            request,
            state,
            _is_certain=constraint is not None and constraint is not response,
        )

    def _has_special_markers(self, request: ToolRequest) -> bool:
        texts = set(self.reasoning.texts) if self.reasoning else set()
        if self.calls and request.mode != "none":
            texts.update(self.calls.markers)
        return any(special in text for special in self.special for text in texts)


def _style(source: str, tokenizer: Tokenizer, *, short_ids: bool) -> MessageStyle:
    from pyllm.tokenizer import ChatTemplate  # here: it imports Jinja

    bos, eos = (
        None if token is None else _text_of(tokenizer, token)
        for token in (tokenizer.bos_id, tokenizer.eos_id)
    )
    return MessageStyle.detect(ChatTemplate(source, bos, eos), short_ids=short_ids)


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special=False, parse_special=True)


def _text_of(tokenizer: Tokenizer, token: int) -> str:
    return tokenizer.token_bytes(token).decode("utf-8", "replace")
