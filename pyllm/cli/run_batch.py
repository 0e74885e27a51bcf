"""`pyllm run-batch`: a file of requests, answered line by line; run it again and it goes on."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from pyllm.cli.arguments import CommandLineError
from pyllm.cli.batch_bytes import Counts, reproducible
from pyllm.cli.batch_input import BatchLine, count_lines, open_input, read_input
from pyllm.cli.batch_keys import LineKeys
from pyllm.cli.batch_output import BatchOutput
from pyllm.cli.speculation import llm_options
from pyllm.cli.values import Shard
from pyllm.errors import PyLLMError
from pyllm.progress import ProgressBar
from pyllm.server.app import create_app
from pyllm.server.batch.endpoints import Answer, Endpoints
from pyllm.server.batch.in_order import in_order
from pyllm.server.batch.request_line import LineError
from pyllm.server.batch.result_line import answered, not_asked
from pyllm.server.service import Caller, Service
from pyllm.server.settings import ModelSource, ServerSettings

__all__ = ["run_batch"]

# Options of the engine that an answer depends on; the others change how fast it comes.
_ANSWERS_DEPEND_ON = ("max_model_len", "kv_cache_dtype", "cache_type_k", "cache_type_v")
# Lines that are worked on or wait for one before them: of 64, 16 are computed and the rest is
# read meanwhile, so that one long answer does not empty the batch behind it.
_LINES_PER_PLACE = 4
_NO_ENGINE = 503


@dataclass
class _Result:
    line: bytes
    counts: Counts
    failed: bool


class _Totals:
    """What the bar and the last line tell."""

    def __init__(self, done: int) -> None:
        self.before = self.done = done
        self.failed = 0
        self._tokens = Counts()
        self._began = time.perf_counter()

    def add(self, result: _Result) -> None:
        self.done += 1
        self.failed += result.failed
        self._tokens.read += result.counts.read
        self._tokens.written += result.counts.written

    def rates(self) -> str:
        seconds = max(time.perf_counter() - self._began, 1e-9)
        read, written = self._tokens.read / seconds, self._tokens.written / seconds
        return f"{read:.0f} tok/s read, {written:.0f} tok/s written"

    def summary(self) -> str:
        written = f"lines written: {self.done - self.before}"
        errors = f", with an error: {self.failed}" if self.failed else ""
        before = f", there before: {self.before}" if self.before else ""
        rates = f"; {self.rates()}" if self._tokens != Counts() else ""
        return f"{written}{errors}{before}{rates}"


def run_batch(
    model: Path,
    *,
    input_file: str | None,
    output_file: str | None,
    shard: Shard | None,
    alias: Sequence[str] | None,
    engine: Mapping[str, Any],
) -> int:
    """Runs the command; returns its exit code. PyLLMError when it must stop: see BatchOutput."""
    if input_file is None or output_file is None:
        missing = "-i" if input_file is None else "-o"
        raise CommandLineError(f"{missing} is missing: pyllm run-batch -i FILE -o FILE MODEL")
    names = tuple(alias or ())
    facts = {name: engine[name] for name in _ANSWERS_DEPEND_ON}
    keys = LineKeys(model, {**facts, "names": names, "shard": shard, "name": model.stem})
    app = create_app(_settings(model, names, engine))
    endpoints = Endpoints(app)
    with open_input(input_file) as stream, BatchOutput(output_file) as output:
        lines = read_input(stream, endpoints.urls, shard)
        totals = _Totals(_skip_done(lines, output, keys))
        first = next(lines, None)
        if first is not None:
            rest = chain([first], lines)
            total = count_lines(input_file) if shard is None else None
            run = _Run(endpoints, app.state.service, keys, output, totals, total)
            window = _LINES_PER_PLACE * engine["max_num_seqs"]
            asyncio.run(_with_lifespan(app, run, rest, window))
    print(f"pyllm: {totals.summary()}", file=sys.stderr)
    return 0


def _settings(model: Path, names: tuple[str, ...], engine: Mapping[str, Any]) -> ServerSettings:
    """Nobody else asks, so lines wait as long as they must, and one bad one harms no other."""
    options = llm_options(engine)
    options |= {"max_num_queued_requests": None, "max_num_queued_tokens": None}
    source = ModelSource(model.stem, model, names)
    return ServerSettings(models=(source,), engine=options, preload=False)


def _skip_done(lines: Iterator[BatchLine], output: BatchOutput, keys: LineKeys) -> int:
    """Reads past the lines whose answers are there. PyLLMError unless they are their answers."""
    count = 0
    for count, done in enumerate(output.lines(), 1):
        line, place = next(lines, None), f"{output.name}, line {count}"
        if line is None:
            raise PyLLMError(f"{place}: the input has no such line; give another -o")
        keys.check(line.raw, done, place)
    return count


async def _with_lifespan(app: Any, run: _Run, lines: Iterator[BatchLine], window: int) -> None:
    async with app.router.lifespan_context(app):
        await run.all(lines, window)


class _Run:
    """The lines that are left, on their way."""

    def __init__(
        self,
        endpoints: Endpoints,
        service: Service,
        keys: LineKeys,
        output: BatchOutput,
        totals: _Totals,
        total: int | None,
    ) -> None:
        self._endpoints = endpoints
        self._service = service
        self._keys = keys
        self._output = output
        self._totals = totals
        self._total = total

    async def all(self, lines: Iterator[BatchLine], window: int) -> None:
        """Raises what loading the model raises, and PyLLMError when the engine stops."""
        # Held to the end: the model is loaded once, and its errors are the command's own.
        lease = await self._service.registry.lease(None)
        results = in_order(lines, self._answer, window)
        try:
            with ProgressBar("answering") as bar:
                async for result in results:
                    self._output.append(result.line)
                    self._totals.add(result)
                    done = self._totals.done
                    bar(done, max(done, self._total or 0), self._totals.rates())
        finally:
            await results.aclose()
            lease.release()

    async def _answer(self, line: BatchLine) -> _Result:
        line_id, number = self._keys.line_id(line.raw), self._keys.number(line.raw)
        request = line.request
        if isinstance(request, LineError):
            return _Result(not_asked(line_id, line.raw.number, request), Counts(), failed=True)
        caller = Caller(None, f"req-{number}")
        answer = await self._endpoints.ask(
            request.url, request.body, caller, size=request.size, seed=int(number[:15], 16)
        )
        if answer.status == _NO_ENGINE:
            raise PyLLMError("the engine stopped; the same command goes on from there")
        body, counts = reproducible(answer.body, number)
        said = Answer(answer.status, body)
        written = answered(line_id, request.custom_id, caller.request_id, said)
        return _Result(written, counts, failed=answer.status != 200)
