"""The goal table as data: what each row measures, and what it must show."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Goal:
    """One number to reach."""

    test: str  # as in the JSON lines: pp512, tg32@d4096, batch8, engine8
    ratio: float  # of ours to the best peer
    share: float | None = None  # of the int8 peak (pp) or of the read bandwidth (tg)


@dataclass(frozen=True)
class Row:
    """One alternated run."""

    name: str
    script: str  # in bench/
    model: str  # SHAPE-MIX
    goals: tuple[Goal, ...] = ()
    flags: tuple[str, ...] = ()
    peers: tuple[str, ...] = field(default=("llama.cpp", "ik"))  # which binaries take part
    avx2: bool = False  # pyllm with PYLLM_ISA=avx2, against peers built for AVX2 only


# Settings that were within noise of the best somewhere; each more costs a run of the test.
_PREFILL = ("--settings", "default", "no repack", "run-time repack", "huge pages")
_DECODE = (*_PREFILL, "run-time repack, huge pages", "no flash attention")
_LARGE = ("--settings", "default", "no repack", "run-time repack", "--rounds", "2")


def _speed(model: str, test: str, ratio: float, share: float | None, *flags: str) -> Row:
    settings = flags or (_PREFILL if test.startswith("pp") else _DECODE)
    return Row(f"{test} {model}", "compare.py", model, (Goal(test, ratio, share),), settings)


def _batch(sequences: int, ratio: float) -> Row:
    model = "llama1b-Q4_K_M"
    flags = ("--sequences", str(sequences))
    goals = (Goal(f"batch{sequences}", ratio),)
    return Row(f"batch{sequences} {model}", "batched.py", model, goals, flags)


def _engine(requests: int, ratio: float) -> Row:
    model = "llama1b-Q4_K_M"
    flags = ("--sequences", str(requests))
    goals = (Goal(f"engine{requests}", ratio),)
    return Row(f"engine{requests} {model}", "engine.py", model, goals, flags, ("llama.cpp",))


_TYPES = {"Q4_0": 1.35, "Q8_0": 1.35, "Q6_K": 1.35, "Q5_K_M": 1.35}
_LOW_TYPES = {"IQ4_XS": 1.1, "Q3_K_M": 1.1, "Q2_K": 1.1}

ROWS = (
    _speed("llama1b-Q4_K_M", "pp512", 1.45, 0.55),
    *(_speed(f"llama1b-{t}", "pp512", r, None) for t, r in (_TYPES | _LOW_TYPES).items()),
    _speed("llama8b-Q4_K_M", "pp512", 1.45, None, *_LARGE),
    *(_speed(f"llama1b-{t}", "tg128", 1.15, 0.9) for t in ("Q4_K_M", *_TYPES, *_LOW_TYPES)),
    _speed("llama8b-Q4_K_M", "tg32", 1.15, 0.9, *_LARGE),
    *(_batch(n, r) for n, r in {4: 3.0, 8: 4.0, 16: 4.0, 32: 3.0}.items()),
    *(_engine(n, r) for n, r in {2: 1.0, 4: 1.0, 8: 3.0, 16: 3.0, 32: 3.0}.items()),
    _speed("llama1b-Q4_K_M", "pp4096", 1.7, None, *_LARGE),
    _speed("llama1b-Q4_K_M", "tg32@d4096", 2.0, 0.8, *_LARGE),
    Row(
        "tg32@d16384 llama1b-Q4_K_M",
        "compare.py",
        "llama1b-Q4_K_M",
        (Goal("tg32@d16384", 2.0, 0.8),),
        ("--settings", "default", "--rounds", "1"),  # the peer's cache takes minutes to fill
        peers=("llama.cpp",),
    ),
    _speed("qwen3moe-Q4_K_M", "pp512", 1.3, None),
    _speed("qwen3moe-Q4_K_M", "tg128", 1.3, None),
    Row(
        "avx2 llama1b-Q4_K_M",
        "compare.py",
        "llama1b-Q4_K_M",
        (Goal("pp512", 1.3), Goal("tg128", 1.1)),
        _LARGE,
        avx2=True,
    ),
    Row("first token llama1b-Q4_K_M", "cold_start.py", "llama1b-Q4_K_M"),
    Row("first token llama8b-Q4_K_M", "cold_start.py", "llama8b-Q4_K_M", flags=("--packed-cache",)),
    Row("memory llama8b-Q4_K_M", "memory.py", "llama8b-Q4_K_M"),
    _speed("stories15m-Q4_0", "tg128", 0.9, None),
)
