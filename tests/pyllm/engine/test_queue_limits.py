"""Who may wait: so many requests, so many tokens, and never nobody."""

import pytest

from pyllm.engine import queue_limits
from pyllm.engine.queue_limits import QueueLimits
from pyllm.errors import QueueFullError


def test_requests_beyond_the_free_places_are_counted():
    limits = QueueLimits(2, None)
    for number in range(3):
        limits.enter(str(number), 10, free_places=1)
    with pytest.raises(QueueFullError) as raised:
        limits.enter("x", 10, free_places=1)
    error = raised.value
    assert (error.queued_requests, error.queued_tokens) == (3, 30)
    assert (error.max_queued_requests, error.max_queued_tokens) == (2, None)
    limits.leave("1")
    limits.enter("x", 10, free_places=1)


def test_tokens_are_counted():
    limits = QueueLimits(None, 100)
    limits.enter("a", 60, free_places=8)
    with pytest.raises(QueueFullError):
        limits.enter("b", 41, free_places=8)
    limits.enter("c", 40, free_places=8)
    assert (limits.num_requests, limits.num_tokens) == (2, 100)


def test_whoever_finds_nobody_waiting_is_let_in():
    limits = QueueLimits(0, 10)
    limits.enter("long", 1000, free_places=0)
    with pytest.raises(QueueFullError):
        limits.enter("short", 1, free_places=0)


def test_without_limits_everybody_may_wait():
    limits = QueueLimits(None, None)
    for number in range(1000):
        limits.enter(str(number), 10**6, free_places=0)


def test_a_second_request_of_the_same_name_counts_for_itself():
    limits = QueueLimits(1, None)
    first, second = object(), object()
    limits.enter(first, 3, free_places=1)
    limits.enter(second, 3, free_places=1)
    limits.leave(second)
    assert (limits.num_requests, limits.num_tokens) == (1, 3)


def test_leaving_twice_or_unknown_changes_nothing():
    limits = QueueLimits(None, None)
    limits.enter("a", 3, free_places=0)
    for _ in range(2):
        limits.leave("a")
        limits.leave("b")
    assert (limits.num_requests, limits.num_tokens) == (0, 0)


def test_whoever_withdraws_is_no_departure(monkeypatch):
    monkeypatch.setattr(queue_limits.time, "monotonic", lambda: 100.0)
    limits = QueueLimits(0, None)
    limits.enter("a", 1, free_places=0)
    limits.leave("a")
    monkeypatch.setattr(queue_limits.time, "monotonic", lambda: 110.0)
    limits.enter("b", 1, free_places=1)
    limits.enter("c", 1, free_places=2)
    limits.withdraw("c")
    assert limits.num_requests == 1
    with pytest.raises(QueueFullError) as raised:
        limits.enter("d", 1, free_places=0)
    assert raised.value.retry_after == 20  # two must leave, one left within ten seconds


def test_the_time_to_retry_follows_the_rate_of_departures(monkeypatch):
    now = 100.0
    monkeypatch.setattr(queue_limits.time, "monotonic", lambda: now)
    limits = QueueLimits(4, 1000)
    for number in range(4):
        limits.enter(str(number), 100, free_places=0)
    with pytest.raises(QueueFullError, match="try again in 1 s"):
        limits.enter("x", 100, free_places=0)
    for number in range(4):  # one every 5 seconds
        now += 5
        limits.leave(str(number))
        limits.enter(f"next {number}", 100, free_places=0)
    now += 5
    with pytest.raises(QueueFullError, match="try again in 5 s"):
        limits.enter("x", 100, free_places=0)
    with pytest.raises(QueueFullError, match="try again in 15 s"):  # three of 100 tokens must go
        limits.enter("x", 900, free_places=0)
    now += 10_000
    with pytest.raises(QueueFullError, match="try again in 60 s"):
        limits.enter("x", 100, free_places=0)


def test_those_in_preparation_count_before_they_wait():
    limits = QueueLimits(1, None)
    two = limits.preparing(free_places=1), limits.preparing(free_places=1)
    with two[0], two[1], pytest.raises(QueueFullError), limits.preparing(free_places=1):
        pass
    with limits.preparing(free_places=1):
        limits.enter("a", 10, free_places=1)
        limits.enter("b", 10, free_places=1)
    with pytest.raises(QueueFullError), limits.preparing(free_places=1):
        pass
    limits.leave("a")
    with limits.preparing(free_places=1):
        pass


def test_whoever_finds_nobody_may_be_prepared():
    limits = QueueLimits(0, None)
    with limits.preparing(free_places=0):
        limits.enter("a", 10, free_places=0)
        with pytest.raises(QueueFullError), limits.preparing(free_places=0):
            pass
