"""Requests by hand and what came of them: whole answers, aborted, malformed and slow ones, and more
of them than can be answered.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

ABORTED, MALFORMED, SLOW = 0.10, 0.05, 0.02  # shares of the requests
QUESTIONS = 32
TOKENS = 48  # of an answer
STUCK_S = 300.0

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
