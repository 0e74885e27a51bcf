"""Requests handed to the engine's thread, and their answers waited for."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from typing import TypeAlias

from pyllm.engine.thread import EngineThread, Message
from pyllm.errors import PyLLMError
from pyllm.generation_progress import GenerationProgress
from pyllm.kv.prefix_order import sharers_together
from pyllm.outputs import Delta, RequestOutput
from pyllm.request import Request

__all__ = ["deltas_of", "outputs_of"]

_Inbox: TypeAlias = "queue.SimpleQueue[Message]"


def outputs_of(
    thread: EngineThread, requests: list[Request], *, use_tqdm: bool
) -> list[RequestOutput]:
    """The last report of each request, in their order. Raises what ended the engine.

    Empties the list: each request goes when it is finished.
    """
    order = [request.request_id for request in requests]
    progress = GenerationProgress(requests, shown=use_tqdm)
    results: dict[str, RequestOutput] = {}
    inbox: _Inbox = queue.SimpleQueue()
    try:
        thread.submit(sharers_together(requests), inbox)
        requests.clear()
        with progress:
            while len(results) < len(order):
                with suppress(queue.Empty):
                    output = _opened(inbox.get(timeout=progress.patience))
                    results[output.request_id] = output
                    progress.finish(output)
                progress.show()
    finally:  # an interrupt or a failure: the others must not go on for nobody
        if progress.unfinished:
            thread.abort(progress.unfinished, inbox)
    return [results[request_id] for request_id in order]


def deltas_of(thread: EngineThread, request: Request) -> Iterator[Delta]:
    """What is written, as it is written; whoever closes the iterator ends the request."""
    inbox: _Inbox = queue.SimpleQueue()
    finished = False
    try:
        thread.submit([request], inbox)
        while not finished:
            output = _opened(inbox.get())
            finished = output.finished
            yield from _as_deltas(output)
    finally:
        if not finished:
            thread.abort([request.request_id], inbox)


def _opened(message: Message) -> RequestOutput:
    if isinstance(message, PyLLMError):
        # A copy: several callers may hear the same error, each with a traceback of its own.
        raise copy(message)
    return message


def _as_deltas(output: RequestOutput) -> Iterator[Delta]:
    last = len(output.outputs) - 1
    for position, part in enumerate(output.outputs):
        yield Delta(
            index=part.index,
            text=part.text,
            token_ids=part.token_ids,
            logprobs=part.logprobs,
            finish_reason=part.finish_reason,
            stop_reason=part.stop_reason,
            finished=output.finished and position == last,
            request_id=output.request_id,
            prompt_token_ids=output.prompt_token_ids,
            metrics=output.metrics,
            num_cached_tokens=output.num_cached_tokens,
        )
