"""The models of one server: loaded on first use, unloaded when idle, within a memory budget."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from pyllm.async_llm import AsyncLLM
from pyllm.engine.stats import EngineStats
from pyllm.errors import MemoryBudgetError
from pyllm.machine.memory import available_memory
from pyllm.server.errors import ApiError, model_not_found
from pyllm.server.loaded_model import LoadedModel
from pyllm.server.model_card import ModelCard, read_card
from pyllm.server.settings import ModelSource, ServerSettings

_log = logging.getLogger(__name__)

FOR_EVER = float("inf")
# Beside the file: packed copies of small tensors, columns, Python (measured: 1.1 x the file).
_BYTES_PER_FILE_BYTE = 1.1
_IN_USE = "other models are in use; try again later, or ask for a smaller model"
_TOO_LARGE = "it is larger than the memory for models; ask for a smaller one"

Loader = Callable[[ModelSource, Mapping[str, Any]], AsyncLLM]


def load(source: ModelSource, engine: Mapping[str, Any]) -> AsyncLLM:
    return AsyncLLM(source.path, **engine)


@dataclass
class _Entry:
    source: ModelSource
    loaded: LoadedModel | None = None
    load: asyncio.Task[None] | None = None  # for all who wait for it, and nobody's own
    users: int = 0  # who have it or wait for it
    keep_alive: float = FOR_EVER  # seconds, as its last user wished
    last_used: float = 0.0  # time.monotonic()
    timer: asyncio.TimerHandle | None = None
    card: ModelCard | None = None

    @property
    def running(self) -> LoadedModel | None:
        """The model, if it is loaded and its engine takes requests."""
        return self.loaded if self.loaded is not None and self.loaded.llm.is_running else None

    @property
    def expires_in(self) -> float:
        """Seconds until it is unloaded, if nobody uses it."""
        if self.users or self.keep_alive == FOR_EVER:
            return FOR_EVER
        return max(0.0, self.last_used + self.keep_alive - time.monotonic())


def _bytes_of(entry: _Entry) -> int:
    """What it holds of the memory for models, about."""
    if entry.loaded is None:
        return 0
    file_bytes = entry.loaded.card.file_bytes
    return int(file_bytes * _BYTES_PER_FILE_BYTE) + entry.loaded.llm.kv_cache_bytes


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
        # One load or unload at a time: each looks at the memory that the one before it left.
        self._room = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()  # loads and unloads: a loop holds no task
        self.closed = False
        self.has_loaded = False  # any of them, at any time
        self.has_failed_to_load = False  # the same
        for source in settings.models:
            entry = _Entry(source, keep_alive=self._keep_alive(None))
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

    def is_absent(self, name: str) -> bool:
        """It is neither loaded nor being loaded. ApiError for unknown names."""
        entry = self._entry(name)
        return entry.loaded is None and entry.load is None

    def is_ready(self, name: str | None) -> bool:
        """A lease is had without waiting for a load. ApiError for unknown names."""
        return self._entry(name).running is not None

    def peek(self, name: str | None) -> LoadedModel | None:
        """The model by this name if it is loaded, for a look before the next `await`.

        It is no use: nothing is loaded, and keep_alive goes on. ApiError for unknown names.
        """
        return self._entry(name).loaded

    def knows(self, name: str) -> bool:
        return self._lookup(name) is not None

    async def card(self, name: str | None) -> ModelCard:
        """What the file says of itself; None: the first model's.

        ApiError for unknown names, ModelFileError and OSError for unreadable files.
        """
        entry = self._entry(name)
        if entry.card is None:
            entry.card = await asyncio.to_thread(read_card, entry.source)
        return entry.card

    def max_model_len(self, card: ModelCard) -> int | None:
        """Tokens of the longest text: of the model that is loaded, or that will be."""
        loaded = self.peek(card.name)
        if loaded is not None:
            return loaded.llm.model.max_model_len
        return self._settings.engine.get("max_model_len") or card.context_length

    async def lease(self, name: str | None, keep_alive: float | None = None) -> Lease:
        """The model by this name, loaded now if need be; None: the first.

        All who ask while it loads get the one that is loaded, and may be cancelled meanwhile.
        keep_alive  seconds it stays loaded after this use; None: as the server was started
        Raises ApiError and what AsyncLLM raises.
        """
        entry = self._entry(name)
        began, waits = time.monotonic(), entry.running is None
        entry.keep_alive = self._keep_alive(keep_alive)
        entry.users += 1  # so that nobody unloads it meanwhile
        try:
            lease = Lease(self, entry, await self._loaded(entry))
        except BaseException as error:
            self.returned(entry)
            if isinstance(error, asyncio.CancelledError) and self.watcher is not None:
                self.watcher.cancelled(entry.source.name, "load")
            raise
        if waits:
            lease.load_seconds = time.monotonic() - began
        return lease

    def returned(self, entry: _Entry) -> None:
        """A user is done with it."""
        entry.users -= 1
        entry.last_used = time.monotonic()
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        if entry.users or entry.loaded is None or entry.keep_alive == FOR_EVER or self.closed:
            return
        unload = partial(self._expired, entry, entry.last_used)
        entry.timer = asyncio.get_running_loop().call_later(entry.keep_alive, unload)

    async def close(self) -> None:
        """Unload everything; requests in flight end with an error. A load is waited for."""
        self.closed = True
        for entry in self._entries.values():
            if entry.timer is not None:
                entry.timer.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
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

    async def _loaded(self, entry: _Entry) -> LoadedModel:
        """Raises what the load raises. Whoever is cancelled here leaves it to the others."""
        while True:
            if self.closed:
                raise ApiError(503, "the server is shutting down", "shutting_down")
            if entry.running is not None:
                return entry.running
            if entry.loaded is not None:
                await asyncio.wait([self._in_background(self._unload_ended(entry, entry.loaded))])
                continue
            if entry.load is None:
                entry.load = self._in_background(self._load_if_wanted(entry))
            load = entry.load
            await asyncio.wait([load])
            load.result()

    async def _load_if_wanted(self, entry: _Entry) -> None:
        """Once begun it goes on without those who wanted it: a thread cannot be stopped, and the
        next request finds the model here."""
        try:
            async with self._room:
                if entry.users == 0 or self.closed:  # nobody waits any more
                    return
                entry.users += 1
                try:
                    await self._load_now(entry)
                finally:
                    self.returned(entry)
        except Exception as error:
            self.has_failed_to_load = True
            if self.watcher is not None:
                self.watcher.model_load_failed(error)
            raise
        finally:
            entry.load = None

    async def _load_now(self, entry: _Entry) -> None:
        card = await self.card(entry.source.name)
        await self._make_room(entry, card)
        began = time.monotonic()
        llm = await asyncio.to_thread(self._load, entry.source, self._settings.engine)
        entry.loaded = LoadedModel(llm, card)
        self.has_loaded = True
        _log.info("loaded %s in %.2f s", entry.source.name, time.monotonic() - began)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it raises it; nobody may be left who does

    async def _make_room(self, wanted: _Entry, card: ModelCard) -> None:
        """Unload idle models, longest unused first, until `wanted` fits; none when it cannot."""
        needed = int(card.file_bytes * _BYTES_PER_FILE_BYTE)
        while needed > (free := self._free_bytes()):
            others = [
                entry
                for entry in self._entries.values()
                if entry.loaded is not None and entry is not wanted
            ]
            idle = [entry for entry in others if entry.users == 0]
            if needed > free + sum(_bytes_of(entry) for entry in idle):
                in_use = len(idle) < len(others)
                raise MemoryBudgetError(needed, free, _IN_USE if in_use else _TOO_LARGE)
            await self._unload(min(idle, key=lambda entry: entry.last_used))

    def _free_bytes(self) -> int:
        free = available_memory()
        budget = self._settings.memory_budget
        if free is None:  # not told on this system
            free = budget or 2**62
        if budget is None:
            return free
        return min(free, budget - sum(map(_bytes_of, self._entries.values())))

    def _expired(self, entry: _Entry, last_used: float) -> None:
        entry.timer = None
        self._in_background(self._unload_idle(entry, last_used))

    async def _unload_idle(self, entry: _Entry, last_used: float) -> None:
        # Whoever makes room meanwhile waits until the memory is really free.
        async with self._room:
            if entry.users == 0 and entry.last_used == last_used:  # not used while this waited
                await self._unload(entry)

    async def _unload_ended(self, entry: _Entry, ended: LoadedModel) -> None:
        """A defect has stopped its engine and failed its requests: the next gets a new one."""
        async with self._room:
            if entry.loaded is ended:
                await self._unload(entry)

    async def _unload(self, entry: _Entry) -> None:
        loaded, entry.loaded = entry.loaded, None
        if loaded is not None:
            await asyncio.to_thread(loaded.llm.shutdown)  # it waits for the engine's thread
            _log.info("unloaded %s", entry.source.name)
            if self.watcher is not None:
                self.watcher.model_unloaded(entry.source.name, loaded.llm.stats())
