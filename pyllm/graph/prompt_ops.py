"""The ops that leave keys and values: all that reading a prompt takes, but for its last token."""

from __future__ import annotations

from collections.abc import Sequence

from pyllm.graph.graph import Op

__all__ = ["prompt_ops"]


def prompt_ops(ops: Sequence[Op]) -> list[Op]:
    """`ops` up to the last attention, which stores the keys and values of the last layer."""
    last = max(i for i, op in enumerate(ops) if op.name == "attention")
    return list(ops[: last + 1])
