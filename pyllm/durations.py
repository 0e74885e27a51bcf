"""Lengths of time as Ollama's users write them: "5m", "1h30m", "300", "-1" for ever."""

from __future__ import annotations

import re

FOR_EVER = float("inf")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)")


def read_duration(text: str) -> float:
    """Seconds; a bare number counts seconds, a negative one means for ever.

    Raises ValueError saying what is allowed.
    """
    typed = text.strip()
    if re.fullmatch(r"-\d{1,12}(\.\d{1,9})?(ms|s|m|h|d)?", typed):
        return FOR_EVER
    if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", typed):
        return float(typed)
    parts = _PART.findall(typed)
    if not parts or "".join(number + unit for number, unit in parts) != typed:
        shown = typed[:40]
        raise ValueError(f'{shown!r} is no length of time; allowed: "5m", "1h30m", "300", "-1"')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
