"""Memory limits of made-up control groups; CPU quotas are in test_threads.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyllm.machine.cgroup import cpu_quota, memory_limit


def fake_group(root: Path, *, version: int, files: dict[str, str]) -> None:
    proc, mount = root / "proc/self", root / "sys/fs/cgroup"
    group = mount / "box"
    proc.mkdir(parents=True)
    group.mkdir(parents=True)
    kind, options, names = (
        ("cgroup2", "rw", "") if version == 2 else ("cgroup", "rw,memory", "memory")
    )
    (proc / "cgroup").write_text(f"0:{names}:/box\n")
    (proc / "mountinfo").write_text(f"31 23 0:28 / /sys/fs/cgroup rw - {kind} {kind} {options}\n")
    for name, text in files.items():
        (mount / name).write_text(text + "\n")


@pytest.mark.parametrize(
    ("version", "files", "expected"),
    [
        (2, {"box/memory.max": "1073741824"}, 1 << 30),
        (2, {"box/memory.max": "max"}, None),
        (2, {"box/memory.max": "max", "memory.max": "4096"}, 4096),
        (1, {"box/memory.limit_in_bytes": "2147483648"}, 1 << 31),
        (1, {"box/memory.limit_in_bytes": "9223372036854771712"}, None),
        (1, {}, None),
    ],
)
def test_memory_limit(
    tmp_path: Path, version: int, files: dict[str, str], expected: int | None
) -> None:
    fake_group(tmp_path, version=version, files=files)
    assert memory_limit(tmp_path) == expected
    assert cpu_quota(tmp_path) is None


def test_machine_without_control_groups(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) is None
    assert cpu_quota(tmp_path) is None
