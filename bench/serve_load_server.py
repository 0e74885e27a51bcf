"""The server that is put under load, in its own process, and what is seen of it from outside."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

from serve_load_streams import Tally, question


class Server:
    """`pyllm serve` in a process of its own."""

    def __init__(self, model: str, more: list[str]) -> None:
        command = [sys.executable, "-m", "pyllm", "serve", model, "--port", "0", *more]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self.port = 0
        for line in self._process.stdout:
            print(f"    {line.rstrip()}")
            if "http://127.0.0.1:" in line and not self.port:
                self.port = int(line.split("http://127.0.0.1:")[1].split("/")[0].split()[0])
                break
        self._drain = subprocess.Popen(
            ["cat"], stdin=self._process.stdout, stdout=subprocess.DEVNULL
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> int:
        self._process.terminate()
        code = self._process.wait(60)
        self._drain.wait(10)
        return code

    def rss_kb(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


async def watch(server: Server, tally: Tally) -> None:
    """Memory and descriptors every five seconds."""
    while True:
        tally.rss_kb.append(server.rss_kb())
        tally.descriptors.append(server.descriptors())
        await asyncio.sleep(5)


def probe(port: int, number: int | None, seconds: float) -> list[float]:
    """Seconds that /health takes, or a question that is refused, ten times a second.

    In a process of its own: the clients' event loop would be measured otherwise.
    """
    head = f"GET /health HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n"
    if number is not None:
        body = json.dumps(question(number))
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
            f"connection: close\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}"
        )
    found = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(head.encode())
            answer = connection.makefile("rb").readline()
        if number is None or b" 429 " in answer:
            found.append(time.perf_counter() - began)
        time.sleep(0.1)
    return found


async def probed(port: int, number: int | None, seconds: float) -> list[float]:
    """What `probe` found."""
    command = [sys.executable, __file__, str(port), str(seconds)]
    command += [] if number is None else [str(number)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    times: list[float] = json.loads(out)
    return times


if __name__ == "__main__":
    port, seconds, *number = map(float, sys.argv[1:])
    print(json.dumps(probe(int(port), int(number[0]) if number else None, seconds)))
