"""OpenAI's example of a batch with the official package: only the base URL is another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.batch_files import chat_line, jsonl, read, text_line, until

openai = pytest.importorskip("openai")

ENDED = ("completed", "failed", "cancelled", "expired")


@pytest.fixture
def client(server: str) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as client:
        yield client


def ended(client: Any, batch: Any) -> Any:
    return until(lambda: client.batches.retrieve(batch.id), lambda found: found.status in ENDED)


def test_a_batch_from_a_file_on_disk(client: Any, tmp_path: Path) -> None:
    place = tmp_path / "requests.jsonl"
    place.write_bytes(jsonl(*(chat_line(f"sum-{n}", f"What is {n} + 4?") for n in range(1, 6))))
    with place.open("rb") as stream:
        file = client.files.create(file=stream, purpose="batch")
    assert (file.filename, file.bytes, file.purpose) == (
        "requests.jsonl",
        place.stat().st_size,
        "batch",
    )
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"of": "sums"},
    )
    assert batch.status in ("validating", "in_progress")
    assert batch.metadata == {"of": "sums"}
    done = ended(client, batch)
    assert done.status == "completed"
    assert done.request_counts.model_dump() == {"total": 5, "completed": 5, "failed": 0}
    assert done.error_file_id is None
    assert done.created_at <= done.in_progress_at <= done.finalizing_at <= done.completed_at
    lines = [json.loads(text) for text in client.files.content(done.output_file_id).iter_lines()]
    assert [found["custom_id"] for found in lines] == [f"sum-{n}" for n in range(1, 6)]
    assert lines[2]["response"]["status_code"] == 200
    body = lines[2]["response"]["body"]
    answer = openai.types.chat.ChatCompletion.model_validate(body)
    assert answer.choices[0].message.content == "3 + 4 = 7."
    assert client.files.retrieve(done.output_file_id).purpose == "batch_output"
    assert done.id in [found.id for found in client.batches.list()]


def test_lines_with_errors_have_a_file_of_their_own(client: Any) -> None:
    data = jsonl(text_line("good"), text_line("bad", temperature=-1), "{broken", text_line("too"))
    file = client.files.create(file=("lines.jsonl", data), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/completions", completion_window="24h"
    )
    done = ended(client, batch)
    assert done.status == "completed"
    assert done.request_counts.model_dump() == {"total": 4, "completed": 2, "failed": 2}
    good = read(client.files.content(done.output_file_id).content)
    bad = read(client.files.content(done.error_file_id).content)
    assert [found["custom_id"] for found in good] == ["good", "too"]
    assert [found["custom_id"] for found in bad] == ["bad", None]
    assert bad[0]["response"]["status_code"] == 400
    assert bad[0]["response"]["body"]["error"]["param"] == "temperature"
    assert bad[1]["error"]["code"] == "invalid_json"


def test_cancelling(client: Any) -> None:
    data = jsonl(*(text_line(str(n), max_tokens=200, ignore_eos=True) for n in range(40)))
    file = client.files.create(file=data, purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/completions", completion_window="24h"
    )
    assert client.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    assert ended(client, batch).status == "cancelled"


def test_files_page_by_page(client: Any) -> None:
    made = [client.files.create(file=b"{}\n", purpose="batch").id for _ in range(5)]
    seen = [file.id for file in client.files.list(limit=2, order="asc")]
    assert [file_id for file_id in seen if file_id in made] == made
    for file_id in made:
        assert client.files.delete(file_id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made[0])


def test_what_the_server_does_not_store_is_refused(client: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.files.create(file=b"{}\n", purpose="fine-tune")
    assert caught.value.param == "purpose"
