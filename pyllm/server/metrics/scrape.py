"""One look at everything that is counted, from which a page is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyllm.engine.stats import EngineStats
from pyllm.server.metrics.http_totals import HttpTotals
from pyllm.server.metrics.request_totals import RequestTotals


@dataclass(frozen=True)
class Scrape:
    """
    served    model: whether it is loaded
    engines   of the models that were ever loaded
    requests  of the models that were ever asked
    """

    served: Mapping[str, bool]
    engines: Mapping[str, EngineStats]
    requests: Mapping[str, RequestTotals]
    http: HttpTotals
