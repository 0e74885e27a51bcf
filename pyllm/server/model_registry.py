"""The models of one server: loaded on first use, unloaded when idle, within a memory budget."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from pyllm.async_llm import AsyncLLM
from pyllm.engine.stats import EngineStats
from pyllm.errors import MemoryBudgetError, PyLLMError
from pyllm.machine.memory import available_memory
from pyllm.server.errors import ApiError, model_not_found
from pyllm.server.loaded_model import LoadedModel
from pyllm.server.model_card import ModelCard, read_card
from pyllm.server.settings import ModelSource, ServerSettings

_log = logging.getLogger(__name__)

FOR_EVER = float("inf")
# Beside the file: packed copies of small tensors, columns, Python (measured: 1.1 x the file).
_BYTES_PER_FILE_BYTE = 1.1

Loader = Callable[[ModelSource, Mapping[str, Any]], AsyncLLM]


def load(source: ModelSource, engine: Mapping[str, Any]) -> AsyncLLM:
    return AsyncLLM(source.path, **engine)


@dataclass
class _Entry:
    source: ModelSource
    lock: asyncio.Lock
    loaded: LoadedModel | None = None
    users: int = 0
    keep_alive: float = FOR_EVER  # seconds, as its last user wished
    last_used: float = 0.0  # time.monotonic()
    timer: asyncio.TimerHandle | None = None
    card: ModelCard | None = None

    @property
    def expires_in(self) -> float:
        """Seconds until it is unloaded, if nobody uses it."""
        if self.users or self.keep_alive == FOR_EVER:
            return FOR_EVER
        return max(0.0, self.last_used + self.keep_alive - time.monotonic())


class Lease:
    """A model that stays loaded until `release`, which may be called again."""

    def __init__(self, registry: ModelRegistry, entry: _Entry, loaded: LoadedModel) -> None:
        self.model = loaded
        self.name = entry.source.name
        self.load_seconds = 0.0  # that this request waited for the model
        self._registry = registry
        self._entry: _Entry | None = entry

    @property
    def llm(self) -> AsyncLLM:
        return self.model.llm

    @property
    def card(self) -> ModelCard:
        return self.model.card

    def release(self) -> None:
        """The model may be unloaded again; may be repeated."""
        if self._entry is not None:
            self._registry.returned(self._entry)
            self._entry = None


class Watcher(Protocol):
    """Is told what becomes of models, for the metrics."""

    def model_load_failed(self, error: BaseException) -> None: ...

    def model_unloaded(self, model_name: str, last: EngineStats) -> None: ...

    def cancelled(self, model_name: str, phase: Literal["load"]) -> None: ...


class ModelRegistry:
    """Belongs to one event loop: all methods are called on it.

    loader  makes the model; it runs on another thread
    """

    def __init__(self, settings: ServerSettings, loader: Loader = load) -> None:
        self._settings = settings
        self._load = loader
        self.watcher: Watcher | None = None
        self._entries: dict[str, _Entry] = {}
        self._names: dict[str, _Entry] = {}
        self._room = asyncio.Lock()  # one load at a time: each looks at the memory that is free
        self.closed = False
        self.has_loaded = False  # any of them, at any time
        for source in settings.models:
            entry = _Entry(source, asyncio.Lock(), keep_alive=self._keep_alive(None))
            self._entries[source.name] = entry
            for name in (source.name, *source.aliases):
                self._names.setdefault(name, entry)

    def names(self) -> list[str]:
        return list(self._entries)

    def aliases(self, name: str) -> list[str]:
        """All names of a model, its own first."""
        entry = self._entry(name)
        return [entry.source.name, *entry.source.aliases]

    def loaded(self) -> Iterator[tuple[str, AsyncLLM, float]]:
        """Name, model and the seconds until it is unloaded."""
        for name, entry in self._entries.items():
            if entry.loaded is not None:
                yield name, entry.loaded.llm, entry.expires_in

    def is_loaded(self, name: str) -> bool:
        """ApiError for unknown names."""
        return self._entry(name).loaded is not None

    def knows(self, name: str) -> bool:
        return self._lookup(name) is not None

    async def card(self, name: str) -> ModelCard:
        """What the file says of itself. ApiError for unknown names and unreadable files."""
        entry = self._entry(name)
        if entry.card is None:
            entry.card = await asyncio.to_thread(read_card, entry.source)
        return entry.card

    async def lease(self, name: str | None, keep_alive: float | None = None) -> Lease:
        """The model by this name, loaded now if need be; None: the first.

        keep_alive  seconds it stays loaded after this use; None: as the server was started
        Raises ApiError and what AsyncLLM raises.
        """
        entry = self._entry(name)
        entry.users += 1  # so that nobody unloads it meanwhile
        began = time.monotonic()
        try:
            card = await self.card(entry.source.name)
            async with entry.lock:
                if self.closed:
                    raise ApiError(503, "the server is shutting down", "shutting_down")
                waited = entry.loaded is None
                loaded = entry.loaded or await self._loaded(entry, card)
        except BaseException as error:
            entry.users -= 1
            self._watch_failure(entry, error)
            raise
        entry.keep_alive = self._keep_alive(keep_alive)
        lease = Lease(self, entry, loaded)
        if waited:
            lease.load_seconds = time.monotonic() - began
        return lease

    def returned(self, entry: _Entry) -> None:
        """A user is done with it."""
        entry.users -= 1
        entry.last_used = time.monotonic()
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        if entry.users == 0 and entry.keep_alive != FOR_EVER and not self.closed:
            loop = asyncio.get_running_loop()
            unload = partial(self._expired, entry)
            entry.timer = loop.call_later(entry.keep_alive, unload)

    async def close(self) -> None:
        """Unload everything; requests in flight end with an error."""
        self.closed = True
        for entry in self._entries.values():
            await self._unload(entry)

    def _lookup(self, name: str) -> _Entry | None:
        # Ollama's clients add a tag to every name.
        return self._names.get(name) or self._names.get(name.removesuffix(":latest"))

    def _entry(self, name: str | None) -> _Entry:
        if not name:
            return next(iter(self._entries.values()))
        entry = self._lookup(name)
        if entry is None:
            raise model_not_found(name, self.names())
        return entry

    def _keep_alive(self, wished: float | None) -> float:
        if wished is None:
            wished = self._settings.keep_alive
        return FOR_EVER if wished is None or wished < 0 else wished

    async def _loaded(self, entry: _Entry, card: ModelCard) -> LoadedModel:
        async with self._room:
            await self._make_room(entry, card)
            began = time.monotonic()
            engine = self._settings.engine
            llm = await asyncio.to_thread(self._load, entry.source, engine)
            entry.loaded = loaded = LoadedModel(llm, card)
            self.has_loaded = True
        _log.info("loaded %s in %.2f s", entry.source.name, time.monotonic() - began)
        return loaded

    async def _make_room(self, wanted: _Entry, card: ModelCard) -> None:
        """Unload idle models, longest unused first, until `wanted` fits."""
        needed = int(card.file_bytes * _BYTES_PER_FILE_BYTE)
        while needed > (free := self._free_bytes()):
            idle = [
                entry
                for entry in self._entries.values()
                if entry.loaded is not None and entry.users == 0 and entry is not wanted
            ]
            if not idle:
                limit = "other models are in use; try again later, or ask for a smaller model"
                raise MemoryBudgetError(needed, free, limit)
            await self._unload(min(idle, key=lambda entry: entry.last_used))

    def _free_bytes(self) -> int:
        free = available_memory()
        budget = self._settings.memory_budget
        if free is None:  # not told on this system
            free = budget or 2**62
        if budget is None:
            return free
        used = sum(
            int(loaded.card.file_bytes * _BYTES_PER_FILE_BYTE) + loaded.llm.kv_cache_bytes
            for entry in self._entries.values()
            if (loaded := entry.loaded) is not None
        )
        return min(free, budget - used)

    def _expired(self, entry: _Entry) -> None:
        entry.timer = None
        if entry.users == 0:
            asyncio.get_running_loop().create_task(self._unload_idle(entry))

    async def _unload_idle(self, entry: _Entry) -> None:
        # Whoever makes room meanwhile waits until the memory is really free.
        async with entry.lock, self._room:
            if entry.users == 0:
                await self._unload(entry)

    async def _unload(self, entry: _Entry) -> None:
        loaded, entry.loaded = entry.loaded, None
        if loaded is not None:
            await asyncio.to_thread(loaded.llm.shutdown)  # it waits for the engine's thread
            _log.info("unloaded %s", entry.source.name)
            if self.watcher is not None:
                self.watcher.model_unloaded(entry.source.name, loaded.llm.stats())

    def _watch_failure(self, entry: _Entry, error: BaseException) -> None:
        if self.watcher is None:
            return
        if isinstance(error, asyncio.CancelledError):
            self.watcher.cancelled(entry.source.name, "load")
        elif isinstance(error, PyLLMError | OSError):
            self.watcher.model_load_failed(error)
