"""Sampling against a plain Python description, on rows a table hands over unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pyllm import _core
from tests.support.core_program import Floats, ProgramBuilder, pack_f32

DEFAULTS = {
    "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0,
    "presence_penalty": 0.0, "frequency_penalty": 0.0, "seed": 0, "rng_position": 0,
    "n_logprobs": -1, "target": -1, "deferred": 0, "sampler_order": 0, "typical_p": 1.0,
    "top_n_sigma": -1.0, "xtc_probability": 0.0, "xtc_threshold": 0.1, "dynatemp_range": 0.0,
    "dynatemp_exponent": 1.0, "mirostat_tau": 5.0, "mirostat_eta": 0.1, "mirostat_mu": 10.0,
    "min_keep": 0,
}  # fmt: skip


class LogitRows:
    """A program whose logits are the rows of a table: embed, then take_rows."""

    def __init__(self, logits: Floats, n_rows: int = 0, threads: int = 1) -> None:
        self.n_rows = n_rows or len(logits)
        builder = ProgramBuilder(max_tokens=self.n_rows, max_rows=self.n_rows)
        x = builder.rows(np.where(np.isfinite(logits), logits, 0))
        builder.op("take_rows", [x], [logits.shape[1]], rows="R")
        self.program = builder.build(threads=threads, n_vocab=logits.shape[1])
        self.n_table_rows = len(logits)

    def sample(
        self, history: Any = None, bias: Any = None, masks: Any = None, dry: Any = None,
        **columns: Any,
    ) -> dict[str, np.ndarray]:  # fmt: skip
        c = self.program.columns
        n = self.n_rows
        c["tokens"][:n] = np.arange(n) % self.n_table_rows
        c["positions"][:n] = np.arange(n)
        c["seq_starts"][:2] = 0, n
        c["logit_rows"][:n] = np.arange(n)
        for name, value in {**DEFAULTS, **columns}.items():
            c[name][:n] = value
        self.program.step(n, 1, n, history, bias, masks=masks, dry=dry)
        return {name: c[name].copy() for name in
                ("sampled", "status", "logprob", "rank", "log_sum", "top_ids", "top_logprobs",
                 "logits", "mirostat_next")}  # fmt: skip


class LinearRows(LogitRows):
    """The same logits written by a linear op, which leaves the maxima of its tiles."""

    def __init__(self, logits: Floats, threads: int = 1) -> None:
        self.n_rows = self.n_table_rows = n = len(logits)
        builder = ProgramBuilder(max_tokens=n, max_rows=n)
        x = builder.rows(np.eye(n))
        (taken,) = builder.op("take_rows", [x], [n], rows="R")
        weights = [None, pack_f32(logits.T), None]
        builder.op("linear", [taken], [logits.shape[1]], weights, "R", eps=0.0, combine="none")
        self.program = builder.build(threads=threads, n_vocab=logits.shape[1])


def philox(seed: int, counter: int) -> list[int]:
    """Philox 4x32-10, from the paper."""
    mask = 0xFFFFFFFF
    c = [counter >> 32 * word & mask for word in range(4)]
    key = [seed & mask, seed >> 32 & mask]
    for _ in range(10):
        high = [0xD2511F53 * c[0], 0xCD9E8D57 * c[2]]
        c = [
            high[1] >> 32 ^ c[1] ^ key[0],
            high[1] & mask,
            high[0] >> 32 ^ c[3] ^ key[1],
            high[0] & mask,
        ]
        key = [key[0] + 0x9E3779B9 & mask, key[1] + 0xBB67AE85 & mask]
    return c


def uniform(seed: int, position: int) -> float:
    words = philox(seed, position)
    return (((words[0] << 32 | words[1]) >> 12) + 0.5) * 2.0**-52


def allowed_tokens(
    logits: Floats, temperature: float, top_k: int, top_p: float, min_p: float
) -> list[tuple[int, float]]:
    """(token, weight) best first, after min_p, top_k and top_p."""
    order = np.lexsort((np.arange(len(logits)), -logits))
    weights = np.exp((logits[order].astype(np.float64) - logits.max()) / temperature)
    count = max(1, int((weights >= min_p).sum()))
    if top_k:
        count = min(count, top_k)
    order, weights = order[:count], weights[:count]
    if top_p < 1:
        before = np.cumsum(weights) - weights
        order, weights = (
            order[before < top_p * weights.sum()],
            weights[before < top_p * weights.sum()],
        )
    return list(zip(order.tolist(), weights.tolist(), strict=True))


def test_philox_known_answer() -> None:
    """Random123's first known-answer vector; then the core agrees with it through a flat draw."""
    assert philox(0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    rows = LogitRows(np.zeros((1, 1000), np.float32), n_rows=50)
    seeds = np.random.default_rng(0).integers(0, 2**64, 50, dtype=np.uint64)
    positions = np.arange(50) * 2**31
    sampled = rows.sample(seed=seeds, rng_position=positions)["sampled"]
    expected = [int(uniform(int(s), int(p)) * 1000) for s, p in zip(seeds, positions, strict=True)]
    np.testing.assert_array_equal(sampled, expected)


@pytest.mark.parametrize("n_vocab", [1, 2, 15, 64, 65, 1000, 32003])
def test_greedy_takes_the_largest_and_the_lowest_id_of_a_tie(isa: str, n_vocab: int) -> None:
    rng = np.random.default_rng(n_vocab)
    logits = rng.normal(size=(4, n_vocab)).astype(np.float32)
    logits[1, :] = 0.5
    logits[2, n_vocab // 2 :] = 9.0
    result = LogitRows(logits, threads=2).sample(temperature=0.0)
    np.testing.assert_array_equal(result["sampled"], logits.argmax(axis=1))
    np.testing.assert_array_equal(result["status"], 0)
    np.testing.assert_array_equal(result["logits"], logits)


@pytest.mark.parametrize("n_vocab", [3, 100, 5000])
def test_logprobs_are_of_the_raw_logits(isa: str, n_vocab: int) -> None:
    logits = (4 * np.random.default_rng(n_vocab).normal(size=(3, n_vocab))).astype(np.float32)
    result = LogitRows(logits).sample(temperature=[0.0, 0.7, 2.0], top_k=1, n_logprobs=[0, 5, 20])
    exact = logits.astype(np.float64)
    logprobs = (
        exact
        - np.log(np.exp(exact - exact.max(1, keepdims=True)).sum(1, keepdims=True))
        - exact.max(1, keepdims=True)
    )
    rows = np.arange(3)
    np.testing.assert_allclose(result["logprob"], logprobs[rows, result["sampled"]], atol=5e-6)
    for row, n in enumerate((0, 5, 20)):
        n = min(n, n_vocab)
        best = np.argsort(-logits[row], kind="stable")[:n]
        np.testing.assert_array_equal(result["top_ids"][row, :n], best)
        np.testing.assert_allclose(result["top_logprobs"][row, :n], logprobs[row, best], atol=5e-6)
        assert (result["top_ids"][row, n:] == -1).all()


def cases() -> Iterator[dict[str, Any]]:
    for top_k in (0, 1, 3, 40, 700):
        for top_p in (1.0, 0.999, 0.9, 0.3, 1e-6):
            yield {"top_k": top_k, "top_p": top_p, "min_p": 0.0}
    for min_p in (1.0, 0.2, 0.01):
        yield {"top_k": 0, "top_p": 1.0, "min_p": min_p}
        yield {"top_k": 50, "top_p": 0.95, "min_p": min_p}


def check_draws(logits: Floats, case: dict[str, Any], n_draws: int) -> None:
    """Every draw is the inverse CDF of the description, except within rounding of an edge."""
    rows = LogitRows(logits[None], n_rows=n_draws, threads=2)
    positions = np.arange(n_draws)
    sampled = rows.sample(temperature=0.8, seed=5, rng_position=positions, **case)["sampled"]
    allowed = allowed_tokens(logits, 0.8, **case)
    no_top_k = not 0 < case["top_k"] < len(logits)
    if no_top_k and case["top_p"] == 1.0 and not case["min_p"]:
        allowed.sort()  # an untruncated draw goes through the vocabulary in order
    tokens = np.array([token for token, _ in allowed])
    cumulated = np.cumsum([weight for _, weight in allowed])
    cumulated /= cumulated[-1]
    for position, token in enumerate(sampled):
        u = uniform(5, position)
        at = int(np.searchsorted(cumulated, u, side="right"))
        if token != tokens[at]:
            # top_p is a float32: among thousands, the last token may be kept or not, which moves
            # the edges by its weight.
            last_weight = cumulated[-1] - cumulated[-2] if len(tokens) > 1000 else 0.0
            near = np.abs(cumulated - u).min()
            assert near < 1e-5 + last_weight, (position, token, tokens[at], near)
            assert token in tokens[max(0, at - 1) : at + 2]


@pytest.mark.parametrize("case", list(cases()), ids=str)
@pytest.mark.parametrize("n_vocab", [40, 3000])
def test_draws_follow_the_truncated_distribution(case: dict[str, Any], n_vocab: int) -> None:
    logits = (3 * np.random.default_rng(n_vocab).normal(size=n_vocab)).astype(np.float32)
    logits[7] = logits[11]  # a tie
    check_draws(logits, case, 200)


@pytest.mark.parametrize(("top_p", "min_p"), [(0.9, 0.0), (0.999, 0.001), (1.0, 0.02), (0.3, 0.0)])
@pytest.mark.parametrize("spread", [0.0, 1e-4, 1.0])
def test_wide_distributions_keep_thousands_of_tokens(
    top_p: float, min_p: float, spread: float
) -> None:
    """More than the 1,024 best tokens are kept: the ones that matter are found by their mass."""
    logits = (spread * np.random.default_rng(0).normal(size=20_000)).astype(np.float32)
    case = {"top_k": 0, "top_p": top_p, "min_p": min_p}
    check_draws(logits, case, 100)


def test_draws_depend_on_seed_and_position_only(restore_isa: None) -> None:
    """Same row, same draw: on any instruction set, in any row, with any thread count."""
    rng = np.random.default_rng(1)
    logits = (2 * rng.normal(size=(1, 4001))).astype(np.float32)
    columns = {"temperature": 0.9, "top_p": 0.95, "n_logprobs": 5}
    alone = [LogitRows(logits).sample(seed=3, rng_position=p, **columns) for p in range(6)]
    for name in _core.isas():
        _core.set_isa(name)
        for threads in (1, 3):
            rows = LogitRows(logits, n_rows=6, threads=threads)
            result = rows.sample(seed=3, rng_position=np.arange(6), **columns)
            for row in range(6):
                for key in ("sampled", "logprob", "top_ids", "top_logprobs"):
                    np.testing.assert_array_equal(result[key][row], alone[row][key][0])
    assert len({int(a["sampled"][0]) for a in alone}) > 1


def test_frequencies_match_probabilities() -> None:
    logits = np.float32([[0.0, 1.0, 2.0, -1.0]])
    rows = LogitRows(logits, n_rows=4000)
    sampled = rows.sample(seed=9, rng_position=np.arange(4000))["sampled"]
    probabilities = np.exp(logits[0]) / np.exp(logits[0]).sum()
    np.testing.assert_allclose(np.bincount(sampled, minlength=4) / 4000, probabilities, atol=0.03)


def test_penalties(isa: str) -> None:
    logits = np.float32([[2.0, -2.0, 1.9, 1.5, 0.0]] * 4)
    history = (
        np.int32([0, 2, 4, 6, 6]),
        np.int32([0, 1, 0, 2, 0, 3]),
        np.int32([0, 0, 2, 0, 1, 3]),
    )
    rows = LogitRows(logits)
    greedy = {"temperature": 0.0}
    assert rows.sample(history, **greedy)["sampled"].tolist() == [0, 0, 0, 0]
    # Repetition counts prompt tokens too: 2.0 / 1.2 < 1.9 in rows 0 and 2; row 1 divides both.
    assert rows.sample(history, repetition_penalty=1.2, **greedy)["sampled"].tolist() == [
        2,
        0,
        2,
        0,
    ]
    # Presence and frequency count what was produced: row 0 has nothing but prompt tokens.
    assert rows.sample(history, presence_penalty=0.2, **greedy)["sampled"].tolist() == [0, 2, 2, 0]
    assert rows.sample(history, frequency_penalty=0.08, **greedy)["sampled"].tolist() == [
        0,
        2,
        0,
        0,
    ]
    assert rows.sample(history, presence_penalty=-5.0, **greedy)["sampled"].tolist() == [0, 0, 0, 0]


def test_log_probabilities_ignore_penalties_and_bias() -> None:
    logits = np.float32([[2.0, 1.0, 0.0]])
    rows = LogitRows(logits)
    bias = (np.int32([0, 1]), np.int32([2]), np.float32([100.0]))
    columns = {"temperature": 0.0, "n_logprobs": 0}
    plain, biased = rows.sample(**columns), rows.sample(None, bias, **columns)
    assert biased["sampled"][0] == 2
    np.testing.assert_allclose(biased["logprob"], plain["logprob"] - 2.0, rtol=1e-6)
    np.testing.assert_array_equal(biased["logits"], logits)


def test_forbidden_tokens_are_never_drawn() -> None:
    n = 300
    rows = LogitRows(np.float32([[5.0, 0.0, 1.0]]), n_rows=n)
    offsets = np.arange(n + 1, dtype=np.int32)
    bias = (offsets, np.zeros(n, np.int32), np.full(n, -np.inf, np.float32))
    for columns in ({}, {"top_p": 0.99}, {"top_k": 3}, {"min_p": 0.01}, {"temperature": 0.0}):
        result = rows.sample(None, bias, seed=1, rng_position=np.arange(n), **columns)
        assert not (result["sampled"] == 0).any()
        assert (result["status"] == 0).all()


def test_nothing_left_to_draw_is_a_status() -> None:
    rows = LogitRows(np.float32([[5.0, 0.0]]))
    bias = (np.int32([0, 2]), np.int32([0, 1]), np.float32([-np.inf, -np.inf]))
    for columns in ({}, {"top_p": 0.5}, {"temperature": 0.0}):
        result = rows.sample(None, bias, **columns)
        assert (result["status"][0], result["sampled"][0]) == (2, -1)


def test_non_finite_logits_fail_their_row_only(isa: str) -> None:
    """Infinity is made where the model would make it: an overflowing product."""
    table = np.float32([[1.0], [3e38], [2.0]])
    builder = ProgramBuilder(max_tokens=3, max_rows=3)
    x = builder.rows(table)
    (doubled,) = builder.op("add", [x, x], [1])
    (taken,) = builder.op("take_rows", [doubled], [1], rows="R")
    matrix = _core.PackedTensor.pack(0, 37, 1, np.arange(37, dtype=np.float32), 1)
    builder.op("linear", [taken], [37], [None, matrix, None], rows="R", eps=0.0, combine="none")
    program = builder.build(n_vocab=37)
    c = program.columns
    c["tokens"][:], c["positions"][:], c["logit_rows"][:] = range(3), range(3), range(3)
    c["seq_starts"][:], c["n_logprobs"][:] = (0, 3), 0
    program.step(3, 1, 3)
    assert c["status"].tolist() == [0, 1, 0]
    assert c["sampled"].tolist() == [36, -1, 36]
    assert np.isnan(c["logprob"][1])
    assert np.isfinite(c["logprob"][[0, 2]]).all()


@pytest.mark.parametrize("n_vocab", [1, 15, 16, 17, 64, 100, 1000, 32003])
@pytest.mark.parametrize("n_rows", [1, 7])
def test_maxima_left_by_the_last_op_change_nothing(isa: str, n_vocab: int, n_rows: int) -> None:
    """Every way to choose, with and without penalties and bias, against logits nobody looked at."""
    rng = np.random.default_rng(n_vocab + n_rows)
    logits = (3 * rng.normal(size=(n_rows, n_vocab))).astype(np.float32)
    logits[0, n_vocab // 2 :] = logits.max()  # ties over many tiles
    offsets = np.arange(n_rows + 1, dtype=np.int32)
    best = logits.argmax(axis=1).astype(np.int32)  # the maximum itself goes down, others up
    history = offsets, best, np.full(n_rows, 2, np.int32)
    other = rng.integers(0, n_vocab, n_rows).astype(np.int32)
    bias = offsets, other, np.full(n_rows, 2.5, np.float32)
    ban = offsets, best, np.full(n_rows, -np.inf, np.float32)
    penalties = {"repetition_penalty": 1.3, "presence_penalty": 0.4, "frequency_penalty": 0.2}
    plain = LogitRows(logits)
    for threads in (1, 3):
        rows = LinearRows(logits, threads=threads)
        for choice in (
            {"temperature": 0.0}, {"top_k": 3}, {"top_k": 40, "top_p": 0.9}, {"top_p": 0.8},
            {"min_p": 0.1}, {},
        ):  # fmt: skip
            for change in ({}, {"history": history}, {"bias": bias}, {"bias": ban}):
                columns = {**choice, **change, **(penalties if "history" in change else {})}
                columns |= {"seed": 5, "rng_position": np.arange(n_rows), "n_logprobs": 4}
                expected, result = plain.sample(**columns), rows.sample(**columns)
                for name, values in expected.items():
                    np.testing.assert_array_equal(result[name], values)


@pytest.mark.parametrize("place", [0, 15, 16, 70, 99])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_one_logit_that_is_not_finite_ends_its_row(isa: str, place: int, value: float) -> None:
    logits = np.random.default_rng(place).normal(size=(1, 100)).astype(np.float32)
    logits[0, place] = value
    forbidden = np.int32([0, 1]), np.int32([place]), np.float32([-1.0])
    for columns in ({"temperature": 0.0}, {"top_k": 5}, {}, {"bias": forbidden}):
        result = LinearRows(logits, threads=2).sample(**columns)
        assert (result["status"][0], result["sampled"][0]) == (1, -1)


def test_log_probabilities_are_computed_when_asked_for() -> None:
    result = LogitRows(np.float32([[2.0, 1.0]] * 2)).sample(n_logprobs=[-1, 0])
    assert np.isnan(result["logprob"]).tolist() == [True, False]


@pytest.mark.parametrize("temperature", [1e-30, 1e-5, 1e30])
def test_extreme_temperatures(temperature: float) -> None:
    rows = LogitRows(np.float32([[1.0, 3.0, 2.0]]), n_rows=50)
    result = rows.sample(temperature=temperature, rng_position=np.arange(50))
    assert (result["status"] == 0).all()
    if temperature < 1:
        assert (result["sampled"] == 1).all()
    else:
        assert set(result["sampled"].tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("column", "value"),
    [("temperature", -1.0), ("temperature", np.nan), ("top_p", 0.0), ("top_p", 1.1),
     ("min_p", -0.1),
     ("min_p", np.nan), ("repetition_penalty", 0.0), ("presence_penalty", np.inf),
     ("frequency_penalty", np.nan), ("top_k", -1), ("n_logprobs", 21), ("n_logprobs", -2)],
)  # fmt: skip
def test_impossible_columns_are_refused(column: str, value: float) -> None:
    rows = LogitRows(np.float32([[1.0, 3.0, 2.0]] * 2))
    before = rows.sample(temperature=0.0)
    values = [DEFAULTS[column], value]
    with pytest.raises(ValueError, match=rf"{column}\[1\] is"):
        rows.sample(**{column: values})
    np.testing.assert_array_equal(rows.program.columns["sampled"], before["sampled"])


@pytest.mark.parametrize(
    ("history", "message"),
    [(([0, 1], [0], [1]), "history offsets has 2 entries"),
     (([0, 1, 3], [0, 1], [1, 1]), r"history offsets\[2\] is 3"),
     (([0, 2, 1], [0, 1], [1, 1]), r"history offsets\[2\] is 1"),
     (([1, 1, 2], [0, 1], [1, 1]), r"history offsets\[0\] is 1"),
     (([0, 1, 2], [0, 3], [1, 1]), r"history tokens\[1\] is 3"),
     (([0, 1, 2], [0, -1], [1, 1]), r"history tokens\[1\] is -1"),
     (([0, 1, 2], [0, 1], [1, -1]), r"history output_counts\[1\] is -1"),
     (([0, 1, 2], [0, 1], [1]), "differ in length")],
)  # fmt: skip
def test_impossible_history_is_refused(history: Any, message: str) -> None:
    rows = LogitRows(np.float32([[1.0, 3.0, 2.0]] * 2))
    with pytest.raises(ValueError, match=message):
        rows.sample(history)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_impossible_bias_is_refused(value: float) -> None:
    rows = LogitRows(np.float32([[1.0, 3.0, 2.0]]))
    with pytest.raises(ValueError, match=r"bias values\[0\]"):
        rows.sample(None, (np.int32([0, 1]), np.int32([0]), np.float32([value])))
