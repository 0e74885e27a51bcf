"""MappedFile: regular files only."""

from __future__ import annotations

import errno
import os

import pytest

from pyllm.errors import ModelFileError
from pyllm.gguf import mapping
from pyllm.gguf.mapping import MappedFile


def test_a_file_is_mapped_and_close_gives_everything_back(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"content")
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    file = MappedFile(str(path))
    assert file.data[:] == b"content"
    assert os.pread(file.descriptor, 3, 4) == b"ent"
    file.close()
    file.close()  # a second time does nothing
    assert file.descriptor == -1
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_what_the_system_says_is_in_the_error(monkeypatch, code):
    # Root may open anything, so the refusal is staged.
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(mapping.os, "open", refuse)
    with pytest.raises(ModelFileError, match=os.strerror(code)):
        MappedFile("m.gguf")


def test_a_mapping_that_fails_closes_the_descriptor(tmp_path, monkeypatch):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"content")

    def refuse(*_, **__):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(mapping.mmap, "mmap", refuse)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(ModelFileError, match="Cannot allocate memory"):
        MappedFile(str(path))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_file_that_nobody_closes_leaves_no_descriptor(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"content")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    MappedFile(str(path))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
