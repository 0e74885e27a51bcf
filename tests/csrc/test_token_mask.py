"""Token masks against biases of minus infinity, which say the same at length."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from pyllm import _core
from tests.csrc.test_sampler import LinearRows, LogitRows

CHOICES: list[dict[str, Any]] = [
    {"temperature": 0.0}, {"top_k": 3}, {"top_k": 40, "top_p": 0.9}, {"top_p": 0.8},
    {"top_p": 0.9999}, {"min_p": 0.1}, {"min_p": 1e-4}, {},
]  # fmt: skip


def words_of(allowed: np.ndarray) -> np.ndarray:
    """uint32 [rows, words] of bool [rows, n_vocab]; bits past the vocabulary are set as well."""
    padding = np.ones((len(allowed), -allowed.shape[1] % 32), bool)
    bits = np.packbits(np.hstack([allowed, padding]), axis=1, bitorder="little")
    return bits.view(np.uint32)


def masks_of(allowed: np.ndarray, rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.int32(rows), words_of(allowed[rows])


def as_bias(allowed: np.ndarray, rows: list[int]) -> tuple[np.ndarray, ...]:
    banned = [np.flatnonzero(~a) if r in rows else [] for r, a in enumerate(allowed)]
    offsets = np.cumsum([0] + [len(b) for b in banned]).astype(np.int32)
    tokens = np.concatenate(banned).astype(np.int32)
    return offsets, tokens, np.full(len(tokens), -np.inf, np.float32)


@pytest.mark.parametrize("n_vocab", [1, 15, 16, 17, 33, 64, 100, 1000, 32003])
@pytest.mark.parametrize("share", [0.0, 0.002, 0.1, 0.95])
def test_a_mask_forbids_as_a_bias_of_minus_infinity(isa: str, n_vocab: int, share: float) -> None:
    rng = np.random.default_rng(n_vocab)
    n_rows = 6
    logits = (3 * rng.normal(size=(n_rows, n_vocab))).astype(np.float32)
    allowed = rng.random((n_rows, n_vocab)) < share
    allowed[np.arange(n_rows), rng.integers(0, n_vocab, n_rows)] = True
    allowed[1] = False
    allowed[1, n_vocab // 2 :] = True  # whole tiles
    allowed[2] = False
    allowed[2, n_vocab - 1] = True
    masked = [0, 1, 2, 5]
    masks, bias = masks_of(allowed, masked), as_bias(allowed, masked)
    plain = LogitRows(logits)
    for threads in (1, 3):
        rows = LinearRows(logits, threads=threads)
        for choice in CHOICES:
            columns = {**choice, "seed": 5, "rng_position": np.arange(n_rows), "n_logprobs": 4}
            expected = plain.sample(None, bias, **columns)
            result = rows.sample(masks=masks, **columns)
            for name, values in expected.items():
                np.testing.assert_array_equal(result[name], values, err_msg=f"{choice} {name}")
            sampled = result["sampled"][masked]
            assert allowed[masked, sampled].all()


@pytest.mark.parametrize("n_vocab", [15, 1000])
def test_a_mask_that_allows_everything_changes_nothing(isa: str, n_vocab: int) -> None:
    logits = np.random.default_rng(0).normal(size=(2, n_vocab)).astype(np.float32)
    masks = masks_of(np.ones((2, n_vocab), bool), [0, 1])
    rows = LogitRows(logits)
    for choice in CHOICES:
        columns = {**choice, "rng_position": [3, 4], "n_logprobs": 4}
        expected = rows.sample(**columns)
        for name, values in rows.sample(masks=masks, **columns).items():
            np.testing.assert_array_equal(values, expected[name])


def test_penalties_and_biases_cannot_bring_a_forbidden_token_back(isa: str) -> None:
    n_vocab = 100
    logits = np.random.default_rng(1).normal(size=(1, n_vocab)).astype(np.float32)
    allowed = np.zeros((1, n_vocab), bool)
    allowed[0, [3, 4, 40]] = True
    tokens = np.arange(n_vocab, dtype=np.int32)
    offsets = np.int32([0, n_vocab])
    history = offsets, tokens, np.full(n_vocab, 1, np.int32)
    push = np.where(allowed[0], -5.0, 50.0).astype(np.float32)
    bias = offsets, tokens, push
    rows = LogitRows(logits)
    for choice in CHOICES:
        columns = {**choice, "repetition_penalty": 1.3, "presence_penalty": -2.0}
        result = rows.sample(history, bias, masks_of(allowed, [0]), **columns)
        assert result["sampled"][0] in (3, 4, 40)
    greedy = rows.sample(None, bias, masks_of(allowed, [0]), temperature=0.0)
    assert greedy["sampled"][0] == [3, 4, 40][int(logits[0, [3, 4, 40]].argmax())]


def test_log_probabilities_ignore_the_mask() -> None:
    logits = np.float32([[2.0, 1.0, 0.0]])
    rows = LogitRows(logits)
    columns = {"temperature": 0.0, "n_logprobs": 2}
    plain = rows.sample(**columns)
    masked = rows.sample(masks=masks_of(np.array([[False, False, True]]), [0]), **columns)
    assert masked["sampled"][0] == 2
    np.testing.assert_allclose(masked["logprob"], plain["logprob"] - 2.0, rtol=1e-6)
    np.testing.assert_array_equal(masked["top_ids"], plain["top_ids"])
    np.testing.assert_array_equal(masked["top_logprobs"], plain["top_logprobs"])


@pytest.mark.parametrize("n_vocab", [15, 64, 1000])
def test_a_mask_without_a_bit_fails_its_row_only(isa: str, n_vocab: int) -> None:
    logits = np.random.default_rng(2).normal(size=(3, n_vocab)).astype(np.float32)
    allowed = np.zeros((3, n_vocab), bool)
    rows = LogitRows(logits)
    for choice in CHOICES:
        columns = {**choice, "n_logprobs": 1, "rng_position": [1, 2, 3]}
        expected = rows.sample(**columns)
        result = rows.sample(masks=masks_of(allowed, [1]), **columns)
        assert result["status"].tolist() == [0, 2, 0]
        assert result["sampled"][1] == -1
        for name in ("sampled", "logprob", "top_ids"):
            np.testing.assert_array_equal(result[name][[0, 2]], expected[name][[0, 2]])


def test_sampling_waits_for_the_gate() -> None:
    """The mask is written while the step runs; rows without one do not need the gate."""
    logits = np.float32([[5.0, 0.0, 1.0]] * 2)
    rows = LogitRows(logits, threads=2)
    rows.sample(temperature=0.0)
    masks = np.int32([1]), np.zeros((1, 1), np.uint32)
    gate = _core.MaskGate()

    def write() -> None:
        time.sleep(0.05)
        masks[1][0, 0] = 0b10
        gate.open()

    for _ in range(2):
        masks[1][0, 0] = 0
        gate.close()
        writer = threading.Thread(target=write)
        writer.start()
        rows.program.step(2, 1, 2, masks=masks, mask_gate=gate)
        writer.join()
        assert rows.program.columns["sampled"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("rows", "shape", "message"),
    [([2], (1, 2), r"mask rows\[0\] is 2"),
     ([-1], (1, 2), r"mask rows\[0\] is -1"),
     ([0, 0], (2, 2), r"mask rows\[1\] is 0, allowed: 1 to 1"),
     ([1, 0], (2, 2), r"mask rows\[1\] is 0"),
     ([0], (1, 1), "words per token mask is 1, allowed: 2 to 2"),
     ([0], (1, 3), "words per token mask is 3"),
     ([0], (2, 2), "a line for each"),
     ([0], (2,), "a line for each")],
)  # fmt: skip
def test_impossible_masks_are_refused(
    rows: list[int], shape: tuple[int, ...], message: str
) -> None:
    logits = LogitRows(np.zeros((2, 40), np.float32))
    with pytest.raises(ValueError, match=message):
        logits.sample(masks=(np.int32(rows), np.zeros(shape, np.uint32)))
