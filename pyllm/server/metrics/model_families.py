"""Writes the tables of families.py down for Prometheus: a series for each model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from pyllm.engine.stats import EngineStats
from pyllm.histogram import Distribution
from pyllm.server.metrics.families import (
    NUMBERS,
    OWN,
    REQUESTS_BY_REASON,
    SPREADS,
    VLLM,
    Number,
    Numbers,
    Spread,
)
from pyllm.server.metrics.scrape import Scrape

MODEL = "model_name"


def model_families(scrape: Scrape) -> Iterator[Metric]:
    """All families with the label `model_name`, under `pyllm:` and `vllm:`."""
    engines = scrape.engines
    yield _loaded(scrape.served)
    for number in NUMBERS:
        yield from _number(number, engines)
    yield from _numbers(REQUESTS_BY_REASON, engines)
    yield _cancelled(scrape)
    for spread in SPREADS:
        yield from _spread(spread, scrape)
    yield _cache_config(engines)


def histogram(
    name: str, text: str, series: Iterable[tuple[list[str], Distribution]], labels: list[str]
) -> Metric:
    """One family of several series: (values of `labels`, distribution) each."""
    family = HistogramMetricFamily(name, text, labels=labels)
    for values, distribution in series:
        family.add_metric(values, _buckets(distribution), distribution.total)
    return family


def _buckets(distribution: Distribution) -> list[tuple[str, float]]:
    bounds = [*(str(float(bound)) for bound in distribution.bounds), "+Inf"]
    return list(zip(bounds, accumulate(distribution.counts), strict=True))


def _loaded(served: Mapping[str, bool]) -> Metric:
    family = GaugeMetricFamily(f"{OWN}model_loaded", "1 while it is in memory.", labels=[MODEL])
    for model, loaded in served.items():
        family.add_metric([model], float(loaded))
    return family


def _number(number: Number, engines: Mapping[str, EngineStats]) -> Iterator[Metric]:
    kind = CounterMetricFamily if number.kind == "counter" else GaugeMetricFamily
    for prefix in number.prefixes:
        family = kind(prefix + number.name, number.text, labels=[MODEL])
        for model, stats in engines.items():
            family.add_metric([model], number.value(stats))
        yield family


def _numbers(numbers: Numbers, engines: Mapping[str, EngineStats]) -> Iterator[Metric]:
    for prefix in numbers.prefixes:
        labels = [MODEL, numbers.label]
        family = CounterMetricFamily(prefix + numbers.name, numbers.text, labels=labels)
        for model, stats in engines.items():
            for value, count in numbers.values(stats).items():
                family.add_metric([model, value], count)
        yield family


def _cancelled(scrape: Scrape) -> Metric:
    text = "Requests that were given up, by how far they had come."
    family = CounterMetricFamily(f"{OWN}requests_cancelled", text, labels=[MODEL, "phase"])
    for (model, early), count in list(scrape.http.cancelled.items()):
        family.add_metric([model, early], count)
    for model, stats in scrape.engines.items():
        for phase, count in stats.num_cancelled.items():
            family.add_metric([model, phase], count)
    return family


def _spread(spread: Spread, scrape: Scrape) -> Iterator[Metric]:
    series: list[tuple[list[str], Distribution]] = []
    if spread.of_engine is not None:
        series = [([model], spread.of_engine(stats)) for model, stats in scrape.engines.items()]
    if spread.of_requests is not None:
        series = [([model], spread.of_requests(t)) for model, t in scrape.requests.items()]
    for prefix in spread.prefixes:
        yield histogram(prefix + spread.name, spread.text, series, [MODEL])


def _cache_config(engines: Mapping[str, EngineStats]) -> Metric:
    """What gateways that route by prefix want to know."""
    text = "The size of the KV cache; always 1."
    labels = [MODEL, "block_size", "num_gpu_blocks", "enable_prefix_caching"]
    family = GaugeMetricFamily(f"{VLLM}cache_config_info", text, labels=labels)
    for model, stats in engines.items():
        sizes = [str(stats.kv_block_size), str(stats.num_kv_blocks)]
        family.add_metric([model, *sizes, str(stats.enable_prefix_caching)], 1.0)
    return family
