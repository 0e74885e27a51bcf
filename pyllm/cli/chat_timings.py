"""How long a server's answer took, as seen from this side, and the tokens that it counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyllm.cli.chat_chunks import Usage
from pyllm.cli.timings import duration

__all__ = ["ChatTimings"]


@dataclass
class ChatTimings:
    """One answer. Durations in seconds; the first token is the first text, reasoning or not."""

    first_token_s: float = 0.0
    total_s: float = 0.0
    usage: Usage = field(default_factory=Usage)

    def lines(self) -> str:
        """The table, one quantity a line; what was not measured or told is left out."""
        rows = [
            ("total duration", duration(self.total_s)),
            ("time to first token", duration(self.first_token_s)),
        ]
        counts = zip(
            ("prompt tokens", "cached of them", "completion tokens", "reasoning of them"),
            self.usage,
            strict=True,
        )
        rows += [(name, str(count)) for name, count in counts if count is not None]
        tokens, writing_s = self.usage.completion, self.total_s - self.first_token_s
        if tokens is not None and tokens > 1 and writing_s > 0:
            # The first token came with the prompt, so it is not in the duration.
            rows.append(("generation rate", f"{(tokens - 1) / writing_s:.2f} tokens/s"))
        if tokens is None:
            rows.append(("tokens", "not told by the server"))
        return "\n".join(f"{name + ':':<21} {value}" for name, value in rows)
