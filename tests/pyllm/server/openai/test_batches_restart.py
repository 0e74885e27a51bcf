"""What becomes of a batch when its server ends, and another begins with the same directory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.pyllm.server.openai.test_batches import content, end, running, start, state
from tests.support.batch_files import jsonl, text_line, until

# The third is refused, so that both files have lines; the last ones take a while.
ASKED = [text_line("a"), text_line("b"), text_line("c", model="none"), text_line("d")]
SLOW = [text_line(f"{n}", max_tokens=300, ignore_eos=True) for n in range(6)]
IDS = [line["custom_id"] for line in (*ASKED, *SLOW)]


def begun(http: httpx.Client) -> Any:
    """A batch whose first lines have their answers."""
    batch = start(http, jsonl(*ASKED, *SLOW), metadata={"k": "v"}).json()
    return until(lambda: state(http, batch), lambda found: found["request_counts"]["completed"] > 2)


def first_answer(place: Path, batch: Any) -> Any:
    record = json.loads((place / "pyllm-files" / f"{batch['id']}.json").read_bytes())
    with (place / "pyllm-files" / record["answers_id"]).open("rb") as stream:
        return json.loads(stream.readline())


def check_whole(http: httpx.Client, done: Any) -> list[Any]:
    assert done["status"] == "completed"
    assert done["request_counts"] == {"total": 10, "completed": 9, "failed": 1}
    good = content(http, done["output_file_id"])
    assert [line["custom_id"] for line in good] == [name for name in IDS if name != "c"]
    (bad,) = content(http, done["error_file_id"])
    assert bad["custom_id"] == "c"
    return good


def test_the_next_server_goes_on(tmp_path: Path) -> None:
    with running(files_dir=tmp_path) as url, httpx.Client(base_url=url, timeout=20) as http:
        batch = begun(http)
    before = first_answer(tmp_path, batch)
    with running(files_dir=tmp_path) as url, httpx.Client(base_url=url, timeout=20) as http:
        again = state(http, batch)
        for name in ("created_at", "expires_at", "metadata", "input_file_id", "in_progress_at"):
            assert again[name] == batch[name]
        good = check_whole(http, end(http, batch))
        assert good[0] == before, "what was answered is not asked again"
    with running(files_dir=tmp_path) as url, httpx.Client(base_url=url, timeout=20) as http:
        check_whole(http, state(http, batch))


def killed(tmp_path: Path) -> tuple[Path, Any]:
    """The directory as a server leaves it that is killed while it writes, and its batch."""
    first, second = tmp_path / "first", tmp_path / "second"
    with running(files_dir=first) as url, httpx.Client(base_url=url, timeout=20) as http:
        batch = begun(http)
        shutil.copytree(first, second)
    record = json.loads((second / "pyllm-files" / f"{batch['id']}.json").read_bytes())
    for name in ("answers_id", "errors_id"):
        with (second / "pyllm-files" / record[name]).open("ab") as stream:
            stream.write(b'{"id":"batch_req_torn')
    return second, batch


def test_a_server_that_was_killed(tmp_path: Path) -> None:
    place, batch = killed(tmp_path)
    (place / "pyllm-files" / "file-torn-upload").write_bytes(b"{")
    with running(files_dir=place) as url, httpx.Client(base_url=url, timeout=20) as http:
        check_whole(http, end(http, batch))
        assert not (place / "pyllm-files" / "file-torn-upload").exists()


def change(place: Path, batch: Any, **fields: Any) -> None:
    path = place / "pyllm-files" / f"{batch['id']}.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **fields}))


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"expires_at": 1}, "expired", "batch_expired"),
        ({"status": "cancelling"}, "cancelled", "batch_cancelled"),
    ],
)
def test_one_whose_end_came_meanwhile_keeps_its_answers(
    tmp_path: Path, fields: dict[str, Any], status: str, code: str
) -> None:
    place, batch = killed(tmp_path)
    change(place, batch, **fields)
    with running(files_dir=place) as url, httpx.Client(base_url=url, timeout=20) as http:
        done = end(http, batch)
        assert done["status"] == status
        good = [line["custom_id"] for line in content(http, done["output_file_id"])]
        bad = content(http, done["error_file_id"])
        assert good[:3] == ["a", "b", "d"]
        assert sorted([*good, *(line["custom_id"] for line in bad)]) == sorted(IDS)
        assert {line["error"]["code"] for line in bad if line["error"]} == {code}


def test_one_whose_input_is_gone_fails(tmp_path: Path) -> None:
    place, batch = killed(tmp_path)
    (place / "pyllm-files" / batch["input_file_id"]).unlink()
    with running(files_dir=place) as url, httpx.Client(base_url=url, timeout=20) as http:
        done = state(http, batch)
        assert done["status"] == "failed"
        assert done["errors"]["data"][0]["code"] == "input_file_lost"


@pytest.mark.parametrize("times", [None, {}])
def test_a_record_that_cannot_be_read_is_told_and_its_answers_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, times: Any
) -> None:
    place, batch = killed(tmp_path)
    change(place, batch, times=times)
    answers = first_answer(place, batch)
    with running(files_dir=place) as url, httpx.Client(base_url=url, timeout=20) as http:
        assert http.get(f"/v1/batches/{batch['id']}").status_code == 404
    assert batch["id"] in caplog.text
    assert first_answer(place, batch) == answers
