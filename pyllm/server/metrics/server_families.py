"""What concerns the server as a whole, written down for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pyllm import __version__
from pyllm.server.metrics.families import OWN
from pyllm.server.metrics.http_totals import HttpTotals
from pyllm.server.metrics.model_families import histogram


def server_families(http: HttpTotals) -> Iterator[Metric]:
    """All families without the label `model_name`, under `pyllm:`."""
    yield _requests(http)
    yield _by_reason(
        "admission_rejections", "Requests that were told to come again later.", http.rejections
    )
    yield _by_reason(
        "model_load_failures", "Models that could not be loaded, by why.", http.load_failures
    )
    yield histogram(
        f"{OWN}stream_stall_seconds",
        "Writes of a stream that had to wait for its reader.",
        [([], http.stalls.snapshot())],
        [],
    )
    info = GaugeMetricFamily(f"{OWN}build_info", "The program; always 1.", labels=["version"])
    info.add_metric([__version__], 1.0)
    yield info


def _requests(http: HttpTotals) -> Metric:
    text = "HTTP requests that were answered, by route and status."
    family = CounterMetricFamily(f"{OWN}http_requests", text, labels=["route", "status"])
    for (route, status), count in list(http.requests.items()):
        family.add_metric([route, str(status)], count)
    return family


def _by_reason(name: str, text: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(OWN + name, text, labels=["reason"])
    for reason, count in counts.items():
        family.add_metric([reason], count)
    return family
