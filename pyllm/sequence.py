"""One continuation being written: its tokens, how far they are computed, where its KV lies."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyllm.dry import DryHistory
from pyllm.history import TokenHistory
from pyllm.sampling import LogitsProcessor, SamplingParams
from pyllm.token_bias import TokenBias
from pyllm.token_mask import TokenFollower, TokenMask

NOTHING_TO_SCORE = 2**62  # a position no prompt reaches


@dataclass(slots=True, eq=False)
class Sequence:
    """What scheduler, KV cache and batch know of a continuation (identity is equality).

    Invariants: num_computed_tokens < len(tokens) while unfinished; the last token of `tokens` is
    never computed before it is scheduled; block_table covers every computed token.
    """

    # filled by the request, constant
    request_id: str
    params: SamplingParams
    seed: int  # 64 bits; with the token's position the only source of randomness
    num_prompt_tokens: int
    stop_ids: frozenset[int]  # tokens that end it: end-of-generation ids and stop_token_ids
    history: TokenHistory | None  # None without penalties
    bias: TokenBias | None  # None without logit_bias and min_tokens

    # filled by the engine
    tokens: list[int]  # prompt, then output

    mask: TokenMask | None = None  # None: every token may follow
    followers: tuple[TokenFollower, ...] = ()  # masks that are told every token

    # filled by the request, constant
    sampler_order: int = 0  # see sampler_order.py
    dry: DryHistory | None = None  # None without DRY
    processors: tuple[LogitsProcessor, ...] = ()

    # filled by the engine
    mirostat_mu: float = 0.0  # bits; the state of mirostat
    next_scored: int = NOTHING_TO_SCORE  # first prompt position whose log-probability is wanted

    # filled by the scheduler
    num_computed_tokens: int = 0  # tokens whose K and V are in the cache
    num_scheduled_tokens: int = 0  # tokens of this step, 0 when it is not in the step
    num_preemptions: int = 0
    first_scheduled_time: float | None = None  # seconds, time.perf_counter()

    # filled by the KV cache
    block_table: list[int] = field(default_factory=list)  # block of positions [i * size, ...)

    @property
    def num_pending_tokens(self) -> int:
        """Tokens known but not computed: 1 while decoding, more while prefilling."""
        return len(self.tokens) - self.num_computed_tokens

    @property
    def num_output_tokens(self) -> int:
        return len(self.tokens) - self.num_prompt_tokens

    @property
    def must_not_stop(self) -> bool:
        """Fewer than `min_tokens` tokens so far."""
        return len(self.tokens) - self.num_prompt_tokens < self.params.min_tokens
