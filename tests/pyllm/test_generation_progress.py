"""What the bar of LLM.generate says."""

from __future__ import annotations

import sys

import pytest

from pyllm import generation_progress, progress
from pyllm.engine.engine import Engine
from pyllm.generation_progress import GenerationProgress
from pyllm.request import Request
from pyllm.sampling.params import RequestOutputKind, SamplingParams
from tests.pyllm.fake_program import FakeModel
from tests.pyllm.test_progress import Clock, stderr

PARAMS = SamplingParams(max_tokens=4, ignore_eos=True, output_kind=RequestOutputKind.FINAL_ONLY)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(generation_progress, "time", clock)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return clock


def engine_with(count: int) -> tuple[Engine, list[Request]]:
    engine = Engine(FakeModel(max_num_seqs=2, max_num_batched_tokens=8))
    requests = [engine.make_request(None, [65] * 6, PARAMS) for _ in range(count)]
    for request in requests:
        engine.add(request)
    return engine, requests


def test_requests_in_flight_count(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    shown = stderr(monkeypatch, terminal=True)
    engine, requests = engine_with(3)
    with GenerationProgress(requests, shown=True) as bar:
        engine.step()  # 6 tokens of the first prompt and 2 of the second
        clock.now_s += 2
        bar.show()
    assert "0/3" in shown.getvalue()
    assert "4 tok/s read, 0 tok/s written" in shown.getvalue()


def test_finished_requests_count_on(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    shown = stderr(monkeypatch, terminal=True)
    engine, requests = engine_with(3)
    with GenerationProgress(requests, shown=True) as bar:
        while engine.has_unfinished():
            for output in engine.step():
                bar.finish(output)
        assert bar.unfinished == []
        clock.now_s += 2
        bar.show()
    assert "3/3" in shown.getvalue()
    assert "9 tok/s read, 6 tok/s written" in shown.getvalue()


def test_a_preempted_prompt_stays_read() -> None:
    engine, (request,) = engine_with(1)
    engine.step()
    assert (request.num_read_tokens, request.num_written_tokens) == (6, 1)
    engine.scheduler._preempt_last()
    assert request.num_read_tokens == 6


def test_it_looks_at_requests_now_and_then_only(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    stderr(monkeypatch, terminal=True)
    _, requests = engine_with(1)
    with GenerationProgress(requests, shown=True) as bar:
        assert bar.patience is not None
        clock.now_s += 2
        bar.show()
        del requests[0].continuations  # a second look would fail
        bar.show()


def test_nobody_looks_when_nobody_sees(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    stream = stderr(monkeypatch, terminal=False)
    assert sys.stderr is stream
    _, requests = engine_with(1)
    with GenerationProgress(requests, shown=True) as bar:
        assert bar.patience is None
        del requests[0].continuations
        clock.now_s += 9
        bar.show()
    assert stream.getvalue() == ""
