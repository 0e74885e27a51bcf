"""The engines of each model, one after the other, as one that goes on: totals never fall."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from pyllm.engine.stats import EngineStats
from pyllm.histogram import Distribution

# What an engine is doing, which ends with it; all else is a total.
_MOMENTARY = ("num_running", "num_waiting", "kv_cache_usage")
_CHOSEN = ("num_kv_blocks", "kv_block_size", "enable_prefix_caching")
_TOTALS = [f.name for f in fields(EngineStats) if f.name not in (*_MOMENTARY, *_CHOSEN)]


class EngineHistory:
    """Belongs to one thread."""

    def __init__(self) -> None:
        self._past: dict[str, EngineStats] = {}  # model: all engines that are gone
        self._present: dict[str, EngineStats] = {}  # model: its engine, when last seen

    def see(self, loaded: Iterable[tuple[str, EngineStats]]) -> dict[str, EngineStats]:
        """All models that were ever loaded, up to now, from those that are loaded now."""
        now = dict(loaded)
        # One that is being unloaded has not said its last word: what was seen of it remains.
        leaving = {name: s for name, s in self._present.items() if name not in now}
        self._present = {name: _at_rest(stats) for name, stats in leaving.items()} | now
        found = dict(self._past)
        for name, stats in self._present.items():
            past = self._past.get(name)
            found[name] = stats if past is None else _after(past, stats)
        return found

    def close(self, model: str, last: EngineStats) -> None:
        """A model's engine has ended with these numbers."""
        self._present.pop(model, None)
        past = self._past.get(model)
        self._past[model] = _at_rest(last if past is None else _after(past, last))


def _at_rest(stats: EngineStats) -> EngineStats:
    return replace(stats, num_running=0, num_waiting=0, kv_cache_usage=0.0)


def _after(past: EngineStats, now: EngineStats) -> EngineStats:
    totals = {name: _sum(getattr(past, name), getattr(now, name)) for name in _TOTALS}
    return replace(now, **totals)


def _sum(past: Any, now: Any) -> Any:
    if isinstance(past, Mapping):
        return {key: past[key] + now[key] for key in past}
    if isinstance(past, int | float | Distribution):
        return past + now
    raise TypeError(type(past).__name__)
