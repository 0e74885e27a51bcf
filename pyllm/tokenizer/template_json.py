"""The template filter `tojson`: JSON as models saw it in training, not escaped for HTML."""

from __future__ import annotations

import json
from typing import Any, Final

from pyllm.tokenizer.template_budget import Budget, BudgetExceeded

__all__ = ["JsonFilter"]

_MAX_INDENT: Final = 16  # characters of indentation per level, and of a separator


class JsonFilter:
    """Writes piece by piece, so that it stops where the budget ends."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def __call__(
        self,
        value: Any,
        ensure_ascii: bool = False,
        indent: int | str | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        for part in (indent, *(separators or ())):
            if (len(part) if isinstance(part, str) else part or 0) > _MAX_INDENT:
                raise BudgetExceeded(f"tojson indents or separates by more than {_MAX_INDENT}")
        self._budget.weigh(value)
        encoder = json.JSONEncoder(
            ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )
        parts = []
        for part in encoder.iterencode(value):
            self._budget.made(part)
            parts.append(part)
        return "".join(parts)
