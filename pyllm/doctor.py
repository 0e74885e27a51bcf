"""What `pyllm doctor` finds out: the machine, the installation and, if given, a model.

Every line of the report is a Finding; a machine that is unwell gives failed ones, not errors.
"""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pyllm.byte_size import byte_size
from pyllm.errors import PyLLMError
from pyllm.machine import cgroup
from pyllm.machine.memory import available_memory
from pyllm.machine.threads import choose_threads

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer

__all__ = ["ARM_ISAS", "KNOWN_ISAS", "X86_ISAS", "Finding", "cpu_name", "examine"]

# The rows of csrc/isa/isa.def by machine, best first; a test compares the two.
X86_ISAS = ("amx", "avx512vnni", "avx512", "avxvnni", "avx2", "scalar")
ARM_ISAS = ("i8mm", "dotprod", "neon", "scalar")
KNOWN_ISAS = {"x86_64": X86_ISAS, "AMD64": X86_ISAS, "aarch64": ARM_ISAS, "arm64": ARM_ISAS}

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, whether it is well, and the facts."""

    subject: str
    status: Status
    text: str


def examine(model: Path | None = None) -> Iterator[Finding]:
    """Looks at everything in turn, yielding findings as they are made.

    Raises OSError, ModelFileError and its kin when `model` is not a model file that can be used.
    """
    for subject, look in _EXAMINATIONS.items():
        try:
            yield from look()
        except (PyLLMError, ImportError, OSError) as error:
            yield Finding(subject, "failed", str(error))
    if model is not None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = list(_model(model))
        yield from found
        yield from (Finding("model", "warning", str(warning.message)) for warning in caught)


def _machine() -> Iterator[Finding]:
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    yield Finding("machine", "ok", f"{cpu_name()}, {system}")


def _instruction_sets() -> Iterator[Finding]:
    from pyllm import kernels

    usable, active = kernels.isas(), kernels.isa()
    chosen = "PYLLM_ISA asks for it" if os.environ.get("PYLLM_ISA") else "the best one this CPU has"
    yield Finding("instruction set", "ok", f"{active}: {chosen}")
    for name in KNOWN_ISAS.get(platform.machine(), ()):
        if name in usable:
            continue
        try:
            kernels.set_isa(name)  # always refused here; the refusal names the missing feature
        except PyLLMError as error:
            yield Finding("instruction set", "ok", f"not used: {error}")
    yield Finding("instruction set", "ok", f"usable: {', '.join(usable)}")


def _threads() -> Iterator[Finding]:
    choice = choose_threads()
    yield Finding("threads", "ok", f"{choice.num_threads}: {choice.reason}")


def _memory() -> Iterator[Finding]:
    available, limit = available_memory(), cgroup.memory_limit()
    if available is None:
        yield Finding("memory", "warning", "the system does not say how much memory is available")
        return
    limited = "" if limit is None else f", the control group may hold {byte_size(limit)}"
    yield Finding("memory", "ok", f"{byte_size(available)} available{limited}")


def _kernels() -> Iterator[Finding]:
    from pyllm import kernels
    from pyllm.self_test import check_kernels

    results = check_kernels()
    for result in results:
        if result.differing:
            sets = ", ".join(result.differing)
            yield Finding("kernels", "failed", f"{result.type}: {sets} computed something else")
        elif not result.ok:
            error = f"error {result.error:.2%}, allowed {result.limit:.2%}"
            yield Finding("kernels", "failed", f"{result.type}: {error}")
    good = sum(result.ok for result in results)
    isas = ", ".join(kernels.isas())
    status: Status = "ok" if good == len(results) else "failed"
    yield Finding("kernels", status, f"{good} of {len(results)} weight types correct with {isas}")


_EXAMINATIONS: dict[str, Callable[[], Iterator[Finding]]] = {
    "machine": _machine,
    "instruction set": _instruction_sets,
    "threads": _threads,
    "memory": _memory,
    "kernels": _kernels,
}


def _model(path: Path) -> Iterator[Finding]:
    from pyllm.config import read_config
    from pyllm.gguf import GGUFFile
    from pyllm.tokenizer import Tokenizer

    with GGUFFile.open(path) as file:
        config = read_config(file)
        size = sum(info.nbytes for info in file.tensors.values())
        yield Finding(
            "model",
            "ok",
            f"{config.architecture}, {len(file.tensors)} tensors, {byte_size(size)}, "
            f"context {config.context_length}",
        )
        for oddity in file.warnings:
            yield Finding("model", "warning", oddity)
        tokenizer = Tokenizer.from_gguf(file)
    yield from _tokenizer(tokenizer)
    yield from _template(tokenizer)


_SAMPLES = (
    "The quick brown fox jumps over the lazy dog.",
    "  indented\n\ttabbed, 3.14159 + 2 = 5.14159",
    "naïve café – “quotes” 東京 привет 🙂👩‍👩‍👧",
    "<|im_start|>not a special token",
)


def _tokenizer(tokenizer: Tokenizer) -> Iterator[Finding]:
    changed = []
    for sample in _SAMPLES:
        ids = tokenizer.encode(sample, add_special=False)
        if tokenizer.decode(ids, skip_special=False) != sample:
            changed.append(sample)
    if changed:
        # Some vocabularies lack letters or normalize text, so this is no defect by itself.
        text = f"text comes back changed: {changed[0]!r}"
        yield Finding("tokenizer", "warning", text)
    end = "" if tokenizer.eog_ids else ", no token ends an answer"
    status: Status = "ok" if tokenizer.eog_ids else "warning"
    yield Finding("tokenizer", status, f"{tokenizer.name}, {tokenizer.n_vocab} tokens{end}")


def _template(tokenizer: Tokenizer) -> Iterator[Finding]:
    from pyllm.chat import ChatRenderer

    if tokenizer.chat_template is None:
        yield Finding("chat template", "ok", "none: the model completes text, it does not chat")
        return
    question = {"role": "user", "content": "What is 2 + 2?"}
    text, ids = ChatRenderer(tokenizer).encode([question])
    if text is None or question["content"] not in text:
        yield Finding("chat template", "failed", "it leaves out the user's message")
        return
    yield Finding("chat template", "ok", f"a short question becomes {len(ids)} tokens")


def cpu_name() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor() or "unknown CPU"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown CPU")
