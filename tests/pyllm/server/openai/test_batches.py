from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pyllm.demo import demo_model
from pyllm.server.app import create_app
from pyllm.server.batch import job, jobs, validation
from pyllm.server.dialects import edge_refusal
from pyllm.server.edge import Draining, EdgeSettings, wrap
from pyllm.server.settings import ModelSource, ServerSettings
from tests.support.batch_files import chat_line, jsonl, line, read, text_line, until
from tests.support.live_server import serving

ENDED = ("completed", "failed", "cancelled", "expired")
TEXT = "/v1/completions"


@contextlib.contextmanager
def running(keys: tuple[str, ...] = (), **options: Any) -> Iterator[str]:
    path = demo_model()
    assert path is not None
    engine = {"num_threads": 1, "max_num_seqs": 4, **options.pop("engine", {})}
    models = (ModelSource("demo", path),)
    settings = ServerSettings(models=models, engine=engine, preload=False, **options)
    with serving(
        wrap(create_app(settings), EdgeSettings(api_keys=keys), Draining(1.0), edge_refusal)
    ) as url:
        yield url


def start(http: httpx.Client, data: bytes, endpoint: str = TEXT, **fields: Any) -> Any:
    form = {"purpose": "batch"}
    file = http.post("/v1/files", data=form, files={"file": ("in.jsonl", data)}).json()
    body = {"input_file_id": file["id"], "endpoint": endpoint, "completion_window": "24h"}
    return http.post("/v1/batches", json={**body, **fields})


def state(http: httpx.Client, batch: Any) -> Any:
    return http.get(f"/v1/batches/{batch['id']}").json()


def end(http: httpx.Client, batch: Any) -> Any:
    return until(lambda: state(http, batch), lambda found: found["status"] in ENDED)


def content(http: httpx.Client, file_id: str | None) -> list[dict[str, Any]]:
    return read(http.get(f"/v1/files/{file_id}/content").content) if file_id else []


def test_answers_are_those_of_the_route(http: httpx.Client) -> None:
    asked = chat_line("one", logprobs=True, top_logprobs=2)
    batch = start(http, jsonl(asked), "/v1/chat/completions").json()
    (found,) = content(http, end(http, batch)["output_file_id"])
    alone = http.post("/v1/chat/completions", json=asked["body"]).json()
    body = found["response"]["body"]
    assert body["choices"] == alone["choices"]
    assert body["usage"]["total_tokens"] == alone["usage"]["total_tokens"]
    assert (found["custom_id"], found["error"]) == ("one", None)
    assert found["response"]["request_id"] in body["id"]


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/v1/embeddings", {"input": ["one", "two"]}),
        ("/v1/responses", {"input": "What is 3 + 4?", "temperature": 0}),
        ("/v1/rerank", {"query": "one", "documents": ["two", "three"]}),
        ("/v1/score", {"text_1": "one", "text_2": "two"}),
    ],
)
def test_every_route_that_answers_one_request(
    http: httpx.Client, url: str, body: dict[str, Any]
) -> None:
    done = end(http, start(http, jsonl(line("one", url, body)), url).json())
    (found,) = content(http, done["output_file_id"])
    assert found["response"]["body"].keys() == http.post(url, json=body).json().keys()


def test_every_line_has_one_in_the_files(http: httpx.Client) -> None:
    lines = [
        text_line("good"),
        "nonsense",
        "",
        line("other", "/v1/chat/completions", {}),
        {**text_line("extra"), "more": 1},
        {"custom_id": 7, "method": "POST", "url": TEXT, "body": {}},
        {**text_line("get"), "method": "GET"},
        {"custom_id": "less", "method": "POST", "url": TEXT},
        text_line("stream", stream=True),
        text_line("model", model="none"),
        text_line("field", frobnicate=1),
        text_line("long", prompt="word " * 5000),
    ]
    done = end(http, start(http, jsonl(*lines)).json())
    assert done["request_counts"] == {"total": 11, "completed": 1, "failed": 10}
    bad = content(http, done["error_file_id"])
    found = [
        (
            entry["custom_id"],
            entry["error"]["code"] if entry["error"] else entry["response"]["status_code"],
        )
        for entry in bad
    ]
    assert found == [
        (None, "invalid_json"),
        ("other", "invalid_value"),
        ("extra", "unknown_field"),
        (None, "invalid_value"),
        ("get", "invalid_value"),
        ("less", "invalid_value"),
        ("stream", "invalid_value"),
        ("model", 404),
        ("field", 400),
        ("long", 400),
    ]
    assert [entry["error"]["line"] for entry in bad if entry["error"]] == [2, 4, 5, 6, 7, 8, 9]
    codes = [entry["response"]["body"]["error"]["code"] for entry in bad if entry["response"]]
    assert codes == ["model_not_found", "unknown_field", "context_length_exceeded"]


@pytest.mark.parametrize(
    ("data", "code", "number"),
    [
        (jsonl(text_line("a"), text_line("b"), text_line("a")), "duplicate_custom_id", 3),
        (b"\n \n", "empty_file", None),
    ],
)
def test_a_batch_that_cannot_begin_fails(
    http: httpx.Client, data: bytes, code: str, number: int | None
) -> None:
    done = end(http, start(http, data).json())
    assert done["status"] == "failed"
    (error,) = done["errors"]["data"]
    assert (error["code"], error["line"]) == (code, number)
    assert done["output_file_id"] is done["error_file_id"] is None
    assert done["failed_at"] >= done["created_at"]


def test_too_many_requests(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "MAX_LINES", 2)
    done = end(http, start(http, jsonl(*map(text_line, "abc"))).json())
    assert done["errors"]["data"][0]["code"] == "too_many_requests"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"endpoint": "/v1/models"}, "endpoint"),
        ({"endpoint": "/v1/batches"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"k": 7}}, "metadata.k"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"frobnicate": 1}, "frobnicate"),
    ],
)
def test_what_cannot_be_done_is_refused(
    http: httpx.Client, fields: dict[str, Any], param: str
) -> None:
    answer = start(http, jsonl(text_line("a")), **fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_files_that_are_not_there(http: httpx.Client) -> None:
    assert start(http, b"", input_file_id="file-0").status_code == 404
    done = end(http, start(http, jsonl(text_line("a"))).json())
    again = start(http, b"", input_file_id=done["output_file_id"])
    assert again.json()["error"]["param"] == "input_file_id"
    assert http.get("/v1/batches/batch_0").status_code == 404
    assert http.post("/v1/batches/batch_0/cancel").status_code == 404


def endless(*ids: str) -> bytes:
    return jsonl(*(text_line(name, max_tokens=500, ignore_eos=True) for name in ids))


def test_a_cancelled_batch_keeps_its_answers(http: httpx.Client) -> None:
    data = jsonl(text_line("first")) + endless(*(f"{n}" for n in range(20)))
    batch = start(http, data).json()
    until(lambda: state(http, batch), lambda found: found["request_counts"]["completed"])
    refused = http.delete(f"/v1/files/{batch['input_file_id']}")
    assert refused.json()["error"]["code"] == "file_in_use"
    assert http.post(f"/v1/batches/{batch['id']}/cancel").json()["status"] == "cancelling"
    done = end(http, batch)
    assert done["status"] == "cancelled"
    assert done["cancelling_at"] <= done["cancelled_at"]
    good = [entry["custom_id"] for entry in content(http, done["output_file_id"])]
    bad = content(http, done["error_file_id"])
    assert good[0] == "first"
    assert [*good, *(entry["custom_id"] for entry in bad)] == ["first", *map(str, range(20))]
    assert {entry["error"]["code"] for entry in bad} == {"batch_cancelled"}
    assert http.post(f"/v1/batches/{batch['id']}/cancel").status_code == 409
    assert http.delete(f"/v1/files/{batch['input_file_id']}").status_code == 200


def test_a_batch_that_runs_out_of_time(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "WINDOW_SECONDS", 0)
    done = end(http, start(http, endless("a", "b", "c")).json())
    assert done["status"] == "expired"
    assert done["expired_at"] >= done["expires_at"]
    # Its time may be over before its lines are counted; otherwise each has an error.
    codes = [entry["error"]["code"] for entry in content(http, done["error_file_id"])]
    assert codes in ([], ["batch_expired"] * 3)


def test_batches_are_listed_newest_first(http: httpx.Client) -> None:
    made = [start(http, jsonl(text_line("a"))).json()["id"] for _ in range(3)]
    first = http.get("/v1/batches", params={"limit": 2}).json()
    assert [batch["id"] for batch in first["data"]] == made[:0:-1]
    assert first["has_more"] is True
    rest = http.get("/v1/batches", params={"after": made[1]}).json()
    assert rest["data"][0]["id"] == made[0]


def test_old_batches_make_room_for_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_JOBS", 2)
    with running() as url, httpx.Client(base_url=url, timeout=20) as http:
        first = start(http, b"\n").json()
        end(http, first)
        active = [start(http, endless(*"abcdefgh")) for _ in range(2)]
        assert [answer.status_code for answer in active] == [200, 200]
        assert http.get(f"/v1/batches/{first['id']}").status_code == 404
        refused = start(http, endless("a"))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")


def test_another_key_sees_no_batch() -> None:
    with running(keys=("one", "two")) as url:
        one, two = (
            httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=20)
            for key in ("one", "two")
        )
        with one, two:
            done = end(one, start(one, jsonl(text_line("a"))).json())
            assert done["status"] == "completed"
            assert two.get(f"/v1/batches/{done['id']}").status_code == 404
            assert two.post(f"/v1/batches/{done['id']}/cancel").status_code == 404
            assert two.get("/v1/batches").json()["data"] == []
            assert two.get(f"/v1/files/{done['output_file_id']}/content").status_code == 404
            stolen = start(two, b"", input_file_id=done["input_file_id"])
            assert stolen.status_code == 404


def test_a_full_store_fails_the_batch() -> None:
    data = jsonl(*(text_line(str(n)) for n in range(8)))
    with running(max_file_bytes=len(data) + 900) as url, httpx.Client(base_url=url) as http:
        done = end(http, start(http, data).json())
        assert done["status"] == "failed"
        assert done["errors"]["data"][0]["code"] == "storage_full"
        left = http.get("/v1/files").json()["data"]
        assert [file["id"] for file in left] == [done["input_file_id"]]


def test_others_are_answered_while_a_batch_runs() -> None:
    """The batch has more lines than there are places, and takes none of the queue's."""
    engine = {"max_num_seqs": 2, "max_num_queued_requests": 1}
    options = {"engine": engine, "batch_concurrency": 4}
    with running(**options) as url, httpx.Client(base_url=url, timeout=60) as http:
        batch = start(http, endless(*(f"{n}" for n in range(30)))).json()
        until(lambda: state(http, batch), lambda found: found["status"] == "in_progress")
        body = text_line("x", max_tokens=5)["body"]
        before = state(http, batch)["request_counts"]["completed"]
        for _ in range(5):
            assert http.post(TEXT, json=body).status_code == 200
        # They wrote 25 tokens, and did not wait for 30 answers of 500.
        assert state(http, batch)["request_counts"]["completed"] - before < 10


def test_the_server_ends_while_a_batch_runs() -> None:
    before = engines()
    with running() as url, httpx.Client(base_url=url, timeout=20) as http:
        batch = start(http, endless(*"abcdefgh")).json()
        until(lambda: state(http, batch), lambda found: found["status"] == "in_progress")
    assert engines() == before


def engines() -> int:
    return [thread.name for thread in threading.enumerate()].count("pyllm-engine")
