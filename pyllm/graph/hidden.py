"""The hidden states of R rows: what the head multiplies, after the final norm."""

from __future__ import annotations

from collections.abc import Sequence

from pyllm.graph.graph import Op

__all__ = ["hidden_op"]


def hidden_op(ops: Sequence[Op]) -> Op | None:
    """The op that writes them when it follows fused `ops`; None: the head does not normalise.

    It normalises the head's input in place, so it takes no memory, and may run only when the head
    is done.
    """
    head = ops[-1]
    norm = head.weights[0] if head.name == "linear" else None
    x = head.inputs[0]
    if norm is None or x.rows != "R" or len(head.inputs) > 1:
        return None
    return Op("rms_norm", (x,), (x,), (norm,), {"eps": head.attrs["eps"], "group": 0})
