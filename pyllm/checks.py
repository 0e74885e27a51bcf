"""Argument checks that every door shares."""

from __future__ import annotations

import numbers

from pyllm.errors import RequestError


def check_flag(field: str, value: object) -> None:
    """Raises RequestError unless `value` is true or false."""
    if value not in (True, False):
        raise RequestError(field, value, "must be True or False")


def check_integer(field: str, value: object, low: int, high: int) -> None:
    """Raises RequestError unless `value` is an integer (no bool) of [low, high]."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise RequestError(field, value, "must be an integer")
    if not low <= int(value) <= high:
        raise RequestError(field, int(value), f"must be at least {low} and at most {high}")
