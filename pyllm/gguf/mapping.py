"""Opens a model file for reading: regular files only, never blocks, mapped read-only."""

from __future__ import annotations

import errno
import mmap
import os
import stat

from pyllm.errors import ModelFileError

__all__ = ["map_file"]

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def map_file(path: str) -> mmap.mmap:
    """The file's bytes, mapped read-only and shared with every other process that reads it.

    Raises ModelFileError when the file cannot be opened, is not a regular file or is empty.
    The mapping is at most the file's size at this moment: later growth is not seen.
    """
    # O_NONBLOCK: opening a pipe without a writer would wait for ever.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _open_error(path, error) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _not_regular(path, status.st_mode)
        if status.st_size == 0:
            raise ModelFileError(
                path, 0, "file", "0 bytes", "a GGUF file", "the file is empty; download it again"
            )
        return mmap.mmap(descriptor, status.st_size, access=mmap.ACCESS_READ)
    except OSError as error:
        raise _open_error(path, error) from None
    finally:
        os.close(descriptor)


def _open_error(path: str, error: OSError | ValueError) -> ModelFileError:
    reason = str(error)
    if isinstance(error, OSError):
        if error.errno == errno.ENXIO:  # what Linux answers for opening a socket
            return ModelFileError(path, None, "file", "a socket", "a regular file")
        reason = error.strerror or reason
    return ModelFileError(path, None, "cannot open", None, reason, "check the path")


def _not_regular(path: str, mode: int) -> ModelFileError:
    kind = next((name for test, name in _KINDS if test(mode)), "a special file")
    hint = "name the .gguf file inside it" if stat.S_ISDIR(mode) else ""
    return ModelFileError(path, None, "file", kind, "a regular file", hint)
