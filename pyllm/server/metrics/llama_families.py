"""llama-server's metrics: of all models together, without labels, as its readers expect them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pyllm.server.metrics.request_totals import Speed
from pyllm.server.metrics.scrape import Scrape


def llama_families(scrape: Scrape) -> Iterator[Metric]:
    """All families whose names begin with `llamacpp:`."""
    engines, requests = list(scrape.engines.values()), list(scrape.requests.values())
    reading, writing = [r.reading for r in requests], [r.writing for r in requests]
    steps = sum(s.num_steps for s in engines)
    blocks = sum(s.num_kv_blocks for s in engines)
    used = sum(s.kv_cache_usage * s.num_kv_blocks for s in engines)
    used_tokens = sum(s.kv_cache_usage * s.num_kv_blocks * s.kv_block_size for s in engines)
    counters: dict[str, tuple[str, float]] = {
        "prompt_tokens": (
            "Prompt tokens processed.",
            sum(s.num_computed_prompt_tokens for s in engines),
        ),
        "prompt_tokens_cached": (
            "Prompt tokens found in the cache.",
            sum(s.num_cached_tokens for s in engines),
        ),
        "prompt_seconds": (
            "Time that finished requests spent on their prompts.",
            sum(speed.seconds for speed in reading),
        ),
        "tokens_predicted": (
            "Tokens generated.",
            sum(s.num_generated_tokens for s in engines),
        ),
        "tokens_predicted_seconds": (
            "Time that finished requests spent generating.",
            sum(speed.seconds for speed in writing),
        ),
        "n_decode": ("Steps of the model.", steps),
        "spec_decode_num_drafts": (
            "Times that a sequence guessed ahead.",
            sum(s.num_drafts for s in engines),
        ),
        "spec_decode_num_draft_tokens": (
            "Tokens guessed.",
            sum(s.num_draft_tokens for s in engines),
        ),
        "spec_decode_num_accepted_tokens": (
            "Tokens guessed right.",
            sum(s.num_accepted_tokens for s in engines),
        ),
    }
    gauges: dict[str, tuple[str, float]] = {
        "prompt_tokens_seconds": (
            "Prompt tokens per second of the last finished requests.",
            _recent(reading),
        ),
        "predicted_tokens_seconds": (
            "Generated tokens per second of the last finished requests.",
            _recent(writing),
        ),
        "requests_processing": ("Requests in the batch.", sum(s.num_running for s in engines)),
        "requests_deferred": ("Requests that wait.", sum(s.num_waiting for s in engines)),
        "n_busy_slots_per_decode": (
            "Sequences of a step, on average.",
            sum(s.num_scheduled for s in engines) / steps if steps else 0.0,
        ),
        "kv_cache_usage_ratio": ("Share of the KV cache in use.", used / blocks if blocks else 0.0),
        "kv_cache_tokens": ("Tokens the used part of the KV cache holds.", used_tokens),
    }
    for name, (text, value) in counters.items():
        yield CounterMetricFamily(f"llamacpp:{name}", text, value=value)
    for name, (text, value) in gauges.items():
        yield GaugeMetricFamily(f"llamacpp:{name}", text, value=value)


def _recent(speeds: Iterable[Speed]) -> float:
    recent = list(chain.from_iterable(speed.recent() for speed in speeds))
    seconds = sum(seconds for _, seconds in recent)
    return sum(tokens for tokens, _ in recent) / seconds if seconds > 0 else 0.0
