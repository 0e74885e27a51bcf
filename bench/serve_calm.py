"""What HTTP costs: the same streams through the server and through the engine alone, in turns.

    python bench/serve_calm.py MODEL.gguf [--streams 64] [--rounds 5]

Both are loaded all the time and work by turns, because the speed of a shared machine drifts. The
clients of the server run on the same cores. Prints tokens per second and the ratio of each round.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time

from serve_load import well_behaved
from serve_load_server import Server
from serve_load_streams import QUESTIONS, TOKENS, question


def through_server(port: int, streams: int) -> float:
    """Tokens per second."""
    phase = asyncio.run(well_behaved(port, streams))
    if phase.tally.wrong:
        raise RuntimeError(phase.tally.wrong[0])
    return phase.rate


class EngineAlone:
    """A process of its own with the engine; a line to it is a round, and so is its answer."""

    def __init__(self, model: str, streams: int) -> None:
        command = [sys.executable, __file__, model, "--alone", "--streams", str(streams)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def round(self) -> float:
        """Tokens per second."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.communicate()


def alone(model: str, streams: int) -> None:
    """The child: no HTTP."""
    from pyllm import AsyncLLM, RequestOutputKind, SamplingParams

    async def answer(llm: AsyncLLM, number: int) -> None:
        body = question(number % QUESTIONS)
        messages = body.pop("messages")
        params = SamplingParams(**body, output_kind=RequestOutputKind.DELTA)
        async for _ in llm.chat(messages, params):
            pass

    async def run() -> None:
        async with AsyncLLM(model, max_num_queued_requests=None) as llm:
            while await asyncio.to_thread(sys.stdin.readline):
                began = time.monotonic()
                await asyncio.gather(*(answer(llm, number) for number in range(streams)))
                print(streams * TOKENS / (time.monotonic() - began), flush=True)

    asyncio.run(run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        alone(args.model, args.streams)
        return
    server, engine = Server(args.model, []), EngineAlone(args.model, args.streams)
    ratios = []
    try:
        for number in range(args.rounds + 1):
            by_server = through_server(server.port, args.streams)
            by_engine = engine.round()
            if number:  # the first packs weights and computes the prompts
                ratios.append(by_server / by_engine)
                print(
                    f"server {by_server:.1f}, engine {by_engine:.1f}: {ratios[-1]:.3f}", flush=True
                )
    finally:
        engine.stop()
        server.stop()
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    print(f"median {statistics.median(ratios):.3f} ({spread})")


if __name__ == "__main__":
    main()
