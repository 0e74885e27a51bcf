"""Files that outlive the server: what cannot be recorded or read takes nothing with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyllm.server.files import store as store_module
from pyllm.server.files.store import FileStore, StoredFile


def stored(store: FileStore, data: bytes) -> StoredFile:
    writer = store.create(None, "batch")
    try:
        writer.reserve(len(data))
        writer.write(data)
        return writer.keep("a.jsonl")
    finally:
        writer.discard()


def test_the_next_server_has_the_same_files(tmp_path: Path) -> None:
    first = FileStore(tmp_path, 9, 100)
    file = stored(first, b"x" * 60)
    first.close()
    second = FileStore(tmp_path, 9, 100)
    assert [found.id for found in second.list(None)] == [file.id]
    with pytest.raises(Exception, match="100 bytes"):
        stored(second, b"y" * 60)
    second.close()


def test_a_file_that_cannot_be_recorded_takes_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    store = FileStore(tmp_path, 9, 100)
    with monkeypatch.context() as disk:
        disk.setattr(store_module, "replace_file", full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                stored(store, b"x" * 60)
    assert not list(tmp_path.rglob("file-*"))
    assert stored(store, b"x" * 60).bytes == 60
    store.close()


def test_a_file_whose_record_cannot_be_read_stays_for_who_can(tmp_path: Path) -> None:
    first = FileStore(tmp_path, 9, 100)
    file = stored(first, b"x" * 60)
    first.close()
    record = file.path.with_name(f"{file.id}.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "field_of_tomorrow": 1}))
    second = FileStore(tmp_path, 9, 100)
    assert second.list(None) == []
    second.remove_unfinished(set())
    assert file.path.read_bytes() == b"x" * 60
    second.close()
