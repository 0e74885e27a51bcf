"""What an engine does and has done, as numbers: see `LLM.stats`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pyllm.histogram import Distribution
from pyllm.outputs import FinishReason

CancelPhase = Literal["queue", "prefill", "decode"]


@dataclass(frozen=True, slots=True)
class EngineStats:
    """One moment of an engine. Totals count from its start and never fall.

    The engine's thread writes the numbers while another reads them, without locks: they may belong
    to two steps that follow each other. A request for n continuations counts n times in num_running
    and num_waiting, in numbers of tokens and in times to a first token.

    num_running                 sequences in the batch
    num_waiting                 that wait for their first step, or to go on after a preemption
    kv_cache_usage              share of the KV blocks that sequences hold, 0 to 1; blocks that are
                                only cached count as free
    num_kv_blocks               of `kv_block_size` tokens each
    enable_prefix_caching       as it was chosen at the start

    num_steps                   that ran to their end
    busy_seconds                that the model computed for
    num_scheduled               sequences of all steps; over num_steps: how full the batch was
    num_preemptions             sequences that lost their blocks to others
    num_prompt_tokens           of prompts that were begun, cached tokens included
    num_cached_tokens           of those, found in the prefix cache
    num_computed_prompt_tokens  computed in steps that read prompts, those read again included
    num_generated_tokens        sampled, or written by a grammar
    num_drafts                  times that a sequence guessed ahead
    num_draft_tokens            guessed
    num_accepted_tokens         guessed right
    num_finished                requests by why they ended; of n continuations "abort" and "error"
                                are named first
    num_cancelled               requests that were aborted, by what they were doing
    num_corrupted               requests whose logits held NaN or infinity
    step_tokens                 tokens computed in a step
    first_token_seconds         from a request's arrival to its first token
    next_token_seconds          between tokens of a stream; those of one step count once
    """

    num_running: int
    num_waiting: int
    kv_cache_usage: float
    num_kv_blocks: int
    kv_block_size: int
    enable_prefix_caching: bool

    num_steps: int
    busy_seconds: float
    num_scheduled: int
    num_preemptions: int
    num_prompt_tokens: int
    num_cached_tokens: int
    num_computed_prompt_tokens: int
    num_generated_tokens: int
    num_drafts: int
    num_draft_tokens: int
    num_accepted_tokens: int
    num_finished: Mapping[FinishReason, int]
    num_cancelled: Mapping[CancelPhase, int]
    num_corrupted: int
    step_tokens: Distribution
    first_token_seconds: Distribution
    next_token_seconds: Distribution
