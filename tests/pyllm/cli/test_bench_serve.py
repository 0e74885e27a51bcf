"""`pyllm bench serve`: when requests are sent, and what is reported."""

from __future__ import annotations

import asyncio
import json
import math
from itertools import pairwise
from pathlib import Path

import pytest

from pyllm.async_llm import AsyncLLM
from pyllm.cli import main
from pyllm.cli.bench_serve import Clients, _send_all, arrival_times
from pyllm.cli.bench_workload import Item
from tests.pyllm.cli.tiny_model import write_tiny_model
from tests.pyllm.fake_program import FakeModel, hashed_logits, printable_logits

OPTIONS = ["--num-prompts", "5", "--random-input-len", "9", "--random-output-len", "6", "-t", "1"]


def gaps(*arguments: float, count: int = 2000) -> list[float]:
    times = arrival_times(count, *arguments, seed=3)
    assert len(times) == count
    assert times[0] == 0
    return [after - before for before, after in pairwise(times)]


def test_an_infinite_rate_sends_everything_at_once() -> None:
    assert set(gaps(math.inf, 1.0)) == {0}


def test_an_infinite_burstiness_is_a_clock() -> None:
    assert gaps(4.0, math.inf) == pytest.approx([0.25] * 1999)


@pytest.mark.parametrize(("burstiness", "variation"), [(1.0, 1.0), (0.25, 2.0), (100.0, 0.1)])
def test_gaps_have_the_rate_and_the_shape_asked_for(burstiness: float, variation: float) -> None:
    """The coefficient of variation of a gamma distribution is 1/√shape; 1 for Poisson arrivals."""
    found = gaps(5.0, burstiness)
    mean = sum(found) / len(found)
    assert mean == pytest.approx(0.2, rel=0.15)
    std = math.sqrt(sum((gap - mean) ** 2 for gap in found) / len(found))
    assert std / mean == pytest.approx(variation, rel=0.15)


def test_a_seed_means_the_same_arrivals() -> None:
    assert arrival_times(9, 2.0, 1.0, 1) == arrival_times(9, 2.0, 1.0, 1)
    assert arrival_times(9, 2.0, 1.0, 1) != arrival_times(9, 2.0, 1.0, 2)
    assert arrival_times(1, 2.0, 1.0, 1) == [0]


def clients(rate: float = math.inf, max_concurrency: int | None = None) -> Clients:
    return Clients(rate, math.inf, max_concurrency, 0, {"temperature": 0.0})


def test_every_token_is_counted_once() -> None:
    async def run() -> None:
        async with AsyncLLM.from_model(FakeModel(logits_of=printable_logits)) as llm:
            items = [Item([1] * n, n) for n in range(1, 20)]
            answers, seconds = await _send_all(llm, items, clients(1e4))
        assert [answer.num_prompt_tokens for answer in answers] == list(range(1, 20))
        assert [answer.times.num_tokens for answer in answers] == list(range(1, 20))
        assert all(0 < answer.times.e2el <= seconds for answer in answers)
        assert not any(answer.failed for answer in answers)

    asyncio.run(run())


def test_no_more_than_max_concurrency_are_sent_at_a_time() -> None:
    async def run() -> None:
        async with AsyncLLM.from_model(FakeModel(logits_of=printable_logits)) as llm:
            items = [Item([1] * 5, 4)] * 12
            answers, _ = await _send_all(llm, items, clients(max_concurrency=3))
        # With three at a time the fourth is sent when the first of them is done, and so on.
        ends = sorted(answer.times.arrivals[-1] for answer in answers)
        starts = sorted(answer.times.sent for answer in answers)
        assert all(start >= end for start, end in zip(starts[3:], ends, strict=False))

    asyncio.run(run())


def test_a_request_that_fails_is_counted_as_one() -> None:
    def logits_of(tokens: list[int]) -> object:
        return math.nan * hashed_logits(tokens) if tokens[0] == 7 else hashed_logits(tokens)

    async def run() -> None:
        async with AsyncLLM.from_model(FakeModel(logits_of=logits_of)) as llm:
            answers, _ = await _send_all(llm, [Item([7], 3), Item([8], 3)], clients())
        assert [answer.failed for answer in answers] == [True, False]

    asyncio.run(run())


def test_a_real_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_tiny_model(tmp_path / "m.gguf"))
    typed = ["bench", "serve", path, *OPTIONS, "--request-rate", "500", "--max-concurrency", "2"]
    assert main([*typed, "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["completed"], found["failed"]) == (5, 0)
    assert (found["total_input_tokens"], found["total_output_tokens"]) == (45, 30)
    assert (found["request_rate"], found["max_concurrency"]) == (500, 2)
    assert 0 < found["median_ttft_ms"] < found["p99_e2el_ms"]
    assert main([*typed, "--burstiness", "inf"]) == 0
    out = capsys.readouterr().out
    assert "Burstiness" not in out
    assert "ITL (inter-token latency)" in out


def test_more_requests_than_a_server_would_queue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_tiny_model(tmp_path / "m.gguf"))
    typed = ["bench", "serve", path, *OPTIONS[2:], "--num-prompts", "300", "-o", "json"]
    assert main([*typed, "--random-output-len", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["completed"] == 300
