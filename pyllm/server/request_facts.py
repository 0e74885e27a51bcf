"""What a request turned out to be, gathered while it is answered, for its line in the log."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from pyllm.outputs import RequestOutput

__all__ = ["RequestFacts", "current_facts", "note_failed", "note_finished"]


@dataclass(slots=True)
class RequestFacts:
    """Sums over the prompts of one HTTP request; None: it did not come to that.

    model          the server's name of it, never the client's word
    finish_reason  of the first continuation that ended; an error or an abort goes before others
    error          the code of the error that the client was told
    """

    model: str | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    queue_s: float | None = None
    first_token_s: float | None = None
    finish_reason: str | None = None
    error: str | None = None

    def add(self, model: str, output: RequestOutput) -> None:
        """One prompt's last report."""
        self.model = model
        self.prompt_tokens = (self.prompt_tokens or 0) + len(output.prompt_token_ids)
        self.cached_tokens = (self.cached_tokens or 0) + output.num_cached_tokens
        for part in output.outputs:
            if self.finish_reason is None or part.finish_reason in ("error", "abort"):
                self.finish_reason = part.finish_reason
        metrics = output.metrics
        if metrics is None:
            return
        self.completion_tokens = (self.completion_tokens or 0) + metrics.num_output_tokens
        if metrics.first_scheduled_time is not None:
            queue_s = metrics.first_scheduled_time - metrics.arrival_time
            self.queue_s = max(self.queue_s or 0.0, queue_s)
        if metrics.first_token_time is not None:
            first_token_s = metrics.first_token_time - metrics.arrival_time
            self.first_token_s = min(self.first_token_s or first_token_s, first_token_s)


# Of the request that the running task, or the one that started it, works on.
current_facts: ContextVar[RequestFacts | None] = ContextVar("current_facts", default=None)


def note_failed(code: str | None) -> None:
    """The current HTTP request ends with an error: its whole answer, or the end of its stream."""
    facts = current_facts.get()
    if facts is not None:
        facts.error = code


def note_finished(model: str, output: RequestOutput) -> None:
    """A prompt of the current HTTP request has been answered."""
    facts = current_facts.get()
    if facts is not None:
        facts.add(model, output)
