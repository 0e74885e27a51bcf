"""Opens a model file for reading: regular files only, never blocks, mapped read-only."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import stat

from pyllm.errors import ModelFileError

__all__ = ["MappedFile"]

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class MappedFile:
    """A file's bytes, mapped read-only and shared with every other process that reads it.

    data        the mapping: at most the file's size when it was opened, later growth is not seen
    descriptor  of the same file, for reads that must not fault when it is cut short
    """

    def __init__(self, path: str) -> None:
        """Raises ModelFileError when it cannot be opened, is not a regular file or is empty."""
        self.descriptor = -1
        # O_NONBLOCK: opening a pipe without a writer would wait for ever.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self.descriptor = os.open(path, flags)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise _open_error(path, error) from None
        try:
            self.data = mmap.mmap(
                self.descriptor, _checked_size(path, self.descriptor), access=mmap.ACCESS_READ
            )
        except OSError as error:
            self._close_descriptor()
            raise _open_error(path, error) from None
        except BaseException:
            self._close_descriptor()
            raise

    def close(self) -> None:
        """Closes the descriptor and, unless a view is in use, the mapping; may be repeated."""
        self._close_descriptor()
        # With a view in use the mapping goes when the last view does.
        with contextlib.suppress(BufferError):
            self.data.close()

    def _close_descriptor(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __del__(self) -> None:
        self._close_descriptor()


def _checked_size(path: str, descriptor: int) -> int:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path, status.st_mode)
    if status.st_size == 0:
        raise ModelFileError(
            path, 0, "file", "0 bytes", "a GGUF file", "the file is empty; download it again"
        )
    return status.st_size


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
