"""The half of the engine that any thread may call: it checks requests and makes them."""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Sequence as SequenceOf
from dataclasses import replace

from pyllm.engine.model import EngineModel
from pyllm.engine.scheduler import Scheduler
from pyllm.errors import RequestError
from pyllm.pooling.pooling import POOLING_TYPES, PoolingParams
from pyllm.pooling.request import PoolingRequest
from pyllm.request import Request, mixed
from pyllm.request_numbers import RequestNumbers
from pyllm.sampling.params import LogitsProcessor, SamplingParams
from pyllm.structured.late_compiler import late_compiler

__all__ = ["RequestMaker"]


class RequestMaker:
    """Knows the model, what is true of all requests, and which names are taken."""

    scheduler: Scheduler
    _requests: dict[str, Request]  # that were added and are not finished

    def __init__(
        self,
        model: EngineModel,
        seed: int,
        processors: tuple[LogitsProcessor, ...],
        max_logprobs: int,
    ) -> None:
        """As in Engine."""
        self.model = model
        self.seed = seed
        self.names_in_use: Container[str] = ()  # beside those of requests that were added
        self._processors = processors
        self._max_logprobs = max_logprobs
        self._columns = model.program.columns
        self._grammars = late_compiler(model.tokenizer)
        self._numbers = RequestNumbers()

    def draw_number(self, request_id: str | None = None) -> tuple[int, str]:
        """What seeds a request without a seed, and its id. Safe to call from any thread."""
        requests, others = self._requests, self.names_in_use
        return self._numbers.draw(request_id, lambda name: name in requests or name in others)

    def make_request(
        self,
        prompt: str | None,
        prompt_token_ids: SequenceOf[int],
        params: SamplingParams,
        request_id: str | None = None,
        priority: int = 0,
        cache_salt: str | None = None,
        *,
        token_healing: bool = False,
        number: int | None = None,
    ) -> Request:
        """A checked request, not yet added. Safe to call from any thread.

        priority       lower goes first and may take the place of higher; equals go by arrival
        cache_salt     cached prefixes are shared only with requests of the same salt
        token_healing  see Request
        number         that `draw_number` gave for it, with the id; None: drawn here
        Raises RequestError and ContextLengthError.
        """
        if number is None or request_id is None:
            number, request_id = self.draw_number(request_id)
        if params.prompt_logprobs is not None and not self.scheduler.max_num_scored_tokens:
            limit = "the program has no rows for it"
            raise RequestError("prompt_logprobs", params.prompt_logprobs, limit)
        if self._processors:
            processors = [*self._processors, *(params.logits_processors or ())]
            params = replace(params, logits_processors=processors)
        return Request(
            request_id,
            prompt,
            prompt_token_ids,
            params,
            tokenizer=self.model.tokenizer,
            max_model_len=self.model.max_model_len,
            default_seed=mixed(self.seed, number + 1),
            priority=priority,
            cache_salt=cache_salt,
            grammars=self._grammars,
            token_healing=token_healing,
            max_logprobs=self._max_logprobs,
        )

    def make_pooling_request(
        self,
        prompt: str | None,
        prompt_token_ids: SequenceOf[int],
        params: PoolingParams,
        request_id: str | None = None,
        priority: int = 0,
        cache_salt: str | None = None,
        *,
        number: int | None = None,
    ) -> PoolingRequest:
        """As `make_request`, of a text that is read only; it may fill the whole context."""
        if number is None or request_id is None:
            number, request_id = self.draw_number(request_id)
        if "hidden" not in self._columns:
            limit = "this model's program gives no hidden states"
            raise RequestError("pooling_type", params.pooling_type, limit)
        params.validate(self._columns["hidden"].shape[1])
        kind = params.pooling_type or self.model.pooling.type
        if kind not in POOLING_TYPES:
            limit = "gives scores, not vectors: use score(), or name a pooling_type"
            raise RequestError("pooling_type", kind, limit)
        if kind != "last" and not self.scheduler.max_num_scored_tokens:
            raise RequestError("pooling_type", kind, "the program has no rows for all tokens")
        return PoolingRequest(
            request_id,
            prompt,
            prompt_token_ids,
            kind,
            tokenizer=self.model.tokenizer,
            max_model_len=self.model.max_model_len,
            default_seed=0,  # nothing is drawn
            priority=priority,
            cache_salt=cache_salt,
            grammars=self._grammars,
        )
