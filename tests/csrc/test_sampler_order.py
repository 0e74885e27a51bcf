"""llama.cpp's samplers, alone and in chains, against a plain Python description of each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pyllm.sampling.order import order_number
from tests.csrc.test_sampler import LogitRows, philox, uniform
from tests.support.core_program import Floats

N_DRAWS = 60
SEED = 5
# One token of the selection: (id, logit as it is scaled by now).
Selection = list[tuple[int, float]]


def probabilities(selection: Selection) -> np.ndarray:
    logits = np.array([logit for _, logit in selection])
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def best_first(selection: Selection) -> Selection:
    return sorted(selection, key=lambda token: (-token[1], token[0]))


def entropy(p: np.ndarray) -> float:
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def top_k(s: Selection, c: dict[str, Any], _: int) -> Selection:
    return best_first(s)[: c["top_k"]] if 0 < c["top_k"] < len(s) else s


def top_p(s: Selection, c: dict[str, Any], _: int) -> Selection:
    if c["top_p"] >= 1:
        return s
    s = best_first(s)
    before = np.cumsum(probabilities(s)) - probabilities(s)
    count = max(int((before < c["top_p"]).sum()), c["min_keep"], 1)
    return s[:count]


def min_p(s: Selection, c: dict[str, Any], _: int) -> Selection:
    if c["min_p"] <= 0:
        return s
    s = best_first(s)
    p = probabilities(s)
    return s[: max(int((p >= c["min_p"] * p[0]).sum()), c["min_keep"], 1)]


def typ_p(s: Selection, c: dict[str, Any], _: int) -> Selection:
    if c["typical_p"] >= 1:
        return s
    p = probabilities(s)
    shift = np.abs(-np.log(p) - entropy(p))
    order = np.lexsort((np.arange(len(s)), shift))
    before = np.cumsum(p[order]) - p[order]
    count = max(int((before <= c["typical_p"]).sum()), c["min_keep"])
    return best_first([s[i] for i in order[:count]])


def top_n_sigma(s: Selection, c: dict[str, Any], _: int) -> Selection:
    if c["top_n_sigma"] <= 0 or len(s) < 2:
        return s
    logits = np.array([logit for _, logit in s])
    least = logits.max() - c["top_n_sigma"] * logits.std()
    return best_first([token for token in s if token[1] >= least])


def xtc(s: Selection, c: dict[str, Any], position: int) -> Selection:
    words = philox(SEED, position | 1 << 64)
    chance = (((words[0] << 32 | words[1]) >> 12) + 0.5) * 2.0**-52
    if c["xtc_threshold"] > 0.5 or len(s) < 2 or chance > c["xtc_probability"]:
        return s
    ordered = best_first(s)
    dropped = int((probabilities(ordered) >= c["xtc_threshold"]).sum()) - 1
    if dropped <= 0 or len(s) - dropped < c["min_keep"]:
        return s
    gone = {token for token, _ in ordered[:dropped]}
    return [token for token in s if token[0] not in gone]


def temperature(s: Selection, c: dict[str, Any], _: int) -> Selection:
    value = c["temperature"]
    if c["dynatemp_range"] > 0:
        if len(s) < 2:
            return s
        low, high = max(0.0, value - c["dynatemp_range"]), value + c["dynatemp_range"]
        share = entropy(probabilities(s)) / math.log(len(s))
        value = low + (high - low) * share ** c["dynatemp_exponent"]
    return best_first(s)[:1] if value == 0 else [(token, x / value) for token, x in s]


def mirostat(s: Selection, c: dict[str, Any], _: int) -> Selection:
    s = best_first(s)
    n = len(s)
    t = [math.log((i + 2) / (i + 1)) for i in range(min(99, n - 1))]
    b = [s[i][1] - s[i + 1][1] for i in range(len(t))]
    if not t:
        return s
    exponent = np.dot(t, b) / np.dot(t, t)
    excess = exponent - 1
    k = (excess * 2 ** c["mirostat_mu"] / (1 - n**-excess)) ** (1 / exponent)
    return s[: max(int(k), 1)]


def mirostat_v2(s: Selection, c: dict[str, Any], _: int) -> Selection:
    s = best_first(s)
    surprise = -np.log2(probabilities(s))
    return s[: max(int((surprise <= c["mirostat_mu"]).sum()), 1)]


SAMPLERS = {f.__name__: f for f in (
    top_k, top_p, min_p, typ_p, top_n_sigma, xtc, temperature, mirostat, mirostat_v2,
)}  # fmt: skip
OFF = {
    "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "top_n_sigma": -1.0,
    "xtc_probability": 0.0, "xtc_threshold": 0.1, "temperature": 1.0, "dynatemp_range": 0.0,
    "dynatemp_exponent": 1.0, "min_keep": 0, "mirostat_mu": 10.0,
}  # fmt: skip


def check(logits: Floats, names: tuple[str, ...], **chosen: Any) -> None:
    """Every draw is the inverse CDF of the described selection, up to rounding at an edge."""
    c = {**OFF, **chosen}
    version = {"mirostat": 1, "mirostat_v2": 2}.get(names[-1], 0)
    order = order_number(names, version, extended=False)
    rows = LogitRows(logits[None], n_rows=N_DRAWS, threads=2)
    result = rows.sample(
        seed=SEED, rng_position=np.arange(N_DRAWS), sampler_order=np.uint64(order), **c
    )
    if version:
        names = ("temperature", names[-1])
    for position in range(N_DRAWS):
        selection: Selection = list(enumerate(logits.astype(np.float64)))
        for name in names:
            selection = SAMPLERS[name](selection, c, position)
        p = probabilities(selection)
        cumulated = np.cumsum(p)
        u = uniform(SEED, position)
        at = int(np.searchsorted(cumulated, u, side="right"))
        token = int(result["sampled"][position])
        if token != selection[at][0]:
            near = float(np.abs(cumulated - u).min())
            assert near < 2e-5, (names, position, token, selection[at][0], near)
        elif version:
            mu = c["mirostat_mu"] - 0.1 * (-math.log2(p[at]) - 5.0)
            assert result["mirostat_next"][position] == pytest.approx(mu, abs=1e-4)


def random_logits(n_vocab: int, spread: float = 3.0) -> Floats:
    return (spread * np.random.default_rng(n_vocab).normal(size=n_vocab)).astype(np.float32)


ALONE: list[dict[str, Any]] = [
    {"typical_p": 0.9}, {"typical_p": 0.3}, {"typical_p": 0.01}, {"typical_p": 0.2, "min_keep": 5},
    {"top_n_sigma": 1.0}, {"top_n_sigma": 0.1}, {"top_n_sigma": 3.0},
    {"xtc_probability": 0.5}, {"xtc_probability": 1.0, "xtc_threshold": 0.02},
    {"xtc_probability": 1.0, "xtc_threshold": 0.01, "min_keep": 3000},
    {"xtc_probability": 1.0, "xtc_threshold": 0.6},
    {"dynatemp_range": 0.5, "temperature": 0.8}, {"dynatemp_range": 2.0, "temperature": 0.5},
    {"dynatemp_range": 0.5, "dynatemp_exponent": 2.0},
    {"top_p": 0.1, "min_keep": 20}, {"min_p": 0.9, "min_keep": 7}, {"top_p": 0.9}, {"min_p": 0.1},
]  # fmt: skip


@pytest.mark.parametrize("chosen", ALONE, ids=str)
@pytest.mark.parametrize("n_vocab", [1, 2, 40, 3000])
def test_each_sampler_alone_sees_the_whole_vocabulary(chosen: dict[str, Any], n_vocab: int) -> None:
    names = {
        "typical_p": "typ_p", "xtc_probability": "xtc", "dynatemp_range": "temperature",
    }  # fmt: skip
    first = next(iter(chosen))
    check(random_logits(n_vocab), (names.get(first, first),), **chosen)


@pytest.mark.parametrize("version", ["mirostat", "mirostat_v2"])
@pytest.mark.parametrize("mu", [0.5, 3.0, 10.0])
@pytest.mark.parametrize("n_vocab", [2, 150, 3000])
def test_mirostat(version: str, mu: float, n_vocab: int) -> None:
    check(random_logits(n_vocab), (version,), mirostat_mu=mu, temperature=0.9)


LLAMA_CPP = ("top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature")
ORDERS = [
    LLAMA_CPP,
    LLAMA_CPP[::-1],
    ("temperature", "top_p", "top_k"),
    ("xtc", "typ_p", "temperature", "min_p"),
    ("min_p", "xtc", "top_n_sigma", "temperature", "typ_p"),
]


@pytest.mark.parametrize("names", ORDERS, ids=";".join)
@pytest.mark.parametrize("value", [0.0, 0.7, 1.5])
def test_chains_apply_their_samplers_in_order(names: tuple[str, ...], value: float) -> None:
    check(
        random_logits(500), names, temperature=value, top_k=30, top_p=0.95, min_p=0.02,
        typical_p=0.9, top_n_sigma=2.0, xtc_probability=0.5, xtc_threshold=0.08, min_keep=2,
    )  # fmt: skip


@pytest.mark.parametrize("spread", [0.0, 1e-4, 0.5])
@pytest.mark.parametrize("chosen", [{"typical_p": 0.7}, {"top_n_sigma": 1.0}], ids=str)
def test_flat_distributions_keep_thousands(spread: float, chosen: dict[str, Any]) -> None:
    logits = random_logits(20_000, spread)
    name = "typ_p" if "typical_p" in chosen else "top_n_sigma"
    rows = LogitRows(logits[None], n_rows=4)
    order = np.uint64(order_number((name,), 0, extended=False))
    sampled = rows.sample(rng_position=np.arange(4), sampler_order=order, **{**OFF, **chosen})
    allowed = {token for token, _ in SAMPLERS[name](list(enumerate(logits)), {**OFF, **chosen}, 0)}
    assert set(sampled["sampled"].tolist()) <= allowed or spread < 1e-3
    assert (sampled["status"] == 0).all()


def test_penalties_and_dry_act_where_they_stand() -> None:
    """Before top_k a penalty changes which tokens are the best; behind it only their order."""
    logits = np.float32([[5.0, 4.0, 3.0, 0.0]])
    history = np.int32([0, 2]), np.int32([0, 1]), np.int32([1, 1])
    dry = np.int32([0, 1]), np.int32([0]), np.float32([-4.5])
    rows = LogitRows(logits)
    options = {"temperature": 0.0, "top_k": 2, "presence_penalty": 3.0}

    def chosen(*names: str, **more: Any) -> int:
        order = np.uint64(order_number(names, 0, extended=False))
        result = rows.sample(history, dry=dry, sampler_order=order, **{**options, **more})
        return int(result["sampled"][0])

    assert chosen("top_k", "temperature") == 0
    assert chosen("penalties", "top_k", "temperature") == 2
    assert chosen("top_k", "penalties", "temperature") == 0
    assert chosen("top_k", "penalties", "dry", "temperature") == 1
    assert chosen("dry", "temperature") == 1
    assert chosen("temperature", "penalties") == 0  # one token is left before they come


def test_rows_without_an_order_ignore_the_samplers_of_llama_cpp() -> None:
    rows = LogitRows(random_logits(300)[None], n_rows=20)
    options = {"seed": 3, "rng_position": np.arange(20), "top_p": 0.9}
    plain = rows.sample(**options)["sampled"]
    more = rows.sample(
        typical_p=0.1, top_n_sigma=0.1, xtc_probability=1.0, min_keep=250, dynatemp_range=0.9,
        **options,
    )["sampled"]  # fmt: skip
    np.testing.assert_array_equal(plain, more)


def test_targets_are_reported_on_and_deferred_rows_wait() -> None:
    logits = np.stack([random_logits(200), random_logits(201)[:200], random_logits(202)[:200]])
    rows = LogitRows(logits)
    result = rows.sample(target=[7, -1, -1], deferred=[0, 1, 0], n_logprobs=2, temperature=0.0)
    best = np.argsort(-logits, axis=1, kind="stable")
    assert result["sampled"].tolist() == [7, -1, best[2, 0]]
    assert result["status"].tolist() == [0, 0, 0]
    assert result["rank"][0] == best[0].tolist().index(7) + 1
    assert result["rank"][2] == 1
    exact = logits[0].astype(np.float64)
    log_sum = np.log(np.exp(exact).sum())
    assert result["log_sum"][0] == pytest.approx(log_sum, abs=1e-5)
    assert result["logprob"][0] == np.float32(exact[7] - result["log_sum"][0])

    program = rows.program
    program.sample(1, -logits[1])
    assert program.columns["sampled"][1] == best[1, -1]
    assert program.columns["rank"][1] == 200  # log-probabilities are of the model's logits
    bias = np.int32([0, 0, 1, 1]), np.int32([best[1, -1]]), np.float32([-np.inf])
    program.sample(1, -logits[1], bias=bias)
    assert program.columns["sampled"][1] == best[1, -2]
    for wrong in (np.nan, np.inf):
        broken = logits[1].copy()
        broken[3] = wrong
        with pytest.raises(ValueError, match=r"logits\[3\] is"):
            program.sample(1, broken)
    with pytest.raises(ValueError, match="row is 3"):
        program.sample(3, logits[0])
    program.sample(1, np.full(200, -np.inf, np.float32))
    assert program.columns["status"][1] == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [("typical_p", 1.5), ("xtc_probability", np.nan), ("mirostat_mu", np.inf), ("min_keep", -1),
     ("dynatemp_range", -1.0), ("target", 3), ("target", -2), ("sampler_order", 12),
     ("sampler_order", 0x104)],
)  # fmt: skip
def test_impossible_values_are_refused(column: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{column}\[0\] is"):
        LogitRows(np.float32([[1.0, 2.0, 3.0]])).sample(**{column: value})
