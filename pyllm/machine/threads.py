"""How many threads to compute with: physical cores we may run on, within the CPU quota.

Two hyper-threads of a core share its vector units, so a second thread per core adds no speed and
costs barriers. Threads beyond a container's CPU quota are worse than useless: the kernel stops
the whole group for the rest of each 100 ms period.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pyllm.machine import cgroup

__all__ = ["ThreadChoice", "choose_threads", "default_num_threads"]


@dataclass(frozen=True)
class ThreadChoice:
    """The thread count and the three numbers it follows from."""

    num_threads: int
    num_cpus: int  # logical CPUs in the affinity mask
    num_cores: int  # physical cores these CPUs belong to
    quota: float | None  # CPUs the control group may use, None = no limit

    @property
    def reason(self) -> str:
        """One phrase for `pyllm doctor`."""
        cpus = _count(self.num_cpus, "logical CPU")
        cores = f"{_count(self.num_cores, 'physical core')} ({cpus} allowed)"
        if self.quota is None:
            return f"{cores}, no CPU quota"
        binding = "limited by" if self.num_threads < self.num_cores else "within"
        return f"{cores}, {binding} a CPU quota of {self.quota:g}"


def default_num_threads() -> int:
    """Threads to use on this machine, at least 1."""
    return choose_threads().num_threads


def choose_threads(
    root: Path = Path("/"), allowed_cpus: Collection[int] | None = None
) -> ThreadChoice:
    """Reads the affinity mask, the core topology and the quota below `root`.

    allowed_cpus  logical CPU numbers; None asks the operating system.
    """
    cpus = _affinity() if allowed_cpus is None else frozenset(allowed_cpus)
    cores = {_core_of(root, cpu) for cpu in cpus}
    quota = cgroup.cpu_quota(root)
    num_threads = len(cores)
    if quota is not None:
        # Nearest whole number: at most half a CPU stays unused or is asked for in vain.
        num_threads = min(num_threads, int(quota + 0.5))
    return ThreadChoice(max(1, num_threads), len(cpus), len(cores), quota)


def _affinity() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))  # macOS and Windows have no mask to read


def _core_of(root: Path, cpu: int) -> str:
    """A name shared by exactly the hyper-threads of one core."""
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    # core_cpus_list is the name since Linux 5.3; both list the core's logical CPUs ("0,64").
    for name in ("core_cpus_list", "thread_siblings_list"):
        try:
            siblings = (topology / name).read_text("ascii", "replace").strip()
        except OSError:
            continue
        if siblings:
            return siblings
    return f"cpu{cpu}"  # no topology: every CPU counts as a core


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
