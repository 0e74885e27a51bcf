"""/v1/completions."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm.errors import RequestError
from pyllm.prompts import Prompt
from pyllm.sampling.params import SamplingParams
from pyllm.server.answer_run import AnswerRun
from pyllm.server.body import StrictRoute
from pyllm.server.collect import Answer, Choice, collect, prompt_size
from pyllm.server.errors import ApiError, finished_badly
from pyllm.server.events import ChoiceEnd, PromptRead, Text, Tokens, Usage
from pyllm.server.infill import infill_prompt
from pyllm.server.lease_guard import released_on_failure
from pyllm.server.long_json import long_json
from pyllm.server.model_registry import Lease
from pyllm.server.off_loop import off_loop
from pyllm.server.openai.common import (
    TOKENIZING,
    caller_of,
    error_body,
    json_answer,
    lease_of,
    progress_tick,
    read_fields,
    service_of,
    timings_body,
    usage_body,
)
from pyllm.server.openai.logprobs import CompletionLogprobs, prompt_logprobs
from pyllm.server.openai.parameters import params_of_completion, structure_of
from pyllm.server.openai.protocol import CompletionRequest
from pyllm.server.openai.schemas import Completion, refusals
from pyllm.server.service import TextJob
from pyllm.server.streams import DONE, StreamResponse, event, to_json

router = APIRouter(route_class=StrictRoute, tags=["OpenAI"])


@router.post("/v1/completions", response_model=Completion, responses=refusals("text_completion"))
async def completions(body: CompletionRequest, request: Request) -> Response:
    """Continue one prompt or several, as they are: no template is applied."""
    service, caller = service_of(request), caller_of(request)
    lease = await lease_of(request, body.model, timeout=body.timeout)
    with released_on_failure(lease):
        times = 1 if body.suffix is None else TOKENIZING  # both texts are encoded
        job = await read_fields(request, partial(text_job, body, lease), times=times)
    run = await service.complete(lease, job, caller)
    writer = _Writer(body, lease, job.params, caller.request_id)
    if body.stream:
        return StreamResponse(
            writer.stream(run),
            "text/event-stream",
            close=run.close,
            tick=lambda: progress_tick(run),
        )
    answer = await collect(run, request)
    top = max(body.logprobs or 0, body.prompt_logprobs or 0)
    return await json_answer(partial(writer.whole, answer), answer.size(top))


def text_job(body: CompletionRequest, lease: Lease) -> TextJob:
    """The prompts in no dialect. Raises RequestError."""
    params = params_of_completion(body, lease.card.sampling, bool(body.stream))
    if body.best_of is not None and body.best_of != params.n:
        limit = "must equal n: answers are not ranked; ask for n of them"
        raise RequestError("best_of", body.best_of, limit)
    if body.stream and body.prompt_logprobs is not None:  # vLLM streams none either
        raise RequestError("prompt_logprobs", body.prompt_logprobs, "does not go with stream")
    prompts: Sequence[Prompt] = _prompts(body.prompt)
    if len(prompts) * params.n > _MAX_CHOICES:
        limit = f"prompts times n must be at most {_MAX_CHOICES}"
        raise RequestError("prompt", len(prompts), limit)
    if body.suffix is not None:
        if body.echo:
            raise RequestError("suffix", body.suffix, "does not go with echo")
        tokenizer = lease.llm.get_tokenizer()
        prompts = [infill_prompt(tokenizer, prompt, body.suffix) for prompt in prompts]
    return TextJob(
        prompts,
        params,
        structure_of(body),
        add_special=body.add_special_tokens is not False,
        priority=body.priority or 0,
        cache_salt=body.cache_salt,
        timeout=body.timeout,
    )


_MAX_CHOICES = 1024


def _prompts(prompt: Any) -> list[Prompt]:
    if isinstance(prompt, str) or isinstance(prompt[0], int):
        return [prompt]
    return list(prompt)


class _Writer:
    """One response in OpenAI's words."""

    def __init__(
        self, body: CompletionRequest, lease: Lease, params: SamplingParams, request_id: str
    ) -> None:
        self._body = body
        self._n = params.n
        self._tokenizer = lease.llm.get_tokenizer()
        self._head: dict[str, Any] = {
            "id": f"cmpl-{request_id}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": body.model or lease.name,
        }
        self._usage_in_stream = bool(body.stream_options and body.stream_options.include_usage)
        self._logprobs: dict[int, CompletionLogprobs] = {}
        # Of each choice, what goes into its next chunk.
        self._waiting: dict[int, dict[str, Any]] = {}
        self._waiting_ids: dict[int, dict[str, list[int]]] = {}

    def whole(self, answer: Answer) -> dict[str, Any]:
        choices = [
            self._choice(choice, answer.prompts[choice.index // self._n])
            for choice in answer.choices
        ]
        usage = usage_body(answer.usage)
        return {
            **self._head,
            "choices": choices,
            "usage": usage,
            "timings": timings_body(answer.usage),
        }

    def _choice(self, choice: Choice, prompt: PromptRead) -> dict[str, Any]:
        text, lists = choice.text, None
        if self._body.echo:
            text = self._prompt_text(prompt) + text
            lists = self._prompt_lists(choice.index, prompt)
        if choice.logprobs is not None:
            lists = _joined(lists, self._lists(choice.index, choice.token_ids, choice.logprobs))
        found = {
            "index": choice.index,
            "text": text,
            "logprobs": lists,
            "finish_reason": choice.finish_reason,
            "stop_reason": choice.stop_reason,
        }
        if self._body.return_token_ids:
            found["token_ids"] = choice.token_ids
            found["prompt_token_ids"] = prompt.token_ids
        if prompt.logprobs is not None and self._body.prompt_logprobs is not None:
            found["prompt_logprobs"] = prompt_logprobs(prompt.logprobs)
        return found

    def _prompt_text(self, prompt: PromptRead) -> str:
        return self._tokenizer.decode(prompt.token_ids) if prompt.text is None else prompt.text

    def _prompt_lists(self, index: int, prompt: PromptRead) -> dict[str, Any] | None:
        if self._body.logprobs is None or prompt.logprobs is None:
            return None
        return self._lists(index, prompt.token_ids, prompt.logprobs)

    def _lists(self, index: int, token_ids: Any, logprobs: Any) -> dict[str, Any]:
        if index not in self._logprobs:
            top = self._body.logprobs or 0
            self._logprobs[index] = CompletionLogprobs(self._tokenizer, top)
        return self._logprobs[index].lists(token_ids, logprobs)

    async def stream(self, run: AnswerRun) -> AsyncIterator[bytes]:
        """Server-sent events; an error in the middle is one of them."""
        try:
            async for found in run:
                match found:
                    case PromptRead():
                        for choice in range(found.index, found.index + self._n):
                            self._keep_ids(choice, found)
                            if self._body.echo:
                                size = prompt_size(found, self._body.logprobs or 0)
                                yield await off_loop(partial(self._echo, choice, found), size)
                    case Tokens():
                        self._keep_tokens(found)
                    case Text(index, text):
                        yield self._chunk(index, text)
                    case ChoiceEnd(index, reason, stop_reason):
                        if reason == "error":
                            yield event(error_body(finished_badly(stop_reason)))
                        else:
                            yield self._chunk(index, "", reason, stop_reason)
                    case Usage():
                        if self._usage_in_stream:
                            last = {**self._head, "choices": [], "usage": usage_body(found)}
                            yield event({**last, "timings": timings_body(found)})
        except ApiError as error:
            yield event(error_body(error))
        yield DONE

    def _keep_ids(self, choice: int, prompt: PromptRead) -> None:
        if self._body.return_token_ids:
            self._waiting_ids[choice] = {"token_ids": [], "prompt_token_ids": prompt.token_ids}

    def _echo(self, choice: int, prompt: PromptRead) -> bytes:
        if (lists := self._prompt_lists(choice, prompt)) is not None:
            self._waiting[choice] = lists
        return self._chunk(choice, self._prompt_text(prompt), write=long_json)

    def _keep_tokens(self, found: Tokens) -> None:
        if found.logprobs is not None:
            new = self._lists(found.index, found.token_ids, found.logprobs)
            self._waiting[found.index] = _joined(self._waiting.get(found.index), new)
        if self._body.return_token_ids:
            waiting = self._waiting_ids.setdefault(found.index, {"token_ids": []})
            waiting["token_ids"].extend(found.token_ids)

    def _chunk(
        self,
        index: int,
        text: str,
        finish_reason: str | None = None,
        stop_reason: int | str | None = None,
        write: Callable[[Any], bytes] = to_json,
    ) -> bytes:
        choice: dict[str, Any] = {
            "index": index,
            "text": text,
            "logprobs": self._waiting.pop(index, None),
            "finish_reason": finish_reason,
        }
        if self._body.return_token_ids:
            choice |= {"token_ids": [], **self._waiting_ids.pop(index, {})}
        if finish_reason is not None:
            choice["stop_reason"] = stop_reason
        return event({**self._head, "choices": [choice]}, write=write)


def _joined(first: dict[str, Any] | None, second: dict[str, Any]) -> dict[str, Any]:
    if first is None:
        return second
    return {name: first[name] + second[name] for name in second}
