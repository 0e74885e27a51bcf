from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from pyllm.demo import demo_model
from pyllm.server.app import create_app
from pyllm.server.settings import ModelSource, ServerSettings
from tests.support.live_server import serving


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a server with the embedded model, under two names."""
    path = demo_model()
    assert path is not None
    settings = ServerSettings(
        models=(ModelSource("demo", path, ("gpt-4o-mini",)),),
        engine={"num_threads": 1, "max_num_seqs": 4, "max_num_queued_requests": 64},
    )
    with serving(create_app(settings)) as url:
        yield url


@pytest.fixture
def http(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=60) as client:
        yield client
