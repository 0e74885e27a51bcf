"""The server under load: many streams, some aborted, some malformed, some read slowly.

    python bench/serve_load.py MODEL.gguf [--minutes 15] [--streams 64]

Starts `pyllm serve` and asks it the same questions over and over, with fixed seeds, so that every
answer is known: one that differs would be cross-talk. Watches /health, the process's memory and
descriptors meanwhile, then asks ten times as often as it can answer. Prints markdown; exit code
1 when a request got a wrong answer, got stuck, or the server is not idle at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from serve_load_report import Phase, rows
from serve_load_server import Server, probed, watch
from serve_load_streams import QUESTIONS, TOKENS, Tally, ask, flood, idle_again, load

FLOOD_S = 30.0


async def run(server: Server, args: argparse.Namespace) -> bool:
    quiet = Tally()
    answers = [await ask(server.port, number, quiet) for number in range(QUESTIONS)]
    calm = await well_behaved(server.port, args.streams)
    tally, too_many = Tally(), Tally()
    watching = asyncio.create_task(watch(server, tally))
    began = time.monotonic()
    health = asyncio.create_task(probed(server.port, None, args.minutes * 60))
    await load(server.port, answers, tally, args.streams, args.minutes * 60)
    tally.health_s = await health
    loaded = Phase(tally, time.monotonic() - began)
    began = time.monotonic()
    refusals = asyncio.create_task(probed(server.port, 0, FLOOD_S))
    await flood(server.port, too_many, 10 * loaded.rate / TOKENS, FLOOD_S)
    flooded = Phase(too_many, time.monotonic() - began)
    too_many.refused_s = await refusals
    watching.cancel()
    idle = await idle_again(server.port)
    print("\n| | |\n|---|---|")
    for name, value in rows(calm, loaded, flooded, idle=idle).items():
        print(f"| {name} | {value} |")
    for text in (tally.wrong + too_many.wrong)[:10]:
        print(f"- {text}")
    return idle and server.alive and not tally.wrong


async def well_behaved(port: int, streams: int) -> Phase:
    """What the same answers give without anybody who aborts, errs or dawdles."""
    began, tally = time.monotonic(), Tally()
    await asyncio.gather(*(ask(port, number % QUESTIONS, tally) for number in range(streams)))
    return Phase(tally, time.monotonic() - began)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("more", nargs="*", help="further arguments of pyllm serve, behind --")
    args = parser.parse_args()
    if args.model is None:
        parser.error("a MODEL is needed")
    server = Server(args.model, args.more)
    try:
        good = asyncio.run(run(server, args))
    finally:
        code = server.stop()
    print(f"- exit code after SIGTERM: {code}")
    return 0 if good and code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
