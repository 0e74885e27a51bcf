"""How long an answer took, printed in the lines `ollama run --verbose` made familiar."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Timings", "duration"]


@dataclass
class Timings:
    """One answer. Durations in seconds; the prompt's ends with the first token of the answer."""

    load_s: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompt, not computed again
    prompt_s: float = 0.0
    tokens: int = 0
    eval_s: float = 0.0

    def lines(self) -> str:
        """The table, one quantity a line; a rate that was not measured is left out."""
        computed = self.prompt_tokens - self.cached_tokens
        rows = [
            ("total duration", duration(self.load_s + self.prompt_s + self.eval_s)),
            ("load duration", duration(self.load_s)),
            ("prompt eval count", f"{computed} token(s)"),
            ("prompt eval duration", duration(self.prompt_s)),
        ]
        if self.cached_tokens:
            rows.insert(2, ("prompt cached count", f"{self.cached_tokens} token(s)"))
        if self.prompt_s > 0:
            rows.append(("prompt eval rate", f"{computed / self.prompt_s:.2f} tokens/s"))
        rows += [
            ("eval count", f"{self.tokens} token(s)"),
            ("eval duration", duration(self.eval_s)),
        ]
        if self.eval_s > 0 and self.tokens > 1:
            # The first token came out of the prompt's last step, so it is not in the duration.
            rows.append(("eval rate", f"{(self.tokens - 1) / self.eval_s:.2f} tokens/s"))
        return "\n".join(f"{name + ':':<21} {value}" for name, value in rows)


def duration(seconds: float) -> str:
    """As Go prints it: 831.25µs, 12.5ms, 4.648s, 1m2.5s, 1h0m5s."""
    microseconds = round(seconds * 1e6, 3)
    if microseconds < 1000:
        return f"{microseconds:g}µs" if microseconds else "0s"
    if microseconds < 1e6:
        return f"{_trimmed(microseconds / 1e3, 6)}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{_trimmed(rest, 6)}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _trimmed(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")
