"""Thread choice on made-up machines: small trees of /sys and /proc files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyllm.machine.threads import choose_threads, default_num_threads


def add_cores(root: Path, cores: list[list[int]], name: str = "core_cpus_list") -> None:
    for siblings in cores:
        for cpu in siblings:
            topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
            topology.mkdir(parents=True)
            (topology / name).write_text(",".join(map(str, siblings)) + "\n")


def add_v2_quota(root: Path, group: str, cpu_max: str) -> None:
    proc = root / "proc/self"
    proc.mkdir(parents=True, exist_ok=True)
    (proc / "cgroup").write_text(f"0::{group}\n")
    (proc / "mountinfo").write_text(
        "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
    )
    directory = root / "sys/fs/cgroup" / group.lstrip("/")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "cpu.max").write_text(cpu_max + "\n")


FOUR_CORES = [[0, 4], [1, 5], [2, 6], [3, 7]]


@pytest.mark.parametrize("name", ["core_cpus_list", "thread_siblings_list"])
def test_hyper_threads_count_once(tmp_path: Path, name: str) -> None:
    add_cores(tmp_path, FOUR_CORES, name)
    choice = choose_threads(tmp_path, range(8))
    assert (choice.num_threads, choice.num_cpus, choice.num_cores) == (4, 8, 4)
    assert choice.reason == "4 physical cores (8 logical CPUs allowed), no CPU quota"


def test_affinity_mask_limits_the_cores(tmp_path: Path) -> None:
    add_cores(tmp_path, FOUR_CORES)
    assert choose_threads(tmp_path, [0, 4]).num_threads == 1  # both threads of one core
    assert choose_threads(tmp_path, [0, 1]).num_threads == 2


def test_machine_without_topology_counts_cpus(tmp_path: Path) -> None:
    assert choose_threads(tmp_path, range(3)).num_threads == 3


@pytest.mark.parametrize(
    ("cpu_max", "expected"),
    [
        ("max 100000", 4),
        ("800000 100000", 4),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("120000 100000", 1),
        ("10000 100000", 1),
        ("nonsense", 4),
        ("100000 0", 4),
    ],
)
def test_v2_quota(tmp_path: Path, cpu_max: str, expected: int) -> None:
    add_cores(tmp_path, FOUR_CORES)
    add_v2_quota(tmp_path, "/", cpu_max)
    assert choose_threads(tmp_path, range(8)).num_threads == expected


def test_quota_of_a_parent_group_counts(tmp_path: Path) -> None:
    add_cores(tmp_path, FOUR_CORES)
    add_v2_quota(tmp_path, "/kubepods", "100000 100000")
    add_v2_quota(tmp_path, "/kubepods/pod1", "300000 100000")
    choice = choose_threads(tmp_path, range(8))
    assert choice.num_threads == 1
    assert choice.reason.endswith("limited by a CPU quota of 1")


def test_v1_quota_with_the_group_as_mount_root(tmp_path: Path) -> None:
    """Docker on a v1 host: paths are the host's, only the container's own group is mounted."""
    add_cores(tmp_path, FOUR_CORES)
    proc, mount = tmp_path / "proc/self", tmp_path / "sys/fs/cgroup/cpu,cpuacct"
    proc.mkdir(parents=True)
    mount.mkdir(parents=True)
    (proc / "cgroup").write_text("5:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n")
    (proc / "mountinfo").write_text(
        "33 24 0:28 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
    )
    (mount / "cpu.cfs_quota_us").write_text("200000\n")
    (mount / "cpu.cfs_period_us").write_text("100000\n")
    assert choose_threads(tmp_path, range(8)).num_threads == 2
    (mount / "cpu.cfs_quota_us").write_text("-1\n")
    assert choose_threads(tmp_path, range(8)).num_threads == 4


def test_group_outside_our_namespace_reads_the_mount_point(tmp_path: Path) -> None:
    add_cores(tmp_path, FOUR_CORES)
    add_v2_quota(tmp_path, "/", "200000 100000")
    (tmp_path / "proc/self/cgroup").write_text("0::/../../other\n")
    assert choose_threads(tmp_path, range(8)).num_threads == 2


def test_this_machine() -> None:
    assert 1 <= default_num_threads() <= (os.cpu_count() or 1)
