"""Recording checks shapes against the file and appends exactly one op a call."""

from __future__ import annotations

import numpy as np
import pytest

from pyllm.errors import ModelFileError
from pyllm.graph.graph import Graph, Value
from pyllm.graph.weights import Weights
from tests.support.toy_file import ToyFile


@pytest.fixture
def w() -> Weights:
    return Weights(
        ToyFile(
            {
                "table": np.zeros((11, 6), np.float32),
                "m": np.zeros((4, 6), np.float32),
                "bias4": np.zeros(4, np.float32),
                "norm6": np.zeros(6, np.float32),
                "norm3": np.zeros(3, np.float32),
                "router": np.zeros((2, 6), np.float32),
                "stack": np.zeros((2, 4, 6), np.float32),
                "back": np.zeros((2, 6, 4), np.float32),
            }
        )
    )


def test_every_call_appends_one_op_with_its_own_output(w: Weights) -> None:
    g = Graph()
    x = g.embed(w["table"], 11, 6)
    y = g.linear(g.rms_norm(x, w["norm6"], 1e-5), w["m"], 4, w["bias4"])
    rows = g.take_rows(g.silu_mul(y, y))
    assert [op.name for op in g.ops] == ["embed", "rms_norm", "linear", "silu_mul", "take_rows"]
    assert len({op.outputs for op in g.ops}) == len(g.ops)
    assert (rows.width, rows.rows) == (4, "R")


def test_a_vocabulary_of_another_size_is_refused(w: Weights) -> None:
    with pytest.raises(ModelFileError, match=r"table.*11x6.*12x6"):
        Graph().embed(w["table"], 12, 6)


def test_matrix_must_fit_input_and_output(w: Weights) -> None:
    with pytest.raises(ModelFileError, match=r"'m'.*4x6.*4x5"):
        Graph().linear(Value(0, 5), w["m"], 4)
    with pytest.raises(ModelFileError, match=r"'m'.*4x6.*3x6"):
        Graph().linear(Value(0, 6), w["m"], 3)


def test_bias_must_fit(w: Weights) -> None:
    with pytest.raises(ModelFileError, match=r"norm3.*3.*4"):
        Graph().linear(Value(0, 6), w["m"], 4, w["norm3"])


def test_norm_must_fit_row_or_group(w: Weights) -> None:
    Graph().rms_norm(Value(0, 6), w["norm3"], 1e-5, group=3)
    with pytest.raises(ModelFileError, match=r"norm3.*3.*6"):
        Graph().rms_norm(Value(0, 6), w["norm3"], 1e-5)


def test_matrix_as_norm_is_refused(w: Weights) -> None:
    with pytest.raises(ModelFileError, match="'m'"):
        Graph().rms_norm(Value(0, 6), w["m"], 1e-5)


EXPERTS = {"n_experts": 2, "n_used": 1, "n_ff": 4, "renormalise": True}


def test_experts_must_fit_input_and_counts(w: Weights) -> None:
    stacks = w["stack"], w["stack"], w["back"]
    y = Graph().moe(Value(0, 6, "R"), w["router"], *stacks, **EXPERTS)
    assert (y.width, y.rows) == (6, "R")
    for changes, message in (
        ({"n_experts": 3}, r"router.*2x6.*3x6"),
        ({"n_ff": 5}, r"stack.*2x4x6.*2x5x6"),
    ):
        with pytest.raises(ModelFileError, match=message):
            Graph().moe(Value(0, 6), w["router"], *stacks, **{**EXPERTS, **changes})
    with pytest.raises(ModelFileError, match=r"stack.*2x4x6.*2x6x4"):
        Graph().moe(Value(0, 6), w["router"], *stacks[:2], w["stack"], **EXPERTS)


def test_a_row_gate_is_a_vector_of_the_input(w: Weights) -> None:
    y = Graph().sigmoid_gate(Value(0, 6), Value(1, 9), w["norm6"])
    assert y.width == 9
    with pytest.raises(ModelFileError, match=r"norm3.*3.*6"):
        Graph().sigmoid_gate(Value(0, 6), Value(1, 9), w["norm3"])
