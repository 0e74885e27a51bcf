from __future__ import annotations

from itertools import pairwise

import pytest

from pyllm.tokenizer.template_budget import Budget, BudgetedIterator, BudgetExceeded


def test_steps_are_counted() -> None:
    budget = Budget(None)
    budget.step(1_000_000)
    with pytest.raises(BudgetExceeded, match="steps"):
        budget.step(16)


def test_time_is_this_threads_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr("time.thread_time", lambda: now)
    budget = Budget(None)
    budget.step(100)
    now = 10.6
    with pytest.raises(BudgetExceeded, match="seconds"):
        budget.step(100)


def test_calls_nest_so_deep() -> None:
    budget = Budget(None)
    for _ in range(48):
        budget.enter_call()
    with pytest.raises(BudgetExceeded, match="48 deep"):
        budget.enter_call()


def test_a_call_that_returned_no_longer_counts() -> None:
    budget = Budget(None)
    for _ in range(1000):
        budget.enter_call()
        budget.leave_call()


def test_everything_made_counts_against_the_memory() -> None:
    budget = Budget(None)
    budget.reserve(20 << 20)  # asking takes nothing
    budget.made("x" * (20 << 20))
    with pytest.raises(BudgetExceeded, match="MiB"):
        budget.reserve(20 << 20)
    with pytest.raises(BudgetExceeded, match="MiB"):
        budget.made("x" * (20 << 20))


def test_large_inputs_may_cost_more() -> None:
    budget = Budget({"messages": ["x" * (8 << 20)]})
    for _ in range(10):
        budget.made("y" * (8 << 20))


def doubled(value: list[object], times: int) -> list[object]:
    for _ in range(times):
        value = [value, value]
    return value


def test_shared_parts_weigh_as_often_as_they_are_written() -> None:
    budget = Budget(None)
    value: list[object] = ["abc"]
    weights = []
    for _ in range(15):
        weights.append(budget.weigh(value))
        value = [value, value]
    assert weights[0] < 10
    assert all(b >= 2 * a for a, b in pairwise(weights))
    with pytest.raises(BudgetExceeded, match="too large to write out"):
        budget.made(doubled(value, 15))


def test_nesting_is_limited() -> None:
    budget = Budget(None)
    value: list[object] = []
    for _ in range(199):
        value = budget.made([value])
    with pytest.raises(BudgetExceeded, match="nested more than 200 deep"):
        budget.made([value])


def test_large_integers_are_refused() -> None:
    budget = Budget(None)
    assert budget.made(2**4095) == 2**4095
    with pytest.raises(BudgetExceeded, match="4096 bits"):
        budget.made(2**4096)


def test_each_round_of_a_generator_is_a_step() -> None:
    budget = Budget(None)
    endless = budget.made(iter(lambda: 1, 0))
    assert isinstance(endless, BudgetedIterator)
    with pytest.raises(BudgetExceeded):
        list(endless)
    assert repr(endless) == "<generator>"
