"""/completion and /infill."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pyllm.errors import RequestError
from pyllm.sampling.params import SamplingParams
from pyllm.server.answer_run import AnswerRun
from pyllm.server.body import StrictRoute
from pyllm.server.collect import Choice, collect
from pyllm.server.errors import ApiError, finished_badly
from pyllm.server.events import ChoiceEnd, Text, TokenLogprobs, Tokens, Usage
from pyllm.server.infill import infill_prompt
from pyllm.server.lease_guard import released_on_failure
from pyllm.server.llama_server.protocol import CompletionRequest, InfillRequest
from pyllm.server.model_registry import Lease
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
)
from pyllm.server.openai.logprobs import chat_logprobs
from pyllm.server.openai.parameters import common_fields, structure_of
from pyllm.server.openai.schemas import EVENTS, refusals
from pyllm.server.sampling import sampling_params
from pyllm.server.service import TextJob
from pyllm.server.streams import StreamResponse, event

router = APIRouter(route_class=StrictRoute, tags=["llama-server"], responses=refusals())

# llama-server's defaults are not OpenAI's.
_DEFAULTS = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "max_tokens": None}
_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": EVENTS,
        "description": 'the answer; with `"stream": true`, events, the last of which has `stop`',
    }
}


@router.post("/completion", responses=_STREAMED)
async def completion(body: CompletionRequest, request: Request) -> Response:
    """Continue a prompt."""
    return await _answer(body, request)


@router.post("/infill", responses=_STREAMED)
async def infill(body: InfillRequest, request: Request) -> Response:
    """Fill in what is missing between two texts."""
    return await _answer(body, request)


async def _answer(body: CompletionRequest, request: Request) -> Response:
    service, caller = service_of(request), caller_of(request)
    lease = await lease_of(request, body.model, timeout=body.timeout)
    with released_on_failure(lease):
        times = TOKENIZING if isinstance(body, InfillRequest) else 1  # its texts are encoded
        job = await read_fields(request, partial(_job, body, lease), times=times)
    run = await service.complete(lease, job, caller)
    writer = _Writer(body, lease)
    if body.stream:
        return StreamResponse(
            writer.stream(run),
            "text/event-stream",
            close=run.close,
            tick=lambda: progress_tick(run),
        )
    answer = await collect(run, request)
    (choice,) = answer.choices
    whole = partial(writer.whole, choice, answer.usage)
    return await json_answer(whole, choice.size(body.n_probs or 0))


def _job(body: CompletionRequest, lease: Lease) -> TextJob:
    if body.n is not None and body.n != 1:
        raise RequestError("n", body.n, "must be 1; /v1/completions gives several")
    prompt: str | list[int] = body.prompt
    if isinstance(body, InfillRequest):
        # Other files come first, each behind its name, so that the gap is near its surroundings.
        context = "".join(f"{file.filename}\n{file.text}\n" for file in body.input_extra)
        before = context + body.input_prefix + body.prompt
        prompt = infill_prompt(lease.llm.get_tokenizer(), before, body.input_suffix)
    return TextJob(
        [prompt],
        _params(body, lease),
        structure_of(body),
        # llama-server reads special tokens in prompts, and programs rely on it.
        parse_special=True,
        priority=body.priority or 0,
        cache_salt=body.cache_salt,
        timeout=body.timeout,
    )


def _params(body: CompletionRequest, lease: Lease) -> SamplingParams:
    fields = common_fields(body)
    limit = body.n_predict if body.n_predict is not None else body.max_tokens
    if limit is not None and limit >= 0:
        fields["max_tokens"] = max(1, limit)
    fields["logprobs"] = body.n_probs or None
    defaults = {**_DEFAULTS, **lease.card.sampling}
    return sampling_params(fields, defaults, stream=bool(body.stream))


class _Writer:
    """One response in llama-server's words."""

    def __init__(self, body: CompletionRequest, lease: Lease) -> None:
        self._body = body
        self._model = lease.name
        self._tokenizer = lease.llm.get_tokenizer()

    def whole(self, choice: Choice, usage: Usage) -> dict[str, Any]:
        found = {"index": 0, "content": choice.text, "tokens": choice.token_ids}
        if choice.logprobs is not None:
            found["completion_probabilities"] = self._probabilities(
                choice.token_ids, choice.logprobs
            )
        return {**found, **self._end(choice.finish_reason, choice.stop_reason, usage)}

    def _probabilities(self, token_ids: list[int], logprobs: TokenLogprobs) -> list[dict[str, Any]]:
        top = self._body.n_probs or 0
        return chat_logprobs(self._tokenizer, token_ids, logprobs, top, with_ids=True)

    def _end(
        self, finish_reason: str, stop_reason: int | str | None, usage: Usage
    ) -> dict[str, Any]:
        word = stop_reason if isinstance(stop_reason, str) else ""
        kind = "limit" if finish_reason == "length" else "word" if word else "eos"
        return {
            "stop": True,
            "model": self._model,
            "stop_type": kind,
            "stopping_word": word,
            "truncated": False,
            "tokens_predicted": usage.completion_tokens,
            "tokens_evaluated": usage.prompt_tokens,
            "tokens_cached": usage.cached_tokens,
            "timings": timings_body(usage),
        }

    async def stream(self, run: AnswerRun) -> AsyncIterator[bytes]:
        """Server-sent events; the last one has `stop`."""
        waiting: dict[str, Any] = {"tokens": []}
        end: ChoiceEnd | None = None
        try:
            async for found in run:
                match found:
                    case Tokens(_, token_ids, logprobs):
                        waiting["tokens"] += token_ids
                        if logprobs is not None:
                            new = self._probabilities(token_ids, logprobs)
                            waiting.setdefault("completion_probabilities", []).extend(new)
                    case Text(_, text):
                        yield event({"index": 0, "content": text, "stop": False, **waiting})
                        waiting = {"tokens": []}
                    case ChoiceEnd():
                        if found.finish_reason == "error":
                            raise finished_badly(found.stop_reason)
                        end = found
                    case Usage() if end is not None:
                        last = self._end(end.finish_reason, end.stop_reason, found)
                        yield event({"index": 0, "content": "", **waiting, **last})
        except ApiError as error:
            yield event(error_body(error))
