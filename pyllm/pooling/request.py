"""A text that is read and not continued: scheduled like any prompt, reported as one vector."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyllm.continuation import Continuation
from pyllm.errors import ContextLengthError, RequestError
from pyllm.outputs import RequestOutput
from pyllm.pooling.pooling import Floats, Pooler
from pyllm.request import Request
from pyllm.sampling.params import RequestOutputKind, SamplingParams

if TYPE_CHECKING:
    from pyllm.engine.sequence import Sequence

__all__ = ["PooledOutput", "Pooling", "PoolingRequest"]


@dataclass(slots=True)
class PooledOutput(RequestOutput):
    """The report of a text that was read; `outputs[0]` has no text but says how it ended."""

    pooled: Floats | None = None  # as Pooler.result gives it; None when the request failed


class Pooling(Continuation):
    """A continuation of no tokens: the states of its prompt are gathered."""

    def __init__(self, request: Request, sequence: Sequence, kind: str) -> None:
        sequence.max_length = sequence.num_prompt_tokens  # nobody need guess what would follow
        super().__init__(request, 0, sequence, sequence.max_length, None)
        self.pooler = Pooler(kind, sequence.num_prompt_tokens)
        sequence.reads_hidden = True
        sequence.next_scored = 0 if self.pooler.wants_all else sequence.num_prompt_tokens

    def add_states(self, states: npt.NDArray[np.float32]) -> None:
        """Take those of the next tokens, [n, width]; may set `finish_reason`."""
        if not np.isfinite(states).all():
            self.fail("nonfinite_hidden_states")
            return
        self.pooler.add(states)
        if self.pooler.is_complete:
            self.finish_reason = "stop"
        else:
            self.sequence.next_scored += len(states)


class PoolingRequest(Request):
    """Raises RequestError and ContextLengthError on construction; `kind` is of POOLING_TYPES."""

    def __init__(
        self,
        request_id: str,
        prompt: str | None,
        prompt_token_ids: SequenceOf[int],
        kind: str,
        **options: Any,
    ) -> None:
        """`options` are those of Request."""
        self._kind = kind
        params = SamplingParams(detokenize=False, output_kind=RequestOutputKind.FINAL_ONLY)
        super().__init__(request_id, prompt, prompt_token_ids, params, **options)

    def _check_length(self, num_tokens: int, max_model_len: int) -> None:
        if num_tokens == 0 or self.prompt == "":
            raise RequestError("prompt", self.prompt, "is empty; there is nothing to read")
        if num_tokens > max_model_len:
            raise ContextLengthError(num_tokens, max_model_len)

    def _continuation(self, *arguments: Any) -> Continuation:
        return Pooling(self, super()._continuation(*arguments).sequence, self._kind)

    def _output(self, changed: list[Continuation], finished: bool) -> PooledOutput:
        (pooling,) = changed
        assert isinstance(pooling, Pooling)
        return PooledOutput(
            self.request_id,
            self.prompt,
            self.prompt_token_ids,
            [pooling.snapshot()],
            finished,
            self._metrics,
            num_cached_tokens=pooling.sequence.num_cached_tokens or 0,
            pooled=pooling.pooler.result() if pooling.finish_reason == "stop" else None,
        )
