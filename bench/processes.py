"""One run of a command that generates text: when its first byte came and what memory it took."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PROMPT = "The quick brown fox jumps over the lazy"  # 9 tokens with Llama 3's vocabulary, BOS too
SAMPLE_S = 0.01
# An installed program has its bytecode; compiling it anew at every start would cost 0.08 s.
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


@dataclass(frozen=True)
class Run:
    """What one process did; sizes in bytes."""

    first_byte_s: float  # from its start to the first byte on stdout
    end_s: float
    peak: int  # largest resident size, mapped files included
    steady: int  # resident size when it was last looked at


def ours(model: str, tokens: int, *, packed_cache: bool = False) -> list[str]:
    """Our command line."""
    cache = ["--packed-cache"] if packed_cache else []
    return [
        *(sys.executable, "-m", "pyllm", "run", "--raw", model, PROMPT),
        *("-n", str(tokens), "--temp", "0", "-c", "512", *cache),
    ]


def peer(template: str, model: str, tokens: int) -> list[str]:
    """A peer's, from a template such as "llama-simple -m {model} -n {tokens} {prompt}"."""
    values = {"model": model, "tokens": str(tokens), "prompt": PROMPT}
    return [part.format(**values) for part in shlex.split(template)]


def run(command: list[str]) -> Run:
    """Runs a command to its end. Raises RuntimeError when it fails or writes nothing."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != NO_BYTECODE},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors = process.stderr
    messages: list[bytes] = []
    reader = threading.Thread(target=lambda: messages.append(errors.read()))
    reader.start()
    sizes = [0]
    watcher = threading.Thread(target=_watch, args=(process.pid, sizes))
    watcher.start()
    first = os.read(process.stdout.fileno(), 1)
    first_s = time.perf_counter() - start
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    end_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    watcher.join()
    if process.returncode or not first:
        text = messages[0].decode(errors="replace")[-500:]
        raise RuntimeError(f"{shlex.join(command)}: exit {process.returncode}\n{text}")
    return Run(first_s, end_s, usage.ru_maxrss * 1024, sizes[-1])


def _watch(pid: int, sizes: list[int]) -> None:
    """Appends the resident size until the process is gone."""
    try:
        while True:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            if not pages:
                return
            sizes.append(pages * os.sysconf("SC_PAGESIZE"))
            time.sleep(SAMPLE_S)
    except (OSError, IndexError):
        return


def warm(path: str) -> None:
    """Reads a file once, so that it is in the page cache as far as it fits."""
    with Path(path).open("rb", buffering=0) as file:
        buffer = bytearray(1 << 24)
        while file.readinto(buffer):
            pass
