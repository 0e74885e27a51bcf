"""The rows about what a path may lead to, and about models split into parts (A-06 … A-09, A-54)."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from tests.corpus.builder import I32, U16, Gguf, Tensor, array, key
from tests.corpus.case import Case, Make
from tests.corpus.tiny_model import tiny_model

__all__ = ["cases", "split_model"]


def cases() -> list[Case]:
    return [*_special_files(), *_links(), *_odd_files(), *_splits()]


def _special_files() -> list[Case]:
    def folder(place: Path) -> Path:
        return place

    def fifo(place: Path) -> Path:
        os.mkfifo(place / "m.gguf")
        return place / "m.gguf"

    def unix_socket(place: Path) -> Path:
        path = place / "m.gguf"
        # A relative name, because a socket's path holds at most 107 bytes.
        here = Path.cwd()
        os.chdir(place)
        try:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind("m.gguf")
        finally:
            os.chdir(here)
        return path

    return [
        Case("A-06", "directory", folder, "a directory"),
        Case("A-06", "fifo", fifo, "a named pipe"),
        Case("A-06", "zero", lambda _: Path("/dev/zero"), "a device"),
        Case("A-06", "random", lambda _: Path("/dev/random"), "a device"),
        Case("A-06", "socket", unix_socket, "a socket"),
    ]


def _links() -> list[Case]:
    def link(target: str) -> Make:
        def make(place: Path) -> Path:
            (place / "link.gguf").symlink_to(target)
            return place / "link.gguf"

        return make

    def outside(place: Path) -> Path:
        (place / "root").mkdir()
        (place / "real.gguf").write_bytes(tiny_model().bytes())
        (place / "root" / "link.gguf").symlink_to("../real.gguf")
        return place / "root" / "link.gguf"

    return [
        Case("A-07", "loop", link("link.gguf"), "cannot open: .*symbolic links"),
        Case("A-07", "dangling", link("nowhere.gguf"), "cannot open: No such file"),
        Case("A-07", "out-of-the-folder", outside, None, "record"),
        Case("A-07", "no-such-file", lambda place: place / "no.gguf", "cannot open: No such file"),
        Case("A-07", "nul-in-path", lambda place: place / "a\0b", "cannot open: .*null"),
        Case("A-07", "long-name", lambda place: place / ("x" * 5000), "cannot open: .*too long"),
    ]


def _odd_files() -> list[Case]:
    def forbidden(place: Path) -> Path:
        path = place / "m.gguf"
        path.write_bytes(tiny_model().bytes())
        path.chmod(0)
        return path

    def odd_name(content: bytes) -> Make:
        def make(place: Path) -> Path:
            path = place / os.fsdecode(b"m\xff\x1b[2J\n.gguf")
            path.write_bytes(content)
            return path

        return make

    def one_tebibyte(place: Path) -> Path:
        path = place / "m.gguf"
        path.write_bytes(tiny_model().bytes())
        os.truncate(path, 1 << 40)
        return path

    found = [
        Case("A-08", "bad-file-odd-name", odd_name(b"GGUF"), r"m\\xff\\x1b\[2J\\n\.gguf:4: header"),
        Case("A-08", "good-file-odd-name", odd_name(tiny_model().bytes()), None, "record"),
        Case("A-09", "sparse-1-tib", one_tebibyte, None, "record", warning="bytes follow"),
    ]
    if os.geteuid() != 0:  # root may read everything
        found.append(Case("A-08", "mode-000", forbidden, "cannot open: Permission denied"))
    return found


def split_model(place: Path, stem: str = "m", count: int = 3, seed: bytes = b"") -> list[Path]:
    """Writes a tiny model in `count` parts; the first has all the metadata, as writers do it."""
    whole = tiny_model()
    paths = []
    for number in range(count):
        part = Gguf(whole.entries if number == 0 else [])
        part.tensors = whole.tensors[number::count]
        part.set(
            key("split.no", number, U16),
            key("split.count", count, U16),
            key("split.tensors.count", len(whole.tensors) + len(seed), I32),
        )
        paths.append(place / f"{stem}-{number + 1:05d}-of-{count:05d}.gguf")
        paths[-1].write_bytes(part.bytes())
    return paths


def _splits() -> list[Case]:
    def single(*entries: tuple[str, int], name: str = "m-00001-of-00003.gguf") -> Make:
        def make(place: Path) -> Path:
            file = tiny_model().set(*(key(k, v) for k, v in entries))
            (place / name).write_bytes(file.bytes())
            return place / name

        return make

    def good(place: Path) -> Path:
        return split_model(place)[0]

    def missing(place: Path) -> Path:
        paths = split_model(place)
        paths[1].unlink()
        return paths[0]

    def swapped(place: Path) -> Path:
        paths = split_model(place)
        paths[1].rename(place / "x")
        paths[2].rename(paths[1])
        (place / "x").rename(paths[2])
        return paths[0]

    def first_swapped(place: Path) -> Path:
        paths = split_model(place)
        paths[0].rename(place / "x")
        paths[1].rename(paths[0])
        (place / "x").rename(paths[1])
        return paths[0]

    def other_model(place: Path) -> Path:
        paths = split_model(place)
        other = split_model(place, "other", seed=b"x")
        shutil.copy(other[1], paths[1])
        return paths[0]

    def other_name(place: Path) -> Path:
        paths = split_model(place)
        part = Gguf([key("general.name", "another model")])
        part.set(key("split.no", 1), key("split.count", 3))
        paths[1].write_bytes(part.bytes())
        return paths[0]

    def array_for_a_name(place: Path) -> Path:
        paths = split_model(place)
        part = Gguf([array("general.name", I32, [1, 2])])
        paths[1].write_bytes(part.set(key("split.no", 1), key("split.count", 3)).bytes())
        return paths[0]

    def another_count(place: Path) -> Path:
        paths = split_model(place)
        part = Gguf([key("split.no", 1), key("split.count", 2)])
        paths[1].write_bytes(part.bytes())
        return paths[0]

    def too_few_tensors(place: Path) -> Path:
        paths = split_model(place)
        part = Gguf([key("split.no", 1), key("split.count", 3)])
        paths[1].write_bytes(part.bytes())
        return paths[0]

    def same_part_twice(place: Path) -> Path:
        paths = split_model(place)
        shutil.copy(paths[1], paths[2])
        return paths[0]

    def same_tensor_twice(place: Path) -> Path:
        paths = split_model(place)
        part = Gguf([key("split.no", 1), key("split.count", 3)])
        part.tensors = [Tensor(b"token_embd.weight", [8], 0, bytes(32))]
        paths[1].write_bytes(part.bytes())
        return paths[0]

    def middle(place: Path) -> Path:
        return split_model(place)[1]

    def part_is_broken(place: Path) -> Path:
        paths = split_model(place)
        paths[2].write_bytes(b"<html>")
        return paths[0]

    def odd_names(place: Path) -> Path:
        (place / "a").mkdir()
        paths = split_model(place / "a", "%n%s..")
        paths[2].unlink()
        return place / "a" / ".." / "a" / paths[0].name

    unnamed = single(("split.count", 3), ("split.no", 0), name="m.gguf")
    return [
        Case("A-54", "three-good-parts", good, None, "record"),
        Case("A-54", "count-1", single(("split.count", 1), ("split.no", 0)), None, "record"),
        Case("A-54", "count-0", single(("split.count", 0)), "split.count: read 0"),
        Case("A-54", "count-65535", single(("split.count", 65535)), "split.count: read 65535"),
        Case("A-54", "count-not-a-number", _text_count, "split.count: .*an integer"),
        Case("A-54", "count-not-in-name", unnamed, "-00001-of-00003.gguf"),
        Case("A-54", "part-missing", missing, "missing part: .*m-00002-of-00003.gguf"),
        Case("A-54", "parts-swapped", swapped, "m-00002-of-00003.gguf:.* split.no: read 2"),
        Case("A-54", "first-part-swapped", first_swapped, "split.no: .*renamed or swapped"),
        Case("A-54", "part-of-another-model", other_model, "m-00002-of.* split.tensors.count"),
        Case("A-54", "part-with-another-name", other_name, "m-00002-of.*general.name"),
        Case("A-54", "array-for-a-name", array_for_a_name, "general.name: read 'array of int32'"),
        Case("A-54", "another-count", another_count, "m-00002-of.* split.count: read 2"),
        Case(
            "A-54", "too-few-tensors", too_few_tensors, "m-00001-of.* split.tensors.count: read 20"
        ),
        Case("A-54", "same-part-twice", same_part_twice, "m-00003-of.* split.no: read 1"),
        Case("A-54", "same-tensor-twice", same_tensor_twice, "each tensor once"),
        Case("A-54", "middle-part-opened", middle, "open .*m-00001-of-00003.gguf"),
        Case("A-54", "one-part-is-a-web-page", part_is_broken, "m-00003-of-00003.gguf.*web page"),
        Case("A-54", "odd-names", odd_names, r"missing part: .*%n%s\.\.-00003-of-00003.gguf"),
    ]


def _text_count(place: Path) -> Path:
    path = place / "m-00001-of-00003.gguf"
    path.write_bytes(tiny_model().set(key("split.count", "3")).bytes())
    return path
