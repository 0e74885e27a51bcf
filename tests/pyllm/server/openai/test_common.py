from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from pyllm.demo import demo_model
from pyllm.server.errors import ApiError
from pyllm.server.model_registry import ModelRegistry
from pyllm.server.openai.common import lease_of
from pyllm.server.service import Service
from pyllm.server.settings import ModelSource, ServerSettings
from pyllm.server.streams import ClientGone


class SlowModel:
    """Loaded when the gate opens; what is loaded is of no interest here."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.loads = 0

    def __call__(self, source: ModelSource, engine: Mapping[str, Any]) -> Any:
        self.loads += 1
        assert self.gate.wait(10)
        return SimpleNamespace(is_running=True)


class Client:
    """Asks a server, and leaves when told to."""

    def __init__(self, model: SlowModel) -> None:
        path = demo_model()
        assert path is not None
        settings = ServerSettings((ModelSource("demo", path),))
        self.registry = ModelRegistry(settings, model)
        self.left = asyncio.Event()
        state = SimpleNamespace(service=Service(settings, self.registry))
        scope = {"type": "http", "app": SimpleNamespace(state=state)}
        self.request = Request(scope, self._receive)

    async def _receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    @property
    def leases(self) -> int:
        return sum(entry.users for entry in self.registry._entries.values())


def test_a_client_that_leaves_while_its_model_loads_holds_nothing() -> None:
    model = SlowModel()

    async def run() -> None:
        client = Client(model)
        asking = asyncio.create_task(lease_of(client.request, "demo"))
        while not model.loads:
            await asyncio.sleep(0.001)
        client.left.set()
        with pytest.raises(ClientGone):
            await asking
        model.gate.set()
        while client.registry.peek("demo") is None or client.leases:
            await asyncio.sleep(0.001)
        lease = await lease_of(client.request, "demo")  # it needs not be waited for
        assert client.leases == 1
        lease.release()

    asyncio.run(run())
    assert model.loads == 1


def test_a_request_waits_for_its_model_no_longer_than_it_may() -> None:
    model = SlowModel()

    async def run() -> None:
        client = Client(model)
        with pytest.raises(ApiError) as caught:
            await lease_of(client.request, "demo", timeout=0.02)
        assert (caught.value.status_code, caught.value.code) == (504, "request_timeout")
        model.gate.set()
        lease = await lease_of(client.request, "demo", timeout=60)
        assert client.leases == 1
        lease.release()

    asyncio.run(run())
    assert model.loads == 1


def test_a_request_that_is_cancelled_when_its_model_has_come_holds_nothing() -> None:
    model = SlowModel()
    model.gate.set()

    async def run() -> None:
        client = Client(model)
        asking = asyncio.create_task(lease_of(client.request, None))
        while client.registry.peek(None) is None:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert client.leases == 0

    asyncio.run(run())
