"""Greedy answers by pyllm from a GGUF file, through its chat template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyllm import LLM, SamplingParams

from .answer import Answer


class PyllmAnswerer:
    def __init__(self, model: Path, max_tokens: int) -> None:
        self._llm = LLM(model)
        self._params = SamplingParams(temperature=0.0, max_tokens=max_tokens)

    def answers(self, conversations: Sequence[tuple[list[Any], list[Any]]]) -> list[Answer]:
        """Those without tools in one batch; a batch has one list of tools."""
        plain = [i for i, (_, tools) in enumerate(conversations) if not tools]
        outputs = dict(
            zip(
                plain,
                self._llm.chat([conversations[i][0] for i in plain], self._params),
                strict=True,
            )
        )
        for i, (messages, tools) in enumerate(conversations):
            if tools:
                outputs[i] = self._llm.chat(messages, self._params, tools=tools)[0]
        found = [outputs[i].outputs[0] for i in range(len(conversations))]
        return [Answer(output.text, output.finish_reason == "stop") for output in found]
