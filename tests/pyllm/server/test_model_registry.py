from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
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

    def shutdown(self) -> None:
        self.closed = True

    def stats(self) -> str:
        assert self.closed, "its last numbers are those after its end"
        return f"numbers of {self.name}"


class Loads:
    """Counts what is loaded; `slow` seconds each."""

    def __init__(self, slow: float = 0.0, error: Exception | None = None) -> None:
        self.names: list[str] = []
        self.models: list[FakeLLM] = []
        self._slow, self._error = slow, error

    def __call__(self, source: ModelSource, engine: Mapping[str, Any]) -> Any:
        time.sleep(self._slow)
        self.names.append(source.name)
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


def test_a_model_that_fails_to_load_is_tried_again_next_time() -> None:
    async def run() -> None:
        loads = Loads(error=ModelFileError("x.gguf", None, "version", 9, "2 or 3"))
        registry = ModelRegistry(settings("a"), loads)
        for _ in range(2):
            with pytest.raises(ModelFileError):
                await registry.lease("a")
        assert loads.names == ["a", "a"]

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
