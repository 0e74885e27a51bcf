"""Everything that one server counts, and the page that shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric

from pyllm.engine.stats import EngineStats
from pyllm.outputs import RequestOutput
from pyllm.server.metrics.engine_history import EngineHistory
from pyllm.server.metrics.http_totals import EarlyPhase, HttpTotals
from pyllm.server.metrics.llama_families import llama_families
from pyllm.server.metrics.model_families import model_families
from pyllm.server.metrics.request_totals import RequestTotals
from pyllm.server.metrics.scrape import Scrape
from pyllm.server.metrics.server_families import server_families

__all__ = ["CONTENT_TYPE", "ServedModels", "ServerMetrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Of a model that the server does not know, or no longer: labels must not grow with requests.
_OTHER = "other"


class HasStats(Protocol):
    """An AsyncLLM, for example."""

    def stats(self) -> EngineStats: ...


class ServedModels(Protocol):
    """The server's registry of models, as far as it is counted."""

    def names(self) -> list[str]: ...

    def loaded(self) -> Iterable[tuple[str, HasStats, float]]:
        """(name, engine, anything) of each model that is in memory."""
        ...


class ServerMetrics:
    """Belongs to the event loop: all methods are called there, and take microseconds.

    `render` alone takes milliseconds; `page` leaves them to a thread. Metrics are this object's
    own: two servers in a process count apart.
    """

    def __init__(self, models: ServedModels) -> None:
        self._models = models
        self._engines = EngineHistory()
        self._requests: dict[str, RequestTotals] = {}
        self._http = HttpTotals()
        self.registry = CollectorRegistry()  # for what else this application wants shown
        ProcessCollector(registry=self.registry)

    # ---- what happened ----

    def request_finished(self, model_name: str, output: RequestOutput) -> None:
        """`output` is a request's last report."""
        totals = self._requests.get(model_name)
        if totals is None:
            totals = self._requests.setdefault(self._known(model_name), RequestTotals())
        totals.add(output)

    def cancelled(self, model_name: str, phase: EarlyPhase) -> None:
        """A request was given up before an engine had it; engines count what they had."""
        self._http.cancelled[self._known(model_name), phase] += 1

    def rejected(self, code: str | None) -> None:
        """An error's code; those that do not mean "come again later" are not counted."""
        self._http.rejected(code)

    def model_load_failed(self, error: BaseException) -> None:
        """Counted by the error's kind, for all models together."""
        self._http.load_failed(error)

    def model_unloaded(self, model_name: str, last: EngineStats) -> None:
        """Its engine has been shut down, and these are its last numbers."""
        self._engines.close(self._known(model_name), last)

    def answered(self, route: str, status: int) -> None:
        """An HTTP request was. route: the template of its path ("/v1/models/{name}")."""
        self._http.answered(route, status)

    def stalled(self, seconds: float) -> None:
        """A stream waited so long for its reader to take what was written."""
        self._http.stalls.add(seconds)

    # ---- the page ----

    async def page(self) -> bytes:
        """The text for `/metrics`; its few milliseconds of formatting pass on another thread."""
        return await asyncio.to_thread(self._write, self._scrape())

    def render(self) -> bytes:
        """The text for `/metrics`, of type CONTENT_TYPE."""
        return self._write(self._scrape())

    def _scrape(self) -> Scrape:
        loaded = {name: engine.stats() for name, engine, _ in self._models.loaded()}
        served = {name: name in loaded for name in self._models.names()}
        return Scrape(served, self._engines.see(loaded.items()), dict(self._requests), self._http)

    def _write(self, scrape: Scrape) -> bytes:
        return generate_latest(_Page(self.registry, scrape))

    def _known(self, model_name: str) -> str:
        return model_name if model_name in self._models.names() else _OTHER


class _Page:
    """What a CollectorRegistry is to the formatter, for one look."""

    def __init__(self, registry: CollectorRegistry, scrape: Scrape) -> None:
        self._registry = registry
        self._scrape = scrape

    def collect(self) -> Iterator[Metric]:
        yield from model_families(self._scrape)
        yield from llama_families(self._scrape)
        yield from server_families(self._scrape.http)
        yield from self._registry.collect()
