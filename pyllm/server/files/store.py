"""Where files are kept: a private directory, bounded, every file its owner's alone."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import time
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pyllm.server.errors import ApiError
from pyllm.server.files.directory import PrivateDirectory, replace_file
from pyllm.server.files.kept_directory import KeptDirectory

_log = logging.getLogger(__name__)

MAX_NAME_CHARS = 255
_RECORDED = ("id", "tenant", "name", "purpose", "created_at")


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

    parent     of the directory that files are kept in, also for the next server; None: they lie in
               the system's place for temporary files, and are removed by `close`
    max_files  and max_bytes: of all owners together
    Raises what KeptDirectory raises.
    """

    def __init__(self, parent: Path | None, max_files: int, max_bytes: int) -> None:
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._kept = None if parent is None else KeptDirectory(parent)
        self._temporary: PrivateDirectory | None = None
        self._files: dict[str, StoredFile] = {}  # oldest first
        self._bytes = 0  # of all files, and of those that are being written
        self._writers = 0
        if self._kept is not None:
            self._load(self._kept.path)

    @property
    def kept(self) -> Path | None:
        """Where files outlive this process; None: they do not."""
        return None if self._kept is None else self._kept.path

    @property
    def secret(self) -> bytes | None:
        """What `tenant`s must be made with to be the same for the next server."""
        return None if self._kept is None else self._kept.secret

    def create(self, tenant: str | None, purpose: str) -> FileWriter:
        """A new file, not seen by anybody until it is kept. ApiError when there are too many."""
        if len(self._files) + self._writers >= self._max_files:
            limit = f"the server keeps {self._max_files} files, no more; delete some"
            raise ApiError(400, limit, "too_many_files")
        writer = FileWriter(self, self._new_path(), tenant, purpose)
        self._writers += 1
        return writer

    def reopen(self, tenant: str | None, purpose: str, file_id: str, num_bytes: int) -> FileWriter:
        """The first bytes of a file that a server before this one wrote, to be gone on with."""
        assert self.kept is not None
        writer = FileWriter(self, self.kept / file_id, tenant, purpose, num_bytes)
        if (known := self._files.pop(file_id, None)) is not None:
            self._bytes -= known.bytes
            self._record(known).unlink(missing_ok=True)
        self._writers += 1
        self._bytes += num_bytes
        return writer

    def known(self, tenant: str | None, file_id: str) -> StoredFile:
        """What was called so once; of one that is deleted nothing but its name is known."""
        gone = StoredFile(file_id, tenant, "", "", Path(os.devnull), 0)
        return self._files.get(file_id, gone)

    def remove_unfinished(self, needed: Container[str | None]) -> None:
        """What servers before this one began to write, but for the files with `needed` ids.

        A file with a record that could not be read was whole: it stays for who can read it.
        """
        for path in [] if self.kept is None else self.kept.glob("file-*"):
            if path.suffix == ".json" or path.name in self._files or path.name in needed:
                continue
            if not path.with_name(f"{path.name}.json").exists():
                path.unlink(missing_ok=True)

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
        """ApiError when there is none (404), or a batch still reads it (409)."""
        file = self.get(tenant, file_id)
        if file.users:
            raise ApiError(
                409, "a batch still reads the file; cancel the batch first", "file_in_use"
            )
        del self._files[file_id]
        file.path.unlink(missing_ok=True)
        if self._kept is not None:
            self._record(file).unlink(missing_ok=True)
        self._bytes -= file.bytes

    def close(self) -> None:
        """Remove what is not kept."""
        for directory in (self._temporary, self._kept):
            if directory is not None:
                directory.close()

    def reserve(self, num_bytes: int) -> None:
        """ApiError when the files would take too much of the disk."""
        if self._bytes + num_bytes > self._max_bytes:
            limit = f"all files together may have {self._max_bytes} bytes; delete some"
            raise ApiError(413, limit, "storage_full")
        self._bytes += num_bytes

    def written(self, file: StoredFile | None, num_bytes: int) -> None:
        """A writer is done; without a file it gives back its bytes.

        Raises OSError when the file cannot be recorded: then it is gone too.
        """
        self._writers -= 1
        if file is None:
            self._bytes -= num_bytes
            return
        try:
            self._remember(file)
        except OSError:
            self._bytes -= num_bytes
            file.path.unlink(missing_ok=True)
            raise
        self._files[file.id] = file

    def _remember(self, file: StoredFile) -> None:
        if self._kept is not None:
            record = {name: getattr(file, name) for name in _RECORDED}
            replace_file(self._record(file), json.dumps(record).encode())

    def _new_path(self) -> Path:
        if self._kept is None and self._temporary is None:
            self._temporary = PrivateDirectory(None)
        directory = self._kept or self._temporary
        assert directory is not None
        return directory.path / f"file-{secrets.token_hex(16)}"

    def _record(self, file: StoredFile) -> Path:
        return file.path.with_name(f"{file.id}.json")

    def _load(self, directory: Path) -> None:
        found = []
        for path in directory.glob("file-*.json"):
            try:
                record = json.loads(path.read_bytes())
                content = path.with_suffix("")
                size = content.stat().st_size
                found.append(StoredFile(path=content, bytes=size, **record))
            except (OSError, ValueError, TypeError) as error:
                _log.error("the file %s cannot be read: %r", path.stem, error)
        self._files = {file.id: file for file in sorted(found, key=lambda file: file.created_at)}
        self._bytes = sum(file.bytes for file in found)


class FileWriter:
    """A file on its way to the disk: `reserve` and `write`, then `keep`, `leave` or `discard`.

    num_bytes  of it that are there already; None: it is a new file
    """

    def __init__(
        self,
        store: FileStore,
        path: Path,
        tenant: str | None,
        purpose: str,
        num_bytes: int | None = None,
    ) -> None:
        self.purpose = purpose
        self._store = store
        self._path = path
        self._tenant = tenant
        self._bytes = num_bytes or 0
        new = os.O_EXCL if num_bytes is None else os.O_APPEND
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | new, 0o600)
        os.ftruncate(descriptor, self._bytes)
        self._stream: BinaryIO | None = os.fdopen(descriptor, "wb")

    def reserve(self, num_bytes: int) -> None:
        """Before they are written, on the event loop. ApiError."""
        self._store.reserve(num_bytes)
        self._bytes += num_bytes

    def write(self, data: bytes) -> None:
        """Raises OSError. May take as long as the disk does."""
        assert self._stream is not None
        self._stream.write(data)
        self._stream.flush()  # a process that is killed leaves it behind

    @property
    def file_id(self) -> str:
        """What the file is called by once it is kept."""
        return self._path.name

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

    def leave(self) -> None:
        """As far as it is written, for the next server to `reopen`."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            self._store.written(None, self._bytes)
            with contextlib.suppress(OSError):  # it writes what is buffered; the disk may be full
                stream.close()

    def discard(self) -> None:
        """Unless it was kept; may be repeated."""
        if self._stream is not None:
            self._path.unlink(missing_ok=True)
            self.leave()


def harmless(name: str) -> str:
    """What a client called a file, without directories and without what drives a terminal."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(c if c.isprintable() else "_" for c in last)
    return shown[:MAX_NAME_CHARS] or "file"
