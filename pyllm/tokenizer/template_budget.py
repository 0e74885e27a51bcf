"""What one rendering of a chat template may use: time, steps, call depth and memory.

A template is code from a file or a request. Every loop round, call, filter and growing operation
reports here; so no template runs longer than half a second of processor time or holds much more
than 32 MiB, however it is written.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from pyllm.byte_size import byte_size

__all__ = ["MAX_INTEGER_BITS", "MAX_OUTPUT_CHARS", "Budget", "BudgetExceeded", "BudgetedIterator"]

MAX_OUTPUT_CHARS: Final = 16 << 20
MAX_INTEGER_BITS: Final = 4096
_MAX_SECONDS = 0.5  # of this thread's processor time: waiting for other threads is no fault
_MAX_STEPS = 1_000_000
_MAX_CALL_DEPTH = 48  # about 8 Python frames each, of the usual 1000
_MAX_NESTING = 200
_MAX_BYTES = 32 << 20  # of all strings and containers made while rendering
_MAX_BYTES_EVER = 512 << 20
_STEPS_PER_CLOCK = 16  # reading the clock costs as much as some 4 steps
_BYTES_PER_STEP = 1 << 16
_ITEM_BYTES = 72  # a place in a list and a small object there
_OBJECT_BYTES = 512  # a generator, namespace, macro, …


class BudgetExceeded(Exception):
    """The template asked for more than a rendering may use."""


class Budget:
    """Counts down during one rendering; every method raises BudgetExceeded at the end of it."""

    def __init__(self, inputs: object) -> None:
        """`inputs`: the values handed to the template; large conversations may cost more."""
        self._deadline = time.thread_time() + _MAX_SECONDS
        self._steps = 0
        self._next_clock = _STEPS_PER_CLOCK
        self._call_depth = 0
        # Containers that were weighed; holding them keeps their ids from being used again.
        self._weighed: dict[int, tuple[object, int, int]] = {}
        self._max_weight = sys.maxsize
        size, _ = self._weigh(inputs)
        # Building a prompt by appending message after message copies it once per message.
        extra = 16 * size + 4 * size * len(self._weighed)
        self._bytes_left = min(_MAX_BYTES + extra, _MAX_BYTES_EVER)
        self._max_weight = MAX_OUTPUT_CHARS + 16 * size

    def step(self, count: int = 1) -> None:
        """Counts `count` steps and looks at the clock every now and then."""
        self._steps += count
        if self._steps >= self._next_clock:
            self._next_clock = self._steps + _STEPS_PER_CLOCK
            if self._steps > _MAX_STEPS:
                raise BudgetExceeded(f"it takes more than {_MAX_STEPS} steps")
            if time.thread_time() > self._deadline:
                raise BudgetExceeded(f"it takes more than {_MAX_SECONDS} seconds")

    def enter_call(self) -> None:
        self.step()
        self._call_depth += 1
        if self._call_depth > _MAX_CALL_DEPTH:
            raise BudgetExceeded(f"calls are nested more than {_MAX_CALL_DEPTH} deep")

    def leave_call(self) -> None:
        self._call_depth -= 1

    def reserve(self, size: int) -> None:
        """Asks before an operation whose result is much larger than its operands."""
        if size > self._bytes_left:
            raise BudgetExceeded(f"it needs more than {byte_size(self._bytes_left)}")

    def made(self, value: Any) -> Any:
        """Accounts for a value that an operation has made, and returns it."""
        if isinstance(value, str):
            self._charge(sys.getsizeof(value))
        elif isinstance(value, list | tuple | dict):
            self._charge(_ITEM_BYTES * (1 + len(value)))
            self.weigh(value)
        elif isinstance(value, int):
            if value.bit_length() > MAX_INTEGER_BITS:
                raise BudgetExceeded(f"an integer has more than {MAX_INTEGER_BITS} bits")
            self.step()
        elif isinstance(value, Iterator):
            self._charge(_OBJECT_BYTES)
            return BudgetedIterator(value, self)
        elif value is None or isinstance(value, float):
            self.step()
        else:
            self._charge(_OBJECT_BYTES)
        return value

    def made_pieces(self, pieces: Any) -> Any:
        """Like made(), for a list of new texts."""
        self._charge(sum(map(sys.getsizeof, pieces)))
        return self.made(pieces)

    def _charge(self, size: int) -> None:
        self.reserve(size)
        self._bytes_left -= size
        self.step(1 + size // _BYTES_PER_STEP)

    def weigh(self, value: object) -> int:
        """About how many characters the value has when written out, shared parts repeated.

        [x, x] of [y, y] of … doubles at each level; writing or comparing it takes that long.
        """
        weight, depth = self._weigh(value)
        if weight > self._max_weight:
            raise BudgetExceeded("a list or dictionary in it is too large to write out")
        if depth > _MAX_NESTING:
            raise BudgetExceeded(f"lists or dictionaries are nested more than {_MAX_NESTING} deep")
        return weight

    def forget(self) -> None:
        """Lets go of every value it has seen."""
        self._weighed.clear()

    def _weigh(self, value: object) -> tuple[int, int]:
        if isinstance(value, str):
            return len(value) + 2, 0
        if not isinstance(value, list | tuple | dict):
            return 16, 0
        known = self._weighed.get(id(value))
        if known is None:
            children = (*value.keys(), *value.values()) if isinstance(value, dict) else value
            weights = [self._weigh(child) for child in children]
            weight = 2 + sum(weight + 2 for weight, _ in weights)
            depth = 1 + max((depth for _, depth in weights), default=0)
            known = self._weighed[id(value)] = (value, weight, depth)
        return known[1:]


class BudgetedIterator:
    """An iterator each of whose rounds is a step."""

    def __init__(self, source: Iterator[Any], budget: Budget) -> None:
        self._next = source.__next__
        self._budget = budget

    def __iter__(self) -> BudgetedIterator:
        return self

    def __next__(self) -> Any:
        self._budget.step()
        item = self._next()
        # What a generator makes as it goes: pairs, batches, groups.
        return self._budget.made(item) if isinstance(item, list | tuple) else item

    def __repr__(self) -> str:
        return "<generator>"  # the default shows a memory address
