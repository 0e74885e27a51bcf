"""Who writes and who reads each value."""

from __future__ import annotations

from pyllm.graph.dataflow import read_counts, writers
from pyllm.graph.graph import Op, Value

X, Y, Z = Value(0, 4), Value(1, 4), Value(2, 4)
EMBED = Op("embed", (), (X,))
SPLIT = Op("linear", (X,), (Y, Z))
SUM = Op("add", (Y, Y), (Value(3, 4),))


def test_writers() -> None:
    assert writers([EMBED, SPLIT]) == {X: EMBED, Y: SPLIT, Z: SPLIT}
    assert writers([EMBED, SPLIT], "embed") == {X: EMBED}


def test_the_last_value_is_read_by_the_caller() -> None:
    counts = read_counts([EMBED, SPLIT, SUM])
    assert (counts[X], counts[Y], counts[Z], counts[Value(3, 4)]) == (1, 2, 0, 1)
