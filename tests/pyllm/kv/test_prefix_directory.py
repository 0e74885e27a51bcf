"""The directory: private, bounded, and nobody's open file is taken away."""

import os

import pytest

from pyllm.errors import RequestError
from pyllm.kv import prefix_directory
from pyllm.kv.prefix_directory import PrefixDirectory


def directory_of(root, identity=b"m", max_bytes=1000, segment_bytes=200):
    return PrefixDirectory(root, identity, max_bytes, segment_bytes)


@pytest.fixture(autouse=True)
def small_disk_is_fine(monkeypatch):
    monkeypatch.setattr(prefix_directory, "SPARE_BYTES", 0)


def written(directory, size=200, used=None):
    """A full segment that nobody writes to any more."""
    path, descriptor = directory.open_for_writing()
    os.truncate(path, size)
    os.close(descriptor)
    if used is not None:
        os.utime(path, (used, used))
    return path


def test_only_the_owner_can_read(tmp_path):
    directory = directory_of(tmp_path / "a" / "cache")
    path, descriptor = directory.open_for_writing()
    os.close(descriptor)
    modes = [p.stat().st_mode & 0o777 for p in (directory.root, directory.path, path)]
    assert modes == [0o700, 0o700, 0o600]
    assert (directory.root / "lock").stat().st_mode & 0o777 == 0o600


def test_a_directory_that_others_may_write_to_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(RequestError, match=r"prefix_cache_dir: .*writable by others"):
        directory_of(tmp_path)


def test_blocks_that_others_could_read_or_have_made_are_refused(tmp_path):
    directory = directory_of(tmp_path)
    directory.path.chmod(0o755)
    with pytest.raises(RequestError, match="only its owner"):
        directory_of(tmp_path)
    directory.path.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    directory.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match="only its owner"):
        directory_of(tmp_path)


def test_the_least_recently_used_segments_go_of_any_identity(tmp_path):
    other, mine = directory_of(tmp_path, b"o"), directory_of(tmp_path)
    theirs = written(other, used=100)
    first, second, third = (written(mine, used=when) for when in (200, 300, 400))
    os.utime(first, (500, 500))  # used again
    for _ in range(3):  # room for five
        assert written(mine).exists()
    assert [path.exists() for path in (theirs, first, second, third)] == [False, True, False, True]


def test_the_bound_holds(tmp_path):
    directory = directory_of(tmp_path)
    for when in range(20):
        written(directory, used=when)
        assert sum(path.stat().st_size for path in directory.segments()) <= 1000


def test_a_segment_that_is_being_written_stays_and_counts_as_full(tmp_path):
    directory = directory_of(tmp_path, max_bytes=400)
    path, descriptor = directory.open_for_writing()
    second, other = directory.open_for_writing()
    assert second != path
    with pytest.raises(OSError, match="no room"):
        directory.open_for_writing()
    assert path.exists()
    os.close(descriptor)
    os.close(other)


def test_a_segment_that_was_left_half_empty_is_filled(tmp_path):
    directory = directory_of(tmp_path)
    path = written(directory, size=50)
    again, descriptor = directory.open_for_writing()
    os.close(descriptor)
    assert again == path


def test_links_and_pipes_are_not_opened(tmp_path):
    directory = directory_of(tmp_path)
    os.mkfifo(directory.path / "pipe.kv")
    (tmp_path / "target").write_bytes(b"x")
    (directory.path / "link.kv").symlink_to(tmp_path / "target")
    for path in directory.segments():
        with pytest.raises(OSError):  # noqa: PT011
            directory.open(path)


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(prefix_directory, "SPARE_BYTES", 1 << 60)
    with pytest.raises(OSError, match="no room"):
        directory_of(tmp_path).open_for_writing()
