"""GET /metrics of an application whose model answers, inside this process."""

import asyncio
import json
import logging

import httpx
import pytest

from pyllm.demo import demo_model
from pyllm.server.app import create_app
from pyllm.server.log_format import StructuredFormatter
from pyllm.server.metrics import CONTENT_TYPE
from pyllm.server.request_log import RequestLog
from pyllm.server.settings import ModelSource, ServerSettings
from tests.pyllm.server.metrics.stubs import value

CHAT = {
    "model": "alias", "max_tokens": 6, "stream": True,
    "messages": [{"role": "user", "content": "a secret question"}],
}  # fmt: skip


def application(path, **settings):
    """An application as the runner has it, but for the edge."""
    engine = {"num_threads": 1, "max_num_seqs": 2}
    model = ModelSource("demo", path, ("alias",))
    app = create_app(ServerSettings(models=(model,), engine=engine, preload=False, **settings))
    return app, RequestLog(app, app.state.metrics)


async def page_of(client):
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == CONTENT_TYPE
    return response.content


async def drive(app, logged, requests):
    transport = httpx.ASGITransport(logged, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client,
    ):
        before = await page_of(client)
        answers = [await client.request(*request[:2], json=request[2]) for request in requests]
        return before, answers, await page_of(client)


@pytest.fixture(scope="module")
def served():
    app, logged = application(demo_model())
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("pyllm.server.request_log")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    requests = [
        ("POST", "/v1/chat/completions", CHAT),
        ("POST", "/v1/completions", {"model": "demo", "prompt": ["a", "b"], "max_tokens": 4}),
        ("POST", "/v1/chat/completions", {**CHAT, "model": "a forged\nname"}),
        ("GET", "/no/such/page", None),
    ]
    try:
        found = asyncio.run(drive(app, logged, requests))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    lines = [StructuredFormatter("json").format(record) for record in records]
    return *found, lines, app.state.metrics.render()


def test_before_the_first_request_only_the_models_are_there(served):
    before = served[0]
    assert value(before, "pyllm:model_loaded", model_name="demo") == 0
    assert b"pyllm:num_steps" not in before


def test_requests_are_counted_under_the_server_s_name_of_the_model(served):
    _, answers, page, _, _ = served
    assert [answer.status_code for answer in answers] == [200, 200, 404, 404]
    assert value(page, "pyllm:model_loaded", model_name="demo") == 1
    assert value(page, "vllm:e2e_request_latency_seconds_count", model_name="demo") == 3
    name = "vllm:generation_tokens_total"
    generated = value(page, name, model_name="demo")
    assert generated == value(page, "vllm:request_generation_tokens_sum", model_name="demo") > 0
    assert b"alias" not in page
    assert b"forged" not in page


def test_routes_are_templates(served):
    page = served[2]
    counted = {
        ("/v1/chat/completions", 200): 1, ("/v1/chat/completions", 404): 1,
        ("/v1/completions", 200): 1, ("unmatched", 404): 1, ("/metrics", 200): 1,
    }  # fmt: skip
    for (route, status), count in counted.items():
        name = "pyllm:http_requests_total"
        assert value(page, name, route=route, status=str(status)) == count


def test_the_log_has_a_line_for_each(served):
    lines = served[3]
    fields = [json.loads(line) for line in lines]
    assert [f["status"] for f in fields] == [200, 200, 404, 404]
    chat, both, unknown, _ = fields
    assert chat["model"] == both["model"] == "demo"
    assert chat["complete"]
    assert 0 < chat["completion_tokens"] <= 6
    assert both["completion_tokens"] <= 8
    assert chat["ttft_ms"] <= chat["total_ms"]
    assert "model" not in unknown
    assert not any("secret" in line or "forged" in line for line in lines)


def test_totals_stay_after_the_end(served):
    *_, page, _, after = served
    name = "vllm:generation_tokens_total"
    assert value(after, name, model_name="demo") == value(page, name, model_name="demo")
    assert value(after, "pyllm:model_loaded", model_name="demo") == 0


def test_a_model_that_cannot_be_loaded(tmp_path):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"no model at all")
    app, logged = application(path)
    request = ("POST", "/v1/completions", {"model": "demo", "prompt": "a"})
    _, (answer,), page = asyncio.run(drive(app, logged, [request]))
    assert answer.status_code == 500
    assert value(page, "pyllm:model_load_failures_total", reason="model_file") == 1


def test_a_model_for_which_there_is_no_memory():
    app, logged = application(demo_model(), memory_budget=1)
    request = ("POST", "/v1/completions", {"model": "demo", "prompt": "a"})
    _, (answer,), page = asyncio.run(drive(app, logged, [request]))
    assert answer.status_code == 503
    assert value(page, "pyllm:model_load_failures_total", reason="memory") == 1
    assert value(page, "pyllm:admission_rejections_total", reason="insufficient_memory") == 1
