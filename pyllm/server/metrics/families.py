"""Every metric that there is of a model, as data: its name, what it says, where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pyllm.engine.stats import EngineStats
from pyllm.histogram import Distribution
from pyllm.outputs import FinishReason
from pyllm.server.metrics.request_totals import RequestTotals

VLLM, OWN = "vllm:", "pyllm:"
BOTH = (OWN, VLLM)


@dataclass(frozen=True, slots=True)
class Number:
    """A gauge or a counter of each model; `_total` is added to a counter's name.

    prefixes  under which it appears
    """

    kind: Literal["gauge", "counter"]
    name: str
    text: str
    value: Callable[[EngineStats], float]
    prefixes: tuple[str, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Numbers:
    """A counter of each model for each value of a label, which are few."""

    name: str
    text: str
    label: str
    values: Callable[[EngineStats], Mapping[FinishReason, int]]
    prefixes: tuple[str, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Spread:
    """A histogram of each model, from its engine or from the requests that have finished."""

    name: str
    text: str
    of_engine: Callable[[EngineStats], Distribution] | None = None
    of_requests: Callable[[RequestTotals], Distribution] | None = None
    prefixes: tuple[str, ...] = BOTH


NUMBERS = (
    Number("gauge", "num_requests_running", "Sequences in the batch.", lambda s: s.num_running),
    Number(
        "gauge",
        "num_requests_waiting",
        "Sequences that wait for their first step, or to go on after a preemption.",
        lambda s: s.num_waiting,
    ),
    Number(
        "gauge",
        "kv_cache_usage_perc",
        "Share of the KV cache that sequences hold, 0 to 1.",
        lambda s: s.kv_cache_usage,
    ),
    Number(
        "gauge",
        "gpu_cache_usage_perc",
        "The same as vllm:kv_cache_usage_perc, under its older name.",
        lambda s: s.kv_cache_usage,
        (VLLM,),
    ),
    Number(
        "counter",
        "num_preemptions",
        "Sequences that lost their blocks to others and were computed again.",
        lambda s: s.num_preemptions,
    ),
    Number(
        "counter",
        "prompt_tokens",
        "Tokens of prompts that were begun, cached ones included.",
        lambda s: s.num_prompt_tokens,
    ),
    Number(
        "counter",
        "prompt_tokens_cached",
        "Tokens of prompts that were found in the prefix cache.",
        lambda s: s.num_cached_tokens,
    ),
    Number(
        "counter",
        "prompt_tokens_computed",
        "Tokens computed in steps that read prompts, those read again included.",
        lambda s: s.num_computed_prompt_tokens,
        (OWN,),
    ),
    Number(
        "counter",
        "generation_tokens",
        "Tokens that were generated.",
        lambda s: s.num_generated_tokens,
    ),
    Number(
        "counter",
        "prefix_cache_queries",
        "Tokens of prompts that were looked up in the prefix cache.",
        lambda s: s.num_prompt_tokens if s.enable_prefix_caching else 0,
    ),
    Number(
        "counter",
        "prefix_cache_hits",
        "Tokens of prompts that the prefix cache held.",
        lambda s: s.num_cached_tokens,
    ),
    Number(
        "counter",
        "corrupted_requests",
        "Requests whose logits held NaN or infinity.",
        lambda s: s.num_corrupted,
    ),
    Number(
        "counter",
        "spec_decode_num_drafts",
        "Times that a sequence guessed tokens ahead.",
        lambda s: s.num_drafts,
    ),
    Number(
        "counter",
        "spec_decode_num_draft_tokens",
        "Tokens that were guessed.",
        lambda s: s.num_draft_tokens,
    ),
    Number(
        "counter",
        "spec_decode_num_accepted_tokens",
        "Tokens that were guessed right.",
        lambda s: s.num_accepted_tokens,
    ),
    Number("counter", "engine_steps", "Steps of the model.", lambda s: s.num_steps, (OWN,)),
    Number(
        "counter",
        "engine_busy_seconds",
        "Seconds that the model computed for.",
        lambda s: s.busy_seconds,
        (OWN,),
    ),
)

REQUESTS_BY_REASON = Numbers(
    "request_success",
    "Requests that ended, by why.",
    "finished_reason",
    lambda s: s.num_finished,
)

SPREADS = (
    Spread(
        "time_to_first_token_seconds",
        "From a request's arrival to its first token.",
        of_engine=lambda s: s.first_token_seconds,
    ),
    Spread(
        "inter_token_latency_seconds",
        "Between a stream's tokens; those of one step count once.",
        of_engine=lambda s: s.next_token_seconds,
    ),
    Spread(
        "time_per_output_token_seconds",
        "The same as vllm:inter_token_latency_seconds, under its older name.",
        of_engine=lambda s: s.next_token_seconds,
        prefixes=(VLLM,),
    ),
    Spread(
        "iteration_tokens_total",
        "Tokens computed in a step.",
        of_engine=lambda s: s.step_tokens,
    ),
    Spread(
        "request_time_per_output_token_seconds",
        "Time per token behind the first, averaged over a request.",
        of_requests=lambda r: r.per_token.snapshot(),
    ),
    Spread(
        "e2e_request_latency_seconds",
        "From a request's arrival to its end.",
        of_requests=lambda r: r.e2e.snapshot(),
    ),
    Spread(
        "request_queue_time_seconds",
        "From a request's arrival to its first step.",
        of_requests=lambda r: r.queue.snapshot(),
    ),
    Spread(
        "request_prefill_time_seconds",
        "From a request's first step to its first token.",
        of_requests=lambda r: r.prefill.snapshot(),
    ),
    Spread(
        "request_decode_time_seconds",
        "From a request's first token to its last.",
        of_requests=lambda r: r.decode.snapshot(),
    ),
    Spread(
        "request_inference_time_seconds",
        "From a request's first step to its last token.",
        of_requests=lambda r: r.inference.snapshot(),
    ),
    Spread(
        "request_prompt_tokens",
        "Tokens of a request's prompt.",
        of_requests=lambda r: r.prompt_tokens.snapshot(),
    ),
    Spread(
        "request_generation_tokens",
        "Tokens that a request generated.",
        of_requests=lambda r: r.generation_tokens.snapshot(),
    ),
)
