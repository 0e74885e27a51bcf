"""The server under load: many streams, some aborted, some malformed, some read slowly.

    python bench/serve_load.py MODEL.gguf [--minutes 15] [--streams 64]

Starts `pyllm serve` and asks it the same questions over and over, with fixed seeds, so that every
answer is known: one that differs would be cross-talk. Watches /health, the process's memory and
descriptors meanwhile, then asks ten times as often as it can answer. Prints markdown; exit code
1 when a request got a wrong answer, got stuck, or the server is not idle at the end. With --calm it
compares 64 well-behaved streams with the same answers through the engine alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ABORTED, MALFORMED, SLOW = 0.10, 0.05, 0.02  # shares of the requests
QUESTIONS = 32
TOKENS = 48  # of an answer
STUCK_S = 300.0
FLOOD_S = 30.0

BROKEN = (
    b'{"messages": [',
    b'{"messages": "x"}',
    b'{"messages": [{"role": "user", "content": "x"}], "n": 100000}',
    b'{"messages": [{"role": "user", "content": "x"}], "temperature": "hot"}',
    b'{"messages": [{"role": "user", "content": "x"}], "nonsense": 1}',
    b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": -1}',
    b'{"messages": [], "messages": []}',
    b"\xff\xfe",
    b"[" * 10_000,
)


@dataclass
class Tally:
    """What was seen."""

    ends: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    first_token_s: list[float] = field(default_factory=list)
    health_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    rss_kb: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)


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


def question(number: int) -> dict[str, Any]:
    """A body whose answer is always the same; the number is its canary."""
    text = f"Tell me about the number {number * 7919 % 10007} and what is {number} + {number + 3}?"
    return {
        "messages": [{"role": "user", "content": text}],
        "max_tokens": TOKENS,
        "seed": number,
        "temperature": 0.7,
        "ignore_eos": True,
    }


class Connection:
    """One request by hand: a client library would cost more than the server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.status = 0

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def send(self, method: str, path: str, body: bytes = b"") -> None:
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        self.status = int((await self._reader.readline()).split()[1])

    async def data(self, pause_s: float = 0.0) -> Any:
        """The data of each server-sent event."""
        while line := await self._reader.readline():
            if line.startswith(b"data: {"):
                yield json.loads(line[6:])
                if pause_s:
                    await asyncio.sleep(pause_s)

    async def rest(self) -> bytes:
        return await self._reader.read()


async def ask(port: int, number: int, tally: Tally, pause_s: float = 0.0) -> str:
    """The answer to a question, streamed."""
    began = time.perf_counter()
    text = ""
    body = json.dumps(question(number) | {"stream": True}).encode()
    async with Connection(port) as connection:
        await connection.send("POST", "/v1/chat/completions", body)
        if connection.status == 429:
            return ""
        first = True
        async for chunk in connection.data(pause_s):
            if "error" in chunk:
                raise RuntimeError(chunk["error"]["message"])
            if first and chunk["choices"][0]["delta"].get("content"):
                tally.first_token_s.append(time.perf_counter() - began)
                first = False
            text += chunk["choices"][0]["delta"].get("content") or ""
    tally.tokens += TOKENS
    return text


async def one_request(port: int, answers: list[str], tally: Tally, dice: random.Random) -> None:
    number, throw = dice.randrange(QUESTIONS), dice.random()
    if throw < ABORTED:
        kind = "aborted"
        try:
            async with asyncio.timeout(dice.uniform(0.0, 3.0)):
                await ask(port, number, Tally())
        except TimeoutError:
            pass
    elif throw < ABORTED + MALFORMED:
        kind = "malformed"
        async with Connection(port) as connection:
            await connection.send("POST", "/v1/chat/completions", dice.choice(BROKEN))
            if not 400 <= connection.status < 500:
                tally.wrong.append(f"malformed got {connection.status}")
            await connection.rest()
    else:
        slow = throw < ABORTED + MALFORMED + SLOW
        kind = "slow" if slow else "whole"
        async with asyncio.timeout(STUCK_S):
            text = await ask(port, number, tally, 0.5 if slow else 0.0)
        if not text:
            kind = "refused"
            await asyncio.sleep(1)
        elif text != answers[number]:
            tally.wrong.append(f"question {number}: {text[:60]!r}, not {answers[number][:60]!r}")
    tally.ends[kind] += 1


def alone(model: str, streams: int) -> float:
    """Tokens per second of the same answers through the engine in this process, without HTTP."""
    from pyllm import AsyncLLM, RequestOutputKind, SamplingParams

    async def answer(llm: AsyncLLM, number: int) -> None:
        body = question(number % QUESTIONS)
        messages = body.pop("messages")
        params = SamplingParams(**body, output_kind=RequestOutputKind.DELTA)
        async for _ in llm.chat(messages, params):
            pass

    async def run() -> float:
        async with AsyncLLM(model, max_num_queued_requests=None) as llm:
            for number in range(QUESTIONS):  # as the server has had them: prompts are cached
                await answer(llm, number)
            began = time.monotonic()
            await asyncio.gather(*(answer(llm, number) for number in range(streams)))
            return streams * TOKENS / (time.monotonic() - began)

    return asyncio.run(run())


def alone_elsewhere(model: str, streams: int) -> float:
    """The same in a process of its own, whose memory goes with it."""
    command = [sys.executable, __file__, model, "--alone", "--streams", str(streams)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


async def load(port: int, answers: list[str], tally: Tally, streams: int, seconds: float) -> None:
    """`streams` clients, each with one request at a time."""
    until = time.monotonic() + seconds

    async def client(seed: int) -> None:
        dice = random.Random(seed)
        while time.monotonic() < until:
            try:
                await one_request(port, answers, tally, dice)
            except (OSError, RuntimeError, TimeoutError, IndexError) as error:
                tally.wrong.append(f"{type(error).__name__}: {error}")

    await asyncio.gather(*(client(seed) for seed in range(streams)))


async def flood(port: int, tally: Tally, per_second: float, seconds: float) -> None:
    """Requests that come whether others are done or not, and do not come again."""
    asking = set()
    until = time.monotonic() + seconds
    number = 0
    while time.monotonic() < until:
        task = asyncio.create_task(ask(port, number % QUESTIONS, tally))
        asking.add(task)
        number += 1
        await asyncio.sleep(1 / per_second)
    for text in await asyncio.gather(*asking, return_exceptions=True):
        if isinstance(text, BaseException):
            tally.wrong.append(f"{type(text).__name__}: {text}")
        tally.ends["whole" if text else "refused"] += 1


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
    command = [sys.executable, __file__, "--probe", str(port), str(seconds)]
    command += [] if number is None else [str(number)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    times: list[float] = json.loads(out)
    return times


async def idle_again(port: int) -> bool:
    """Nothing runs any more, within ten seconds."""
    for _ in range(100):
        async with Connection(port) as connection:
            await connection.send("GET", "/slots")
            body = (await connection.rest()).split(b"\r\n\r\n", 1)[1]
        text = body[body.index(b"[") : body.rindex(b"]") + 1]
        if not any(slot["is_processing"] for slot in json.loads(text)):
            return True
        await asyncio.sleep(0.1)
    return False


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


async def run(server: Server, args: argparse.Namespace) -> bool:
    quiet = Tally()
    answers = [await ask(server.port, number, quiet) for number in range(QUESTIONS)]
    # What the same answers give without anybody who aborts, errs or dawdles.
    began = time.monotonic()
    calm = Tally()
    await asyncio.gather(
        *(ask(server.port, number % QUESTIONS, calm) for number in range(args.streams))
    )
    calm_rate = calm.tokens / (time.monotonic() - began)
    if args.calm:
        print(f"\n{args.streams} streams through the server: {calm_rate:.1f} tokens per second")
        return True
    tally = Tally()
    watching = asyncio.create_task(watch(server, tally))
    began = time.monotonic()
    health = asyncio.create_task(probed(server.port, None, args.minutes * 60))
    await load(server.port, answers, tally, args.streams, args.minutes * 60)
    tally.health_s = await health
    seconds = time.monotonic() - began
    too_many = Tally()
    began = time.monotonic()
    refusals = asyncio.create_task(probed(server.port, 0, FLOOD_S))
    await flood(server.port, too_many, 10 * tally.tokens / seconds / TOKENS, FLOOD_S)
    flood_seconds = time.monotonic() - began
    too_many.refused_s = await refusals
    watching.cancel()
    idle = await idle_again(server.port)
    half = len(tally.rss_kb) // 2
    early, late = statistics.median(tally.rss_kb[2:half]), statistics.median(tally.rss_kb[half:])
    rows = {
        "requests": sum(tally.ends.values()),
        "by kind": ", ".join(f"{kind} {count}" for kind, count in sorted(tally.ends.items())),
        "wrong answers and failures": len(tally.wrong),
        "tokens per second": f"{tally.tokens / seconds:.0f} (calm: {calm_rate:.0f})",
        "first token p50 / p99": f"{percentile(tally.first_token_s, 0.5):.2f} / "
        f"{percentile(tally.first_token_s, 0.99):.2f} s",
        "/health p50 / p99 / most": f"{1000 * percentile(tally.health_s, 0.5):.1f} / "
        f"{1000 * percentile(tally.health_s, 0.99):.1f} / {1000 * max(tally.health_s):.1f} ms",
        "memory, second half to first": f"{100 * (late / early - 1):+.2f} %",
        "descriptors, least and most": f"{min(tally.descriptors)}, {max(tally.descriptors)}",
        "ten times as many a second": f"{too_many.ends['whole']} answered, "
        f"{too_many.ends['refused']} refused; told so in p50 / p99 "
        f"{1000 * percentile(too_many.refused_s, 0.5):.1f} / "
        f"{1000 * percentile(too_many.refused_s, 0.99):.1f} ms",
        "and tokens per second": f"{too_many.tokens / flood_seconds:.0f}",
        "idle at the end": idle,
    }
    print("\n| | |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value} |")
    for text in (tally.wrong + too_many.wrong)[:10]:
        print(f"- {text}")
    return idle and server.alive and not tally.wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--calm", action="store_true", help="beside the engine alone, no mischief")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--probe", nargs="+", type=float, help=argparse.SUPPRESS)
    parser.add_argument("more", nargs="*", help="further arguments of pyllm serve, behind --")
    args = parser.parse_args()
    if args.probe:
        port, seconds, *number = args.probe
        print(json.dumps(probe(int(port), int(number[0]) if number else None, seconds)))
        return 0
    if args.model is None:
        parser.error("a MODEL is needed")
    if args.alone:
        print(alone(args.model, args.streams))
        return 0
    if args.calm:
        before = alone_elsewhere(args.model, args.streams)
    server = Server(args.model, args.more)
    try:
        good = asyncio.run(run(server, args))
    finally:
        code = server.stop()
    if args.calm:
        after = alone_elsewhere(args.model, args.streams)
        print(f"through the engine alone, before and after: {before:.1f} and {after:.1f}")
    print(f"- exit code after SIGTERM: {code}")
    return 0 if good and code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
