"""TTFT, TPOT, ITL and E2EL of made-up requests."""

import pytest

from pyllm.latency import RequestTimes, Spread, latencies


def request(sent, *reports):
    times = RequestTimes(sent)
    for now, num_tokens in reports:
        times.add(now, num_tokens)
    return times


def test_one_request():
    times = request(10.0, (10.5, 1), (10.6, 0), (10.7, 1), (11.1, 2))
    assert times.num_tokens == 4
    assert times.ttft == pytest.approx(0.5)
    assert times.e2el == pytest.approx(1.1)
    assert times.tpot == pytest.approx(0.6 / 3)
    assert times.itl == pytest.approx([0.2, 0.4])


def test_a_single_token_has_no_time_per_further_token():
    times = request(1.0, (2.0, 1))
    assert times.tpot is None
    found = latencies([times])
    assert found["tpot"] is None
    assert found["itl"] is None
    assert found["ttft"] == found["e2el"]
    assert found["ttft"].mean == pytest.approx(1000)


def test_spread_in_milliseconds():
    spread = Spread.of([n / 1000 for n in range(101)])
    assert (spread.mean, spread.median) == pytest.approx((50, 50))
    assert spread.percentiles == pytest.approx({50: 50, 90: 90, 99: 99})
    assert spread.std == pytest.approx(29.15, abs=0.01)
    assert Spread.of([]) is None


def test_requests_weigh_the_same_in_tpot_and_gaps_in_itl():
    found = latencies([request(0, (1, 1), (2, 1)), request(0, (1, 1), (4, 1), (7, 1), (10, 1))])
    assert found["tpot"].mean == pytest.approx(2000)
    assert found["itl"].mean == pytest.approx(2500)


def test_requests_without_an_answer_do_not_count():
    assert set(latencies([request(0.0)]).values()) == {None}
    found = latencies([request(0.0), request(0.0, (1.0, 1))])
    assert found["ttft"].std == 0
