from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pyllm.server.files import directory
from pyllm.server.files.directory import PrivateDirectory


@pytest.fixture(autouse=True)
def _old_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "_SETTLED_SECONDS", -1.0)


def test_it_is_private_and_goes(tmp_path: Path) -> None:
    found = PrivateDirectory(tmp_path / "a" / "b")
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o700
    (found.path / "file").write_bytes(b"x")
    found.close()
    assert not found.path.exists()
    assert found.path.parent.exists()


def test_what_a_dead_server_left_is_removed_and_the_rest_is_not(tmp_path: Path) -> None:
    living = PrivateDirectory(tmp_path)
    left = tmp_path / "pyllm-files-dead"
    left.mkdir(mode=0o700)
    (left / "file").write_bytes(b"x")
    shared = tmp_path / "pyllm-files-shared"
    shared.mkdir()
    shared.chmod(0o755)
    target = tmp_path / "elsewhere"
    target.mkdir(mode=0o700)
    (tmp_path / "pyllm-files-link").symlink_to(target)
    (tmp_path / "pyllm-files-file").write_bytes(b"x")
    other = PrivateDirectory(tmp_path)
    assert not left.exists()
    for kept in (living.path, shared, target, tmp_path / "pyllm-files-file"):
        assert kept.exists()
    living.close()
    other.close()


def test_a_young_one_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "_SETTLED_SECONDS", 60.0)
    (tmp_path / "pyllm-files-young").mkdir(mode=0o700)
    PrivateDirectory(tmp_path).close()
    assert (tmp_path / "pyllm-files-young").exists()
