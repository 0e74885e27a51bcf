"""A model in memory with what its chat template needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from pyllm.async_llm import AsyncLLM
from pyllm.chat import ChatRenderer
from pyllm.prompts import Encoded
from pyllm.server.model_card import ModelCard
from pyllm.tool_calls import ChatFormat


class LoadedModel:
    """Used by any number of threads."""

    def __init__(self, llm: AsyncLLM, card: ModelCard) -> None:
        self.llm = llm
        self.card = card

    @cached_property
    def chat_format(self) -> ChatFormat:
        """How answers are written: TemplateError when the template cannot be compiled."""
        return ChatFormat.detect(self.card.chat_template, self.llm.get_tokenizer())

    @cached_property
    def _renderer(self) -> ChatRenderer:
        return ChatRenderer(self.llm.get_tokenizer())

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        template: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
        thinking: bool | None = None,
        add_generation_prompt: bool = True,
        continue_final_message: bool = False,
    ) -> Encoded:
        """Text and ids of a conversation as OpenAI's clients send it; errors of ChatRenderer.

        thinking  whether the model should think aloud first; None: as the template has it
        """
        if thinking is not None:
            variables = {**(variables or {}), "enable_thinking": thinking}
        return self._renderer.encode(
            self.chat_format.prepare_messages(messages),
            chat_template=template,
            tools=tools,
            chat_template_kwargs=variables,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message,
        )
