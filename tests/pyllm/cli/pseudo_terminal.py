"""A program in a terminal of its own: type, wait for what appears, read the exit code."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from types import TracebackType

from tests.pyllm.cli.program import COMMAND, environment

# Makes the terminal the controlling one, so that Ctrl-C becomes a signal, then runs the command.
_LAUNCHER = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


class PseudoTerminal:
    """Starts `python -m pyllm …`; a context manager that leaves no process behind."""

    def __init__(self, typed: list[str], **environ: str) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, *COMMAND, *typed],
            env=environment(TERM="xterm", PROMPT_TOOLKIT_NO_CPR="1", **environ),
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self._seen = ""  # what appeared and was not waited for yet

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str, timeout_s: float = 30) -> str:
        """Everything that appears up to and including `text`."""
        deadline_s = time.monotonic() + timeout_s
        while text not in self._seen:
            ready, _, _ = select.select([self._master], [], [], deadline_s - time.monotonic())
            if not ready:
                raise AssertionError(f"{text!r} did not appear in {self._seen!r}")
            self._seen += self._read().decode("utf-8", "replace")
        before, _, self._seen = self._seen.partition(text)
        return before + text

    def exit_code(self, timeout_s: float = 30) -> int:
        return self._process.wait(timeout_s)

    def _read(self) -> bytes:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux answers so when the other side is closed
            data = b""
        if not data:
            raise AssertionError(f"the program ended after {self._seen!r}")
        return data

    def __enter__(self) -> PseudoTerminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)
