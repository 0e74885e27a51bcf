from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pyllm.errors import RequestError
from pyllm.server.files.kept_directory import KeptDirectory


def test_it_is_private_and_stays_with_its_secret(tmp_path: Path) -> None:
    first = KeptDirectory(tmp_path / "a" / "b")
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((first.path / "secret").stat().st_mode) == 0o600
    first.close()
    second = KeptDirectory(tmp_path / "a" / "b")
    assert second.secret == first.secret
    assert len(second.secret) == 32
    second.close()


def test_one_server_at_a_time(tmp_path: Path) -> None:
    first = KeptDirectory(tmp_path)
    with pytest.raises(RequestError, match="another server uses it"):
        KeptDirectory(tmp_path)
    first.close()
    KeptDirectory(tmp_path).close()


def test_what_others_may_read_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "pyllm-files").mkdir()
    (tmp_path / "pyllm-files").chmod(0o755)
    with pytest.raises(RequestError, match="chmod 700"):
        KeptDirectory(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "pyllm-files").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="pyllm-files"):
        KeptDirectory(tmp_path)
