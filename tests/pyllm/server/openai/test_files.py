from __future__ import annotations

import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyllm.demo import demo_model
from pyllm.server.app import create_app
from pyllm.server.dialects import edge_refusal
from pyllm.server.edge import Draining, EdgeSettings, wrap
from pyllm.server.settings import ModelSource, ServerSettings
from tests.support.live_server import serving

MAX_FILES, MAX_BYTES = 8, 3_000_000
LINE = b'{"a": 1}\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server") / "uploads"


@pytest.fixture(scope="module")
def guarded(place: Path) -> Iterator[str]:
    """A server with two keys and small limits, which never loads its model."""
    path = demo_model()
    assert path is not None
    settings = ServerSettings(
        models=(ModelSource("demo", path),),
        preload=False,
        files_dir=place,
        max_files=MAX_FILES,
        max_file_bytes=MAX_BYTES,
    )
    edge = EdgeSettings(api_keys=("one", "two"), max_upload_bytes=2 * MAX_BYTES)
    with serving(wrap(create_app(settings), edge, Draining(1.0), edge_refusal)) as url:
        yield url


@pytest.fixture
def client(guarded: str) -> Iterator[Callable[[str], httpx.Client]]:
    """Clients by their keys; whatever they leave is deleted."""
    clients = {key: _client(guarded, key) for key in ("one", "two")}
    yield clients.__getitem__
    for found in clients.values():
        for file in found.get("/v1/files").json()["data"]:
            found.delete(f"/v1/files/{file['id']}")
        found.close()


def _client(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=20)


def upload(
    client: httpx.Client, data: bytes = LINE, name: str = "in.jsonl", **fields: str
) -> httpx.Response:
    fields = {"purpose": "batch", **fields}
    return client.post("/v1/files", data=fields, files={"file": (name, data)})


def refused(response: httpx.Response, status: int = 400) -> Any:
    assert response.status_code == status, response.text
    return response.json()["error"]


def post(client: httpx.Client, body: Any, kind: str = "multipart/form-data; boundary=b") -> Any:
    return client.post("/v1/files", content=body, headers={"content-type": kind})


def part(name: str, content: str = "x", extra: str = "") -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n{content}\r\n'


PURPOSE, FILE, END = part("purpose", "batch"), part("file", "x", '; filename="f"'), "--b--\r\n"


def test_a_file_comes_back_as_it_went(client: Any) -> None:
    one = client("one")
    data = bytes(range(256)) * 5000 + b"\r\n--boundary\r\n\r\n"
    made = upload(one, data).json()
    assert made["object"] == "file"
    assert (made["bytes"], made["filename"], made["status"]) == (len(data), "in.jsonl", "processed")
    assert one.get(f"/v1/files/{made['id']}").json() == made
    content = one.get(f"/v1/files/{made['id']}/content")
    assert content.content == data
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.headers["content-disposition"].startswith("attachment")
    assert one.delete(f"/v1/files/{made['id']}").json()["deleted"] is True
    refused(one.get(f"/v1/files/{made['id']}/content"), 404)
    refused(one.delete(f"/v1/files/{made['id']}"), 404)


def test_another_key_sees_nothing(client: Any) -> None:
    made = upload(client("one")).json()
    path = f"/v1/files/{made['id']}"
    answers = [client("two").get(path), client("two").get(f"{path}/content")]
    answers.append(client("two").delete(path))
    for answer in answers:
        unknown = client("two").get("/v1/files/file-0").json()["error"]
        assert refused(answer, 404)["code"] == unknown["code"] == "not_found"
    assert client("two").get("/v1/files").json()["data"] == []
    assert client("one").get(path).status_code == 200


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\dir\\x.jsonl", "x.jsonl"),
        ("a\x1b[2Jb\u202ec", "a_[2Jb_c"),
        ("x" * 1000, "x" * 255),
        ("ünï.jsonl", "ünï.jsonl"),
    ],
)
def test_names_are_made_harmless(client: Any, place: Path, name: str, shown: str) -> None:
    body = PURPOSE + part("file", "x", f'; filename="{name}"') + END
    made = post(client("one"), body.encode()).json()
    assert made["filename"] == shown
    assert {found.name for found in place.glob("*/file-*")} == {made["id"], f"{made['id']}.json"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (FILE + END, "purpose"),
        (PURPOSE + END, "file"),
        (part("purpose", "fine-tune") + FILE + END, "purpose"),
        (part("purpose", "b" * 5000) + FILE + END, "purpose"),
        (PURPOSE + PURPOSE + FILE + END, "purpose"),
        (PURPOSE + FILE + FILE + END, "file"),
        (PURPOSE + FILE + part("expires_after[seconds]", "9") + END, "expires_after[seconds]"),
        (PURPOSE + "--b\r\n\r\nno name\r\n" + END, ""),
    ],
)
def test_a_wrong_form_is_refused_by_the_field(
    client: Any, place: Path, body: str, param: str
) -> None:
    assert refused(post(client("one"), body.encode()))["param"] == param
    assert not list(place.glob("*/file-*"))


@pytest.mark.parametrize("body", [PURPOSE + FILE, PURPOSE + FILE[:-3], "nonsense", "", "--b\r\n"])
def test_half_a_form_is_refused(client: Any, place: Path, body: str) -> None:
    error = refused(post(client("one"), body.encode()))
    assert error["code"] == "invalid_multipart"
    assert not list(place.glob("*/file-*"))


def test_another_type_is_refused(client: Any) -> None:
    refused(post(client("one"), b"{}", "application/json"), 415)
    refused(post(client("one"), b"x", "multipart/form-data"), 415)
    refused(post(client("one"), b"x", "multipart/mixed; boundary=b"), 415)


def test_a_form_may_begin_with_its_file(client: Any) -> None:
    assert post(client("one"), (FILE + PURPOSE + END).encode()).json()["bytes"] == 1


def test_no_more_files_and_bytes_than_the_limits(client: Any, place: Path) -> None:
    one = client("one")
    assert refused(upload(one, bytes(MAX_BYTES + 1)), 413)["code"] == "storage_full"
    assert not list(place.glob("*/file-*"))
    for _ in range(2):  # what a refused upload had reserved is free again
        upload(one, bytes(MAX_BYTES)).raise_for_status()
        assert refused(upload(one), 413)["code"] == "storage_full"
        one.delete(f"/v1/files/{one.get('/v1/files').json()['first_id']}").raise_for_status()
    for _ in range(MAX_FILES):
        upload(one).raise_for_status()
    assert refused(upload(client("two")))["code"] == "too_many_files"


def test_a_body_beyond_the_edges_limit_leaves_nothing(client: Any, place: Path) -> None:
    body = iter([PURPOSE.encode(), FILE.encode()[:-3], *[bytes(2**20)] * 7])
    try:
        response = post(client("one"), body)
    except httpx.TransportError:  # the connection may be closed before everything is sent
        response = None
    assert response is None or response.status_code == 413
    assert not list(place.glob("*/file-*"))


def test_the_directory_is_its_owners_alone(client: Any, place: Path) -> None:
    upload(client("one"))
    (directory,) = place.iterdir()
    for found in (place, directory):
        assert stat.S_IMODE(found.stat().st_mode) == 0o700
    for file in directory.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_pages(client: Any) -> None:
    one = client("one")
    made = [upload(one, name=f"{n}.jsonl").json()["id"] for n in range(4)]
    first = one.get("/v1/files", params={"limit": 3}).json()
    assert [file["id"] for file in first["data"]] == made[:0:-1]
    assert (first["first_id"], first["last_id"], first["has_more"]) == (made[3], made[1], True)
    rest = one.get("/v1/files", params={"limit": 3, "after": made[1]}).json()
    assert ([file["id"] for file in rest["data"]], rest["has_more"]) == (made[:1], False)
    assert one.get("/v1/files", params={"purpose": "batch_output"}).json()["data"] == []
    assert refused(one.get("/v1/files", params={"limit": 0}))["param"].endswith("limit")
    assert refused(one.get("/v1/files", params={"after": "file-x"}))["param"] == "after"


def test_without_a_directory_files_go_with_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = demo_model()
    assert path is not None
    models = (ModelSource("demo", path),)
    settings = ServerSettings(models=models, preload=False)
    with serving(create_app(settings)) as url, httpx.Client(base_url=url) as client:
        upload(client).raise_for_status()
        assert list(tmp_path.glob("*/*"))
    assert not list(tmp_path.iterdir())


def test_with_a_directory_the_next_server_has_the_files(tmp_path: Path) -> None:
    path = demo_model()
    assert path is not None
    models = (ModelSource("demo", path),)
    settings = ServerSettings(models=models, preload=False, files_dir=tmp_path, max_files=2)
    with serving(create_app(settings)) as url, httpx.Client(base_url=url) as client:
        made = upload(client, name="mine.jsonl").json()
        client.delete(f"/v1/files/{upload(client).json()['id']}").raise_for_status()
    with serving(create_app(settings)) as url, httpx.Client(base_url=url) as client:
        assert client.get("/v1/files").json()["data"] == [made]
        assert client.get(f"/v1/files/{made['id']}/content").content == LINE
        upload(client).raise_for_status()
        assert refused(upload(client))["code"] == "too_many_files"
