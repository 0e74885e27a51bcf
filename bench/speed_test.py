"""One thing to time, named as llama-bench names it."""

from __future__ import annotations

import re
from typing import NamedTuple, Self


class SpeedTest(NamedTuple):
    """ "pp512": a prompt of 512 tokens; "tg128@d4096": 128 tokens one by one after 4096 others."""

    kind: str  # "pp" or "tg"
    n: int
    depth: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError when it is no such name."""
        match = re.fullmatch(r"(pp|tg)(\d+)(?:@d(\d+))?", text)
        if match is None:
            raise ValueError(f"{text!r} is not a test; write pp512, tg128 or tg32@d4096")
        return cls(match[1], int(match[2]), int(match[3] or 0))

    def __str__(self) -> str:
        return f"{self.kind}{self.n}" + (f"@d{self.depth}" if self.depth else "")
