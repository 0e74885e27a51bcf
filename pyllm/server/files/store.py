"""Where files are kept: a private directory, bounded, every file its owner's alone."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pyllm.server.errors import ApiError
from pyllm.server.files.directory import PrivateDirectory

MAX_NAME_CHARS = 255


@dataclass(eq=False)
class StoredFile:
    """One file.

    tenant      of the key that it belongs to
    name        as its owner called it, made harmless; never a path on this machine
    created_at  seconds since 1970
    users       batches that still read it
    """

    id: str
    tenant: str | None
    name: str
    purpose: str
    path: Path
    bytes: int
    created_at: int = field(default_factory=lambda: int(time.time()))
    users: int = 0


class FileStore:
    """Used on one event loop; only a writer's `write` may be called on another thread.

    parent     of the directory, which is made when the first file comes and is removed by `close`;
               None: the system's place for temporary files
    max_files  and max_bytes: of all owners together
    """

    def __init__(self, parent: Path | None, max_files: int, max_bytes: int) -> None:
        self._parent = parent
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._directory: PrivateDirectory | None = None
        self._files: dict[str, StoredFile] = {}  # oldest first
        self._bytes = 0  # of all files, and of those that are being written
        self._writers = 0

    def create(self, tenant: str | None, purpose: str) -> FileWriter:
        """A new file, not seen by anybody until it is kept. ApiError when there are too many."""
        if len(self._files) + self._writers >= self._max_files:
            limit = f"the server keeps {self._max_files} files, no more; delete some"
            raise ApiError(400, limit, "too_many_files")
        writer = FileWriter(self, self._new_path(), tenant, purpose)
        self._writers += 1
        return writer

    def get(self, tenant: str | None, file_id: str) -> StoredFile:
        """ApiError when there is none, or it is another's: nobody learns which."""
        found = self._files.get(file_id)
        if found is None or found.tenant != tenant:
            raise ApiError(404, f"there is no file {file_id[:100]!r}", "not_found", param="file_id")
        return found

    def list(self, tenant: str | None, purpose: str | None = None) -> list[StoredFile]:
        """Oldest first."""
        return [
            file
            for file in self._files.values()
            if file.tenant == tenant and purpose in (None, file.purpose)
        ]

    def delete(self, tenant: str | None, file_id: str) -> None:
        file = self.get(tenant, file_id)
        if file.users:
            raise ApiError(
                409, "a batch still reads the file; cancel the batch first", "file_in_use"
            )
        del self._files[file_id]
        file.path.unlink(missing_ok=True)
        self._bytes -= file.bytes

    def close(self) -> None:
        """Remove everything."""
        if self._directory is not None:
            self._directory.close()

    def reserve(self, num_bytes: int) -> None:
        """ApiError when the files would take too much of the disk."""
        if self._bytes + num_bytes > self._max_bytes:
            limit = f"all files together may have {self._max_bytes} bytes; delete some"
            raise ApiError(413, limit, "storage_full")
        self._bytes += num_bytes

    def written(self, file: StoredFile | None, num_bytes: int) -> None:
        """A writer is done; without a file it gives back its bytes."""
        self._writers -= 1
        if file is None:
            self._bytes -= num_bytes
        else:
            self._files[file.id] = file

    def _new_path(self) -> Path:
        if self._directory is None:
            self._directory = PrivateDirectory(self._parent)
        return self._directory.path / f"file-{secrets.token_hex(16)}"


class FileWriter:
    """A file on its way to the disk: `reserve` and `write`, then `keep` or `discard`."""

    def __init__(self, store: FileStore, path: Path, tenant: str | None, purpose: str) -> None:
        self.purpose = purpose
        self._store = store
        self._path = path
        self._tenant = tenant
        self._bytes = 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._stream: BinaryIO | None = os.fdopen(descriptor, "wb")

    def reserve(self, num_bytes: int) -> None:
        """Before they are written, on the event loop. ApiError."""
        self._store.reserve(num_bytes)
        self._bytes += num_bytes

    def write(self, data: bytes) -> None:
        """Raises OSError. May take as long as the disk does."""
        assert self._stream is not None
        self._stream.write(data)

    @property
    def is_empty(self) -> bool:
        return self._bytes == 0

    def keep(self, name: str) -> StoredFile:
        """Now it is a file. Raises OSError."""
        assert self._stream is not None
        self._stream.close()
        self._stream = None
        file_id, shown = self._path.name, harmless(name)
        file = StoredFile(file_id, self._tenant, shown, self.purpose, self._path, self._bytes)
        self._store.written(file, self._bytes)
        return file

    def discard(self) -> None:
        """Unless it was kept; may be repeated."""
        if self._stream is not None:
            self._path.unlink(missing_ok=True)
            stream, self._stream = self._stream, None
            self._store.written(None, self._bytes)
            with contextlib.suppress(OSError):  # it writes what is buffered; the disk may be full
                stream.close()


def harmless(name: str) -> str:
    """What a client called a file, without directories and without what drives a terminal."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(c if c.isprintable() else "_" for c in last)
    return shown[:MAX_NAME_CHARS] or "file"
