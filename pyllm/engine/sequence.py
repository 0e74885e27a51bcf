"""One continuation being written: its tokens, how far they are computed, where its KV lies."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyllm.sampling.dry import DryHistory
from pyllm.sampling.history import TokenHistory
from pyllm.sampling.params import SamplingParams
from pyllm.sampling.processor_forms import Processor
from pyllm.sampling.token_bias import TokenBias
from pyllm.sampling.token_mask import TokenFollower, TokenMask

if TYPE_CHECKING:
    from pyllm.kv.prefix_cache import CachedBlock
    from pyllm.speculation.outlook import Outlook
    from pyllm.structured.grammar_state import GrammarState

NOTHING_TO_SCORE = 2**62  # a position no prompt reaches


@dataclass(slots=True, eq=False)
class Sequence:
    """What scheduler, KV cache and batch know of a continuation (identity is equality).

    Invariants: num_computed_tokens < len(tokens) while unfinished; the last token of `tokens` is
    never computed before it is scheduled; block_table covers every computed token that is not
    behind the window.
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

    priority: int = 0  # lower goes first
    mask: TokenMask | None = None  # None: every token may follow
    grammar: GrammarState | None = None  # limits the tokens too, by those before
    followers: tuple[TokenFollower, ...] = ()  # parts of the mask that are told every token

    # filled by the request, constant, with a default
    max_length: int = 2**31 - 1  # tokens, prompt and output together
    arrival_time: float = 0.0  # seconds, time.perf_counter()
    sampler_order: int = 0  # see sampler_order.py
    dry: DryHistory | None = None  # None without DRY
    processors: tuple[Processor, ...] = ()

    # filled by the engine
    last_token_time: float | None = None  # seconds, time.perf_counter(); see TokenGaps
    mirostat_mu: float = 0.0  # bits; the state of mirostat
    next_scored: int = NOTHING_TO_SCORE  # first prompt position whose log-probability is wanted
    reads_hidden: bool = False  # it samples nothing; the states from `next_scored` on are wanted

    # filled by the scheduler
    rank: tuple[int, int] = (0, 0)  # priority, number of arrival: unique, lower goes first
    num_computed_tokens: int = 0  # tokens whose K and V are in the cache
    num_scheduled_tokens: int = 0  # tokens of this step, 0 when it is not in the step
    num_preemptions: int = 0
    first_scheduled_time: float | None = None  # seconds, time.perf_counter()

    # filled by the KV cache
    block_table: list[int] = field(default_factory=list)  # block of positions [i * size, ...)
    num_released_blocks: int = 0  # of the table, from its start: behind the window, not its own
    cached_blocks: list[CachedBlock] = field(default_factory=list)  # the first of them, shared
    block_keys: list[bytes] = field(default_factory=list)  # tokens of full blocks, to find them by
    settle_at: int = sys.maxsize  # computed tokens at which the next block is full
    num_cached_tokens: int | None = None  # found when first admitted; None before

    # filled by the request, constant
    cache_salt: str | None = None  # only sequences with the same salt share blocks

    # filled by speculation
    draft: list[int] = field(default_factory=list)  # guessed successors of `tokens`, in this step
    outlook: Outlook | None = None  # what its drafts were worth so far
    num_draft_tokens: int = 0
    num_accepted_tokens: int = 0  # drafted tokens that became output

    @property
    def can_speculate(self) -> bool:
        """Whether its next tokens may be sampled in one step.

        That takes sampling which reads nothing but the tokens before: no state that a sampler
        keeps from token to token (mirostat), and nothing that Python computes between two tokens
        (grammars, followers, logits processors, DRY, bad words of several tokens). Penalties, in a
        window or not, biases, min_tokens and allowed_token_ids can look ahead.
        """
        return not (
            self.grammar is not None
            or self.dry is not None
            or self.followers
            or self.processors
            or self.params.mirostat
            or (self.bias is not None and self.bias.looks_back)
        )

    @property
    def is_scored(self) -> bool:
        """Log-probabilities or states of tokens of its prompt are still to come.

        None of that prompt may come from the prefix cache, which holds neither.
        """
        return self.next_scored < self.num_prompt_tokens

    @property
    def num_pending_tokens(self) -> int:
        """Tokens known but not computed: 1 while decoding, more while prefilling."""
        return len(self.tokens) - self.num_computed_tokens

    @property
    def num_output_tokens(self) -> int:
        return len(self.tokens) - self.num_prompt_tokens

    @property
    def is_masked(self) -> bool:
        """Some token may be forbidden, so that nobody may guess tokens without asking."""
        return self.mask is not None or self.grammar is not None

    @property
    def must_not_stop(self) -> bool:
        """Fewer than `min_tokens` tokens so far."""
        return len(self.tokens) - self.num_prompt_tokens < self.params.min_tokens

    def forget_blocks(self) -> None:
        """Begin again: nothing is computed. Whose the blocks are is for the KV cache to say."""
        self.cached_blocks = []
        self.block_table = []  # a new list: readers compare tables by identity
        self.num_released_blocks = 0
        self.num_computed_tokens = 0
