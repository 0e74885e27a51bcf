from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyllm.demo import demo_model
from pyllm.errors import MemoryBudgetError, ModelFileError
from pyllm.server.errors import ApiError
from pyllm.server.model_registry import FOR_EVER, ModelRegistry
from pyllm.server.settings import ModelSource, ServerSettings

DEMO = demo_model()


class FakeLLM:
    kv_cache_bytes = 1000

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False
        self.is_running = True

    def shutdown(self) -> None:
        self.closed = True

    def stats(self) -> str:
        assert self.closed, "its last numbers are those after its end"
        return f"numbers of {self.name}"


class Loads:
    """Counts what is loaded; `slow` seconds each, or until `gate` is set."""

    def __init__(
        self,
        slow: float = 0.0,
        error: Exception | None = None,
        gate: threading.Event | None = None,
    ) -> None:
        self.names: list[str] = []
        self.models: list[FakeLLM] = []
        self._slow, self._error, self._gate = slow, error, gate

    def __call__(self, source: ModelSource, engine: Mapping[str, Any]) -> Any:
        self.names.append(source.name)
        time.sleep(self._slow)
        if self._gate is not None:
            assert self._gate.wait(10)
        if self._error is not None:
            raise self._error
        self.models.append(FakeLLM(source.name))
        return self.models[-1]


def settings(*names: str, path: Path | None = DEMO, **options: Any) -> ServerSettings:
    assert path is not None
    sources = tuple(ModelSource(name, path, (f"{name}-alias",)) for name in names)
    return ServerSettings(sources, **options)


def test_a_model_is_loaded_once_by_many_at_the_same_time() -> None:
    loads = Loads(slow=0.05)

    async def run() -> None:
        registry = ModelRegistry(settings("a"), loads)
        leases = await asyncio.gather(*(registry.lease("a") for _ in range(5)))
        assert {id(lease.llm) for lease in leases} == {id(loads.models[0])}

    asyncio.run(run())
    assert loads.names == ["a"]


def test_names_aliases_and_ollamas_tag_mean_the_model_and_others_are_refused_with_a_list() -> None:
    async def run() -> None:
        registry = ModelRegistry(settings("a", "b"), Loads())
        for name in ("b", "b-alias", "b:latest"):
            assert (await registry.lease(name)).name == "b"
        assert (await registry.lease(None)).name == "a"
        with pytest.raises(ApiError) as caught:
            await registry.lease("c")
        assert (caught.value.status_code, caught.value.code) == (404, "model_not_found")
        assert "there are: a, b" in caught.value.message

    asyncio.run(run())


def test_an_idle_model_is_unloaded_after_keep_alive_and_not_while_it_is_used() -> None:
    loads = Loads()

    async def run() -> None:
        registry = ModelRegistry(settings("a", keep_alive=0.02), loads)
        first, second = await registry.lease("a"), await registry.lease("a")
        first.release()
        first.release()  # does nothing
        await asyncio.sleep(0.1)
        assert not loads.models[0].closed
        second.release()
        await asyncio.sleep(0.1)
        assert loads.models[0].closed
        assert not list(registry.loaded())
        assert (await registry.lease("a")).llm is not loads.models[0]

    asyncio.run(run())


def test_a_request_may_wish_for_another_keep_alive() -> None:
    loads = Loads()

    async def run() -> None:
        registry = ModelRegistry(settings("a", keep_alive=0.01), loads)
        (await registry.lease("a", keep_alive=FOR_EVER)).release()
        await asyncio.sleep(0.05)
        assert [name for name, _, _ in registry.loaded()] == ["a"]
        (await registry.lease("a", keep_alive=0)).release()
        await asyncio.sleep(0.05)
        assert not list(registry.loaded())

    asyncio.run(run())


def test_idle_models_make_room_longest_unused_first_and_used_ones_do_not() -> None:
    assert DEMO is not None
    budget = int(2.5 * 1.1 * DEMO.stat().st_size)

    async def run() -> None:
        loads = Loads()
        registry = ModelRegistry(settings("a", "b", "c", memory_budget=budget), loads)
        (await registry.lease("a")).release()
        (await registry.lease("b")).release()
        (await registry.lease("c")).release()
        assert [name for name, _, _ in registry.loaded()] == ["b", "c"]
        held = [await registry.lease(name) for name in ("b", "c")]
        with pytest.raises(MemoryBudgetError):
            await registry.lease("a")
        held[0].release()
        assert (await registry.lease("a")).name == "a"

    asyncio.run(run())


def test_nothing_is_unloaded_for_a_model_that_cannot_fit(tmp_path: Path) -> None:
    assert DEMO is not None
    large = tmp_path / "large.gguf"
    with large.open("wb") as file:
        file.write(DEMO.read_bytes())
        file.truncate(3 * DEMO.stat().st_size)
    budget = int(2.5 * 1.1 * DEMO.stat().st_size)

    async def run() -> None:
        plain = settings("a", memory_budget=budget)
        models = (*plain.models, ModelSource("large", large))
        registry = ModelRegistry(replace(plain, models=models), Loads())
        (await registry.lease("a")).release()
        with pytest.raises(MemoryBudgetError, match="larger than the memory"):
            await registry.lease("large")
        assert [name for name, _, _ in registry.loaded()] == ["a"]
        held = await registry.lease("a")
        with pytest.raises(MemoryBudgetError, match="in use"):
            await registry.lease("large")
        held.release()

    asyncio.run(run())


def test_a_model_that_fails_to_load_is_tried_again_next_time() -> None:
    async def run() -> None:
        loads = Loads(error=ModelFileError("x.gguf", None, "version", 9, "2 or 3"))
        registry = ModelRegistry(settings("a"), loads)
        for _ in range(2):
            with pytest.raises(ModelFileError):
                await registry.lease("a")
        assert loads.names == ["a", "a"]

    asyncio.run(run())


def test_a_model_whose_engine_has_stopped_is_loaded_again_for_the_next_request() -> None:
    async def run() -> None:
        loads = Loads()
        registry = ModelRegistry(settings("a"), loads)
        unlucky = await registry.lease("a")
        loads.models[0].is_running = False
        leases = await asyncio.gather(*(registry.lease("a") for _ in range(3)))
        assert loads.names == ["a", "a"]
        assert loads.models[0].closed
        assert all(lease.llm is loads.models[1] for lease in leases)
        for lease in (unlucky, *leases):
            lease.release()
        await registry.close()
        assert loads.models[1].closed

    asyncio.run(run())


async def begun(loads: Loads, count: int = 1) -> None:
    while len(loads.names) < count:
        await asyncio.sleep(0.001)


async def leave(asker: asyncio.Task[Any]) -> None:
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker


def test_a_load_is_shared_by_all_who_come_while_it_goes_on_whoever_leaves() -> None:
    gate = threading.Event()
    loads = Loads(gate=gate)

    async def run() -> None:
        registry = ModelRegistry(settings("a"), loads)
        first = asyncio.create_task(registry.lease("a"))
        await begun(loads)
        second = asyncio.create_task(registry.lease("a"))
        await asyncio.sleep(0)
        await leave(first)
        third = asyncio.create_task(registry.lease("a"))
        await asyncio.sleep(0)
        gate.set()
        assert (await second).llm is (await third).llm
        assert (await second).load_seconds > 0

    asyncio.run(run())
    assert loads.names == ["a"]


def test_a_model_whose_askers_have_all_left_is_kept_for_keep_alive() -> None:
    gate = threading.Event()
    loads = Loads(gate=gate)

    async def run() -> None:
        registry = ModelRegistry(settings("a"), loads)
        asker = asyncio.create_task(registry.lease("a", keep_alive=0.1))
        await begun(loads)
        await leave(asker)
        assert not registry.is_absent("a")
        gate.set()
        while not list(registry.loaded()):
            await asyncio.sleep(0.001)
        ((_, _, expires_in),) = registry.loaded()
        assert expires_in <= 0.1
        while list(registry.loaded()):
            await asyncio.sleep(0.01)
        assert registry.is_absent("a")

    asyncio.run(run())
    assert loads.names == ["a"]


def test_a_load_that_nobody_waits_for_any_more_is_not_begun() -> None:
    gate = threading.Event()
    loads = Loads(gate=gate)

    async def run() -> None:
        registry = ModelRegistry(settings("a", "b"), loads)
        first = asyncio.create_task(registry.lease("a"))
        await begun(loads)
        impatient = asyncio.create_task(registry.lease("b"))
        await asyncio.sleep(0)
        await leave(impatient)
        gate.set()
        await first
        await asyncio.sleep(0.02)
        assert registry.is_absent("b")
        assert (await registry.lease("b")).name == "b"

    asyncio.run(run())
    assert loads.names == ["a", "b"]


def test_memory_is_counted_for_a_model_that_loads_for_nobody() -> None:
    assert DEMO is not None
    gate = threading.Event()
    loads = Loads(gate=gate)
    budget = int(1.5 * 1.1 * DEMO.stat().st_size)

    async def run() -> None:
        registry = ModelRegistry(settings("a", "b", memory_budget=budget), loads)
        asker = asyncio.create_task(registry.lease("a"))
        await begun(loads)
        await leave(asker)
        other = asyncio.create_task(registry.lease("b"))
        await asyncio.sleep(0.05)
        assert loads.names == ["a"], "there is no room beside it"
        gate.set()
        await other
        assert [name for name, _, _ in registry.loaded()] == ["b"]
        assert loads.models[0].closed

    asyncio.run(run())


def test_a_shared_load_that_fails_fails_once_for_all() -> None:
    watched = Watched()

    async def run() -> None:
        loads = Loads(slow=0.02, error=MemoryBudgetError(2, 1))
        registry = ModelRegistry(settings("a"), loads)
        registry.watcher = watched
        found = await asyncio.gather(
            *(registry.lease("a") for _ in range(3)), return_exceptions=True
        )
        assert [type(error) for error in found] == [MemoryBudgetError] * 3
        assert loads.names == ["a"]

    asyncio.run(run())
    assert watched.said == [("failed", MemoryBudgetError)]


def test_a_model_that_is_used_while_its_unloading_waits_stays() -> None:
    gate = threading.Event()
    loads = Loads()

    async def run() -> None:
        registry = ModelRegistry(settings("a", "b"), loads)
        (await registry.lease("a", keep_alive=0.01)).release()
        loads._gate = gate
        other = asyncio.create_task(registry.lease("b"))
        await begun(loads, 2)
        await asyncio.sleep(0.05)  # keep_alive is over, but b's load has the room
        (await registry.lease("a", keep_alive=FOR_EVER)).release()
        gate.set()
        await other
        await asyncio.sleep(0.05)
        assert [name for name, _, _ in registry.loaded()] == ["a", "b"]

    asyncio.run(run())


def test_closing_waits_for_a_load_and_unloads_it_while_its_askers_are_refused() -> None:
    gate = threading.Event()
    loads = Loads(gate=gate)

    async def run() -> None:
        registry = ModelRegistry(settings("a"), loads)
        asker = asyncio.create_task(registry.lease("a"))
        await begun(loads)
        closing = asyncio.create_task(registry.close())
        await asyncio.sleep(0)
        gate.set()
        await closing
        with pytest.raises(ApiError, match="shutting down"):
            await asker
        assert loads.models[0].closed
        assert not list(registry.loaded())

    asyncio.run(run())


def test_closing_unloads_and_refuses() -> None:
    loads = Loads()

    async def run() -> None:
        registry = ModelRegistry(settings("a"), loads)
        await registry.lease("a")
        await registry.close()
        assert loads.models[0].closed
        with pytest.raises(ApiError, match="shutting down"):
            await registry.lease("a")

    asyncio.run(run())


class Watched:
    """What a registry said of its models."""

    def __init__(self) -> None:
        self.said: list[tuple[object, ...]] = []

    def model_load_failed(self, error: BaseException) -> None:
        self.said.append(("failed", type(error)))

    def model_unloaded(self, model_name: str, last: object) -> None:
        self.said.append(("unloaded", model_name, last))

    def cancelled(self, model_name: str, phase: str) -> None:
        self.said.append(("cancelled", model_name, phase))


def test_a_watcher_hears_of_failures_of_those_who_gave_up_and_of_last_numbers() -> None:
    watched = Watched()

    async def run() -> None:
        failing = ModelRegistry(settings("a"), Loads(error=MemoryBudgetError(2, 1)))
        failing.watcher = watched
        with pytest.raises(MemoryBudgetError):
            await failing.lease("a")
        registry = ModelRegistry(settings("a"), Loads(slow=0.05))
        registry.watcher = watched
        impatient = asyncio.create_task(registry.lease("a"))
        await asyncio.sleep(0.01)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        (await registry.lease("a")).release()
        await registry.close()
        with pytest.raises(ApiError):  # refused, not failed
            await registry.lease("a")

    asyncio.run(run())
    assert watched.said == [
        ("failed", MemoryBudgetError),
        ("cancelled", "a", "load"),
        ("unloaded", "a", "numbers of a"),
    ]
