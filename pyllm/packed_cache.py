"""Files that keep packed weights: a later start maps them and neither reads nor packs the model.

One file per model under $XDG_CACHE_HOME/pyllm/packed (~/.cache/pyllm/packed). Its name is a hash
of what decides its content:

- the version of the packed layout,
- the model's header and tensor table, its size and its time of modification,
- the first and last 4 KB of each tensor,
- the name, type and shape of each weight in the file.

The time of modification is there because downloaders reserve a file's whole size first: a model
that was opened half written must not leave a cache that fits the finished one. The bytes a
process reads later are verified tile by tile (csrc/packed_cache.h).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyllm import _core
from pyllm.errors import printable
from pyllm.gguf import GGUFFile

__all__ = ["CachedWeight", "Progress", "cache_directory", "use_packed_cache"]

Progress = Callable[[int, int], None]  # (bytes done, bytes in all)

MOST_BYTES: Final = 64 << 30  # of all cache files; the least recently used go first
SPARE_BYTES: Final = 1 << 30  # of disk space that stay free
SAMPLE_BYTES: Final = 4096
SUFFIX: Final = ".packed"
PARTIAL: Final = ".partial"


@dataclass(frozen=True, slots=True)
class CachedWeight:
    """A matrix of the model, not yet touched by a step."""

    name: str
    tensor: _core.PackedTensor


def use_packed_cache(
    file: GGUFFile, weights: Sequence[CachedWeight], threads: int, progress: Progress | None = None
) -> bool:
    """Attaches the weights to the model's cache file, which is written first if there is none.

    A cache that cannot be used or written costs nothing but its advantage: one line on stderr
    says why, the answer is False and the weights are packed from the model as without it.
    """
    try:
        directory = cache_directory()
        key = cache_key(file, weights)
        path = directory / (key.hex() + SUFFIX)
        if _opened(path, key, weights):
            return True
        _write(path, key, weights, threads, progress or _silent)
        return _opened(path, key, weights)
    except OSError as error:
        reason = error.strerror or str(error)
        _note(f"no packed cache: {printable(str(error.filename or ''))}: {reason}")
        return False


def cache_directory() -> Path:
    """Where the files are; XDG's rule, in which a relative path does not count."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    root = base if base.is_absolute() else Path.home() / ".cache"
    return root / "pyllm" / "packed"


def cache_key(file: GGUFFile, weights: Sequence[CachedWeight]) -> bytes:
    """16 bytes that name the cache; see the module's description."""
    parts, sums = _model_facts(file)
    facts = [f"layout {_core.LAYOUT_VERSION}", *parts]
    for weight in weights:
        tensor = weight.tensor
        facts.append(f"{weight.name} {tensor.type} {tensor.rows} {tensor.cols}")
    return _key([*facts, *map(str, sums)])


def model_key(file: GGUFFile) -> bytes:
    """16 bytes that name the model file with its tokenizer; see the module's description."""
    parts, sums = _model_facts(file)
    return _key([*parts, *map(str, sums)])


def build_key() -> bytes:
    """8 bytes that name the core's build, on whose arithmetic computed bits depend."""
    return _core.checksum(Path(_core.__file__).read_bytes(), 2).to_bytes(8, "little")


def _model_facts(file: GGUFFile) -> tuple[list[str], list[int]]:
    """Size and time of each part; sums of its header and of samples of its tensors."""
    parts, sums = [], list[int]()
    for index in range(len(file.part_paths)):
        status = os.fstat(file.descriptor(index))
        inside = [info for info in file.tensors.values() if info.part == index]
        start = min((info.offset for info in inside), default=status.st_size)
        parts.append(f"part {index}: {status.st_size} {status.st_mtime_ns}")
        sums += _sums(file.mapped(index)[:start])
        for info in inside:
            data = file.mapped(index)[info.offset : info.offset + info.nbytes]
            sums += [*_sums(data[:SAMPLE_BYTES]), *_sums(data[-SAMPLE_BYTES:])]
    return parts, sums


def _key(facts: Sequence[str]) -> bytes:
    return b"".join(value.to_bytes(8, "little") for value in _sums("\n".join(facts).encode()))


def _sums(data: bytes | memoryview) -> tuple[int, int]:
    return _core.checksum(data, 2), _core.checksum(data, 3)


def _opened(path: Path, key: bytes, weights: Sequence[CachedWeight]) -> bool:
    """Attaches to the cache at `path`; a file that is not a whole cache is removed."""
    try:
        _core.open_packed_cache(str(path), key, [weight.tensor for weight in weights])
    except FileNotFoundError:
        return False
    except ValueError as error:
        _note(f"{printable(str(path))} was removed: {error}")
        path.unlink(missing_ok=True)
        return False
    with contextlib.suppress(OSError):
        os.utime(path)  # when it was used last
    return True


def _write(
    path: Path, key: bytes, weights: Sequence[CachedWeight], threads: int, progress: Progress
) -> None:
    """Writes beside `path` and renames: whoever is killed leaves the old state."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_leftovers(path.parent)
    tensors = [weight.tensor for weight in weights]
    _make_room(path.parent, sum(tensor.nbytes for tensor in tensors))
    with _partial_file(path) as (partial, descriptor):
        try:
            _core.write_packed_cache(descriptor, key, tensors, threads, progress)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        partial.rename(path)
    _sync_directory(path.parent)


@contextlib.contextmanager
def _partial_file(path: Path) -> Iterator[tuple[Path, int]]:
    """A new file, locked as long as its writer lives, removed unless it was renamed."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}{PARTIAL}")
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield partial, descriptor
    finally:
        partial.unlink(missing_ok=True)
        os.close(descriptor)


def _remove_leftovers(directory: Path) -> None:
    """Removes what killed writers left: nobody holds the lock of those files."""
    for partial in directory.glob(f"*{PARTIAL}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(partial, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                partial.unlink()
            finally:
                os.close(descriptor)


def _make_room(directory: Path, needed: int) -> None:
    """Removes least recently used caches until the new one fits; OSError when it cannot."""
    kept = sorted(directory.glob(f"*{SUFFIX}"), key=lambda file: file.stat().st_mtime)
    total = needed + sum(file.stat().st_size for file in kept)
    space = os.statvfs(directory)
    free = space.f_bavail * space.f_frsize
    for file in kept:
        if total <= MOST_BYTES and free >= needed + SPARE_BYTES:
            break
        size = file.stat().st_size
        file.unlink()
        total -= size
        free += size
    if total > MOST_BYTES or free < needed + SPARE_BYTES:
        limit = min(MOST_BYTES, max(0, free - SPARE_BYTES))
        raise OSError(None, f"it needs {needed} bytes, {limit} may be used", str(directory))


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _note(text: str) -> None:
    sys.stderr.write(f"pyllm: {text}\n")


def _silent(done: int, total: int) -> None:
    """Progress that nobody watches."""
