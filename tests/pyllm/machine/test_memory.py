"""Available memory is the smaller of the machine's and the control group's."""

from __future__ import annotations

from pathlib import Path

from pyllm.machine.memory import available_memory


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = "MemTotal:       32768000 kB\nMemFree:  1 kB\nMemAvailable:    2048 kB\n"
CGROUP = {
    "proc/self/cgroup": "0::/job\n",
    "proc/self/mountinfo": "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
}


def test_machine_without_limit(tmp_path: Path) -> None:
    assert available_memory(tree(tmp_path, {"proc/meminfo": MEMINFO})) == 2048 * 1024


def test_limit_of_the_control_group_less_what_we_hold(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/status": "VmRSS:\t900 kB\nRssAnon:\t   24 kB\n",
        "sys/fs/cgroup/job/memory.max": str(1024 * 1024),
        **CGROUP,
    }
    assert available_memory(tree(tmp_path, files)) == 1000 * 1024


def test_limit_that_is_used_up_leaves_nothing(tmp_path: Path) -> None:
    files = {
        "proc/self/status": "RssAnon:\t   24 kB\n",
        "sys/fs/cgroup/job/memory.max": "4096",
        **CGROUP,
    }
    assert available_memory(tree(tmp_path, files)) == 0


def test_unknown_where_nothing_is_written(tmp_path: Path) -> None:
    assert available_memory(tmp_path) is None
    assert available_memory(tree(tmp_path, {"proc/meminfo": "MemAvailable: lots\n"})) is None


def test_this_machine_has_some() -> None:
    found = available_memory()
    assert found is None or found > 0
