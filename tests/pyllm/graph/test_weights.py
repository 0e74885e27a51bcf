"""Handles to tensors: wrong, missing and left-over ones are errors that name them."""

from __future__ import annotations

import numpy as np
import pytest

from pyllm.errors import ModelFileError
from pyllm.graph.weights import Weights, constant
from tests.support.toy_file import ToyFile

VALUES = np.array([0.5, -2.0, 3.25], np.float32)
BF16, Q8_0 = 30, 8


def test_shape_is_row_major() -> None:
    w = Weights(ToyFile({"m": np.zeros((5, 3), np.float32)}))["m"]
    assert w.shape == (5, 3)
    assert w.require(5, 3) is w


def test_same_handle_for_the_same_tensor() -> None:
    w = Weights(ToyFile({"blk.1.m": VALUES}))
    assert w["blk.1.m"] is w.block(1)["m"]
    assert w.block(1).get("m") is w["blk.1.m"]


def test_missing_tensor_is_named() -> None:
    w = Weights(ToyFile({}))
    assert w.get("bias") is None
    with pytest.raises(ModelFileError, match=r"blk\.7\.attn_q\.weight.*missing"):
        w.block(7)["attn_q.weight"]


def test_transposed_tensor_is_named_with_both_shapes() -> None:
    w = Weights(ToyFile({"m": np.zeros((5, 3), np.float32)}))["m"]
    with pytest.raises(ModelFileError, match=r"'m'.*5x3.*3x5"):
        w.require(3, 5)


@pytest.mark.parametrize(
    ("stored", "ggml_type"),
    [
        (VALUES, 0),
        (VALUES.astype(np.float16), 1),
        ((VALUES.view(np.uint32) >> 16).astype(np.uint16), BF16),
    ],
    ids=["F32", "F16", "BF16"],
)
def test_vectors_become_float32(stored: np.ndarray, ggml_type: int) -> None:
    w = Weights(ToyFile({"v": stored}, {"v": ggml_type}))["v"].require_vector(3)
    assert w.vector().dtype == np.float32
    np.testing.assert_array_equal(w.vector(), VALUES)


def test_quantised_norm_is_refused() -> None:
    w = Weights(ToyFile({"v": np.zeros(34, np.uint8)}, {"v": Q8_0}))["v"]
    with pytest.raises(ModelFileError, match=r"'v': type.*8.*F32.*F16.*BF16"):
        w.require_vector(34)


def test_leftover_tensors_are_named() -> None:
    arrays = {f"blk.0.extra_{i}": VALUES for i in range(12)} | {"used": VALUES}
    w = Weights(ToyFile(arrays))
    _ = w["used"]
    with pytest.raises(ModelFileError) as e:
        w.require_all_used()
    assert all(f"extra_{i}'" in str(e.value) for i in range(8))
    assert "and 4 more" in str(e.value)
    assert "used'" not in str(e.value)


def test_use_through_a_block_counts() -> None:
    w = Weights(ToyFile({"blk.0.v": VALUES}))
    _ = w.block(0)["v"]
    w.require_all_used()


def test_a_matrix_is_packed_as_it_is() -> None:
    values = np.arange(21, dtype=np.float32).reshape(7, 3)
    rows, cols, raw = Weights(ToyFile({"m": values}))["m"].matrix()
    assert (rows, cols, bytes(raw)) == (7, 3, values.tobytes())


@pytest.mark.parametrize(("rows", "padded"), [(16, 16), (1, 16), (17, 32)])
def test_matrices_of_a_stack_start_at_whole_tiles(rows: int, padded: int) -> None:
    values = np.random.default_rng(0).normal(size=(3, rows, 5)).astype(np.float32)
    n_rows, cols, raw = Weights(ToyFile({"m": values}))["m"].matrix()
    assert (n_rows, cols) == (3 * padded, 5)
    stack = np.frombuffer(raw, np.float32).reshape(3, padded, 5)
    np.testing.assert_array_equal(stack[:, :rows], values)
    assert not stack[:, rows:].any()


def test_constant_brings_its_values() -> None:
    assert constant("inv_freq", VALUES).vector() is VALUES
