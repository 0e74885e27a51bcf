"""A loaded model and the conversation with it: what `pyllm run` talks to.

Each question goes through `answer`, which yields text as it is generated and leaves `timings`
and `finish_reason` behind.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from pyllm.cli.timings import Timings
from pyllm.errors import PyLLMError
from pyllm.outputs import Delta

__all__ = ["LanguageModel", "Loader", "Session", "load_model"]


class LanguageModel(Protocol):
    """The part of `pyllm.LLM` a session uses."""

    @property
    def kv_cache_bytes(self) -> int: ...
    @property
    def kv_sequence_bytes(self) -> int: ...

    def get_tokenizer(self) -> Any: ...

    def stream(
        self, prompt: Any, sampling_params: Any = None, *, token_healing: bool = False
    ) -> Iterator[Delta]: ...

    def close(self) -> None: ...


Loader = Callable[[Path, Mapping[str, Any]], LanguageModel]


def load_model(path: Path, engine: Mapping[str, Any]) -> LanguageModel:
    """An LLM for one user. `engine` are the flags of that group: options of `LLM`, and guessing."""
    from pyllm.cli.speculation import llm_options
    from pyllm.llm import LLM

    # Memory for a second sequence would only shorten the context.
    return LLM(path, max_num_seqs=1, **llm_options(engine))


class Session:
    """One model, one conversation.

    engine    arguments of `LLM`; changing them takes a reload
    sampling  fields of `SamplingParams`; a seed of None draws a new one for each answer
    raw       complete the text as it is instead of chatting
    token_healing  and let the answer begin inside the last word
    """

    def __init__(
        self,
        path: Path,
        engine: Mapping[str, Any],
        sampling: Mapping[str, Any],
        *,
        system: str | None = None,
        raw: bool = False,
        token_healing: bool = False,
        loader: Loader = load_model,
    ) -> None:
        self.path = path
        self.engine = dict(engine)
        self.sampling = dict(sampling)
        self.system = system
        self.timings = Timings()
        self.finish_reason: str | None = None
        self._raw_wanted = raw
        self._stream_options = {"token_healing": True} if token_healing else {}
        self._loader = loader
        self._llm: LanguageModel | None = None
        self.messages: list[dict[str, str]] = []  # without the system message
        self.load(path)

    def load(self, path: Path, engine: Mapping[str, Any] | None = None) -> None:
        """Switches to another model, or to the same one with other settings; starts anew.

        When that fails the old model is loaded again: two at once may not fit into memory.
        """
        before = self.path, self.engine
        was_open = self._llm is not None
        self.close()
        try:
            self._open(path, self.engine | dict(engine or {}))
        except BaseException:
            if was_open:
                self._open(*before)
            raise
        self.clear()

    def _open(self, path: Path, engine: dict[str, Any]) -> None:
        start_s = time.perf_counter()
        self._llm = self._loader(path, engine)
        self._unreported_load_s = time.perf_counter() - start_s
        self.path, self.engine = path, engine

    def close(self) -> None:
        if self._llm is not None:
            self._llm.close()
            self._llm = None

    def clear(self) -> None:
        """Forgets the conversation, not the system message."""
        self.messages.clear()

    @property
    def llm(self) -> LanguageModel:
        assert self._llm is not None, "the session is closed"
        return self._llm

    @property
    def template(self) -> str | None:
        """The model's chat template, None when it has none."""
        template: str | None = self.llm.get_tokenizer().chat_template
        return template

    @property
    def cut(self) -> str | None:
        """Why the last answer ends before its end, None when it does not."""
        limit = self.sampling.get("max_tokens")
        if self.finish_reason != "length":
            return None
        if limit is not None and self.timings.tokens >= limit:
            return f"it reached the limit of {limit} tokens"
        used = self.timings.prompt_tokens + self.timings.tokens
        return f"the context of {used} tokens is full"

    @property
    def completes(self) -> bool:
        """Whether text is completed as it is: asked for, or all that the model can do."""
        return self._raw_wanted or self.template is None

    def answer(self, text: str) -> Generator[str, None, None]:
        """Yields the answer to `text` piece by piece; closing the iterator stops the model.

        What was generated when it is closed stays in the conversation, so that "go on" works; a
        question that failed does not. Raises what `LLM.stream` raises.
        """
        from pyllm.sampling.order import LLAMA_CPP_ORDER
        from pyllm.sampling.params import SamplingParams

        fields = dict(self.sampling)
        if fields.get("samplers") is None and not fields.get("mirostat"):
            fields["samplers"] = LLAMA_CPP_ORDER
        if fields.get("seed") is None:
            fields["seed"] = int.from_bytes(os.urandom(8)) >> 1
        prompt = self._completion_prompt(text) if self.completes else self._conversation(text)
        pieces: list[str] = []
        stream = self.llm.stream(prompt, SamplingParams(**fields), **self._stream_options)
        failed = False
        try:
            yield from self._text_of(stream, pieces)
        except PyLLMError:
            failed = True
            raise
        finally:
            _close(stream)
            if not failed and not self.completes:
                question = {"role": "user", "content": text}
                self.messages += [question, {"role": "assistant", "content": "".join(pieces)}]

    def _completion_prompt(self, text: str) -> Any:
        if not self._raw_wanted:
            return text
        # With --raw a user writes the template by hand, so special tokens in it are meant.
        ids = self.llm.get_tokenizer().encode(text, add_special=True, parse_special=True)
        return {"prompt_token_ids": ids}

    def _conversation(self, text: str) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, *self.messages, {"role": "user", "content": text}]

    def _text_of(self, stream: Iterator[Delta], pieces: list[str]) -> Iterator[str]:
        timings = Timings(load_s=self._unreported_load_s)
        self._unreported_load_s = 0.0
        self.timings, self.finish_reason = timings, None
        start_s = first_s = time.perf_counter()
        for delta in stream:
            now_s = time.perf_counter()
            if timings.tokens == 0:
                first_s = now_s
                timings.prompt_s = now_s - start_s
                timings.prompt_tokens = len(delta.prompt_token_ids)
                timings.cached_tokens = delta.num_cached_tokens
            timings.tokens += len(delta.token_ids)
            timings.eval_s = now_s - first_s
            self.finish_reason = delta.finish_reason
            if delta.finish_reason == "error":
                raise PyLLMError(f"the answer was stopped: {delta.stop_reason}")
            if delta.text:
                pieces.append(delta.text)
                yield delta.text


def _close(stream: Iterator[Delta]) -> None:
    close = getattr(stream, "close", None)
    if close is not None:
        close()
