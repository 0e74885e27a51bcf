"""Reports reach the loop with one call a step, and a reader that lags gets them as one."""

import asyncio
from copy import deepcopy

import pytest

from pyllm.engine.async_inbox import AsyncInbox, LoopMailbox, merged
from pyllm.errors import PyLLMError
from pyllm.outputs import CompletionOutput, Logprob, RequestOutput
from pyllm.sampling.params import RequestOutputKind

DELTA, CUMULATIVE = RequestOutputKind.DELTA, RequestOutputKind.CUMULATIVE


def part(index, text, reason=None):
    tokens = list(text.encode())
    logprobs = [{token: Logprob(-1.0)} for token in tokens]
    return CompletionOutput(index, text, tokens, -float(len(tokens)), logprobs, reason)


def report(*parts):
    return RequestOutput("r", "p", [1], list(parts), all(p.finish_reason for p in parts))


class CountingLoop:
    def __init__(self):
        self.calls = []
        self.closed = False

    def is_closed(self):
        return self.closed

    def call_soon_threadsafe(self, function):
        self.calls.append(function)


def test_many_inboxes_wake_the_loop_once():
    async def main():
        loop = CountingLoop()
        mailbox = LoopMailbox(loop)
        inboxes = [AsyncInbox(mailbox, CUMULATIVE) for _ in range(64)]
        for _ in range(3):
            for inbox in inboxes:
                inbox.put(report(part(0, "a")))
        assert len(loop.calls) == 1
        loop.calls.pop()()
        for inbox in inboxes:
            assert (await inbox.get()).outputs[0].text == "a"
            inbox.put(report(part(0, "ab")))
        assert len(loop.calls) == 1

    asyncio.run(main())


def test_a_closed_loop_is_an_error_of_every_put():
    loop = CountingLoop()
    mailbox = LoopMailbox(loop)
    inbox = AsyncInbox(mailbox, DELTA)
    loop.closed = True
    for _ in range(2):
        with pytest.raises(RuntimeError, match="closed"):
            inbox.put(report(part(0, "a")))


def received(kind, messages):
    """What a reader gets that looks only after all messages have come."""

    async def main():
        inbox = AsyncInbox(LoopMailbox(asyncio.get_running_loop()), kind)
        for message in messages:
            inbox.put(deepcopy(message))
        return await inbox.get()

    return asyncio.run(main())


def test_deltas_add_up():
    messages = [
        report(part(0, "he")),
        report(part(0, "l"), part(1, "w")),
        report(part(1, "orld", "stop")),
        report(part(0, "lo", "length")),
    ]
    output = received(DELTA, messages)
    assert sorted(output.outputs, key=lambda p: p.index) == [
        summed(part(0, "hello", "length"), -2.0),
        summed(part(1, "world", "stop"), -4.0),
    ]
    assert output.finished


def summed(whole, cumulative_logprob):
    whole.cumulative_logprob = cumulative_logprob  # the newest, which covers everything
    return whole


def test_the_newest_snapshot_replaces_the_older():
    messages = [report(part(0, "a")), report(part(0, "ab")), report(part(0, "abc", "stop"))]
    assert received(CUMULATIVE, messages) == messages[-1]


def test_merging_without_logprobs():
    old, new = report(part(0, "a")), report(part(0, "b"))
    for output in (old, new):
        output.outputs[0].logprobs = None
    assert merged(old, new).outputs[0].logprobs is None


def test_an_error_comes_after_what_was_reported():
    async def main():
        inbox = AsyncInbox(LoopMailbox(asyncio.get_running_loop()), DELTA)
        inbox.put(report(part(0, "a")))
        inbox.put(PyLLMError("closed"))
        assert inbox.failed
        assert (await inbox.get()).outputs[0].text == "a"
        for _ in range(2):
            with pytest.raises(PyLLMError, match="closed"):
                await inbox.get()

    asyncio.run(main())
