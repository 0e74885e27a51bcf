"""How long a busy server asks us to wait."""

from __future__ import annotations

import math
import re
import time

__all__ = ["retry_after_s"]


def retry_after_s(header: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for (a number or a date), None for no usable one."""
    if header is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", header.strip(), re.ASCII):
        return float(header)
    from email.utils import parsedate_to_datetime

    try:
        at_s = parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError):
        return None
    return float(max(0, math.ceil(at_s - time.time())))
