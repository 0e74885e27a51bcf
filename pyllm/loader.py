"""From a path to a model that runs: open, record, fuse, plan, compile."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyllm.architectures import builders
from pyllm.checks import check_integer
from pyllm.config import ModelConfig, read_config
from pyllm.errors import MemoryBudgetError, RequestError
from pyllm.gguf import GGUFFile
from pyllm.graph.compile import (
    CompiledProgram,
    Limits,
    Operand,
    PackedTensor,
    PromptProgram,
    WeightFile,
    compile_program,
    compile_prompt_program,
    from_file,
    make_kv_pool,
)
from pyllm.graph.fuse import fuse
from pyllm.graph.graph import Graph, Op
from pyllm.graph.plan import Plan, plan
from pyllm.graph.prompt_ops import prompt_ops
from pyllm.graph.weights import Weight, Weights
from pyllm.kernels import isa, prepare
from pyllm.kv.budget import choose_kv_size
from pyllm.kv.prefix_store import DEFAULT_BYTES, PrefixStore, identity_of
from pyllm.kv.types import PANEL_TOKENS, KVTypes
from pyllm.machine.memory import available_memory
from pyllm.machine.threads import default_num_threads
from pyllm.packed_cache import CachedWeight, Progress, build_key, model_key, use_packed_cache
from pyllm.pooling.classifier import read_classifier
from pyllm.pooling.pooling import ModelPooling
from pyllm.speculation.config import SpeculativeConfig, draft_rows
from pyllm.tokenizer import Tokenizer

__all__ = ["Model", "load_model"]

_log = logging.getLogger(__name__)

FLOAT_BYTES = 4
MAX_THREADS = 1024  # more would be a mistake; the core refuses them too
SLICE_TOKENS = 16  # of a prompt read beside steps; more hardly share weights and cache better
SCORED_ROWS = 32  # prompt tokens that a step can report on: 16 MiB of logits at 128k
F16 = KVTypes()
DEFAULT_POOLING = ModelPooling()


@dataclass(frozen=True, slots=True)
class Model:
    """A model in memory, ready for an engine."""

    path: str
    config: ModelConfig
    tokenizer: Tokenizer
    program: CompiledProgram
    prompt_program: PromptProgram
    max_model_len: int  # tokens of one sequence, prompt and answer together
    num_kv_blocks: int
    block_size: int  # tokens of a KV block
    kv_window: int  # tokens that any layer still reads, so that a sequence keeps no more; 0: all
    kv_cache_bytes: int  # of all blocks together
    prefix_store: PrefixStore | None = None  # blocks kept on disk
    pooling: ModelPooling = DEFAULT_POOLING

    def close(self) -> None:
        """Give the memory back; a second call does nothing."""
        if self.prefix_store is not None:
            self.prefix_store.close()
        self.program.close()
        self.prompt_program.close()


def load_model(
    path: str | os.PathLike[str],
    *,
    num_threads: int | None = None,
    num_threads_batch: int | None = None,
    max_model_len: int | None = None,
    max_num_seqs: int = 16,
    max_num_batched_tokens: int = 512,
    kv_cache_bytes: int | None = None,
    kv_types: KVTypes = F16,
    block_size: int = 32,
    keep_whole_texts: bool = False,
    packed_cache: bool = False,
    prefix_cache_dir: str | os.PathLike[str] | None = None,
    prefix_cache_bytes: int | None = None,
    speculation: SpeculativeConfig | None = None,
    progress: Progress | None = None,
) -> Model:
    """Load a GGUF file (the first part of a split one) for inference.

    num_threads             None: physical cores within the affinity mask and the CPU quota
    num_threads_batch       threads of steps that read a prompt; None: as many as num_threads
    max_model_len           tokens of one sequence; None: the model's context, or what fits
    max_num_seqs            sequences of one step
    max_num_batched_tokens  tokens of one step; longer prompts run in several
    kv_cache_bytes          None: up to a quarter of the memory the weights leave
    kv_types                how keys and values are stored
    block_size              tokens of a KV block, a multiple of 16
    keep_whole_texts        keep keys and values that have left the window of every layer, too
    packed_cache            keep packed weights in a file that later starts map (packed_cache.py)
    prefix_cache_dir        keep computed blocks of keys and values there for later starts
    prefix_cache_bytes      of all files in it; None: 8 GiB
    speculation             makes room for the logits of guesses; None: one row for each sequence
    progress                called with (bytes done, bytes in all) while that file is written

    Raises ModelFileError, UnsupportedModelError, TokenizerError, MemoryBudgetError, RequestError,
    DeviceError.
    Nothing waits for the weights: the first step packs each tile as it comes to multiply it.
    Beside the keys and values, memory stays within 1.1 x the file.
    """
    if not isinstance(path, str | os.PathLike):
        raise RequestError("model", path, "must be the path of a GGUF file")
    if prefix_cache_dir is not None and not _is_path(prefix_cache_dir):
        raise RequestError("prefix_cache_dir", prefix_cache_dir, "must be the path of a directory")
    _check_sizes(
        num_threads=num_threads, num_threads_batch=num_threads_batch, max_model_len=max_model_len,
        max_num_seqs=max_num_seqs, max_num_batched_tokens=max_num_batched_tokens,
        kv_cache_bytes=kv_cache_bytes, block_size=block_size, prefix_cache_bytes=prefix_cache_bytes,
    )  # fmt: skip
    isa()  # a wrong PYLLM_ISA is told before the file is read
    if block_size % PANEL_TOKENS:
        raise RequestError("block_size", block_size, f"must be a multiple of {PANEL_TOKENS}")
    threads = default_num_threads() if num_threads is None else num_threads
    threads_batch = threads if num_threads_batch is None else num_threads_batch
    with GGUFFile.open(path) as file:
        config = read_config(file, builders())
        # A step guesses only when it reads no prompt: both uses take turns with the same rows.
        spare_rows = max(SCORED_ROWS, draft_rows(speculation, max_num_seqs, config.n_vocab))
        max_rows = max_num_seqs + spare_rows
        ops = record(file, config)
        program = plan(ops, max_num_batched_tokens, max_rows)
        reader = plan(prompt_ops(ops), min(SLICE_TOKENS, max_num_batched_tokens), max_rows=0)
        kv = choose_kv_size(
            config, block_size=block_size, types=kv_types, max_num_seqs=max_num_seqs,
            max_num_batched_tokens=max_num_batched_tokens,
            window=0 if keep_whole_texts else widest_window(ops),
            max_model_len=max_model_len, kv_cache_bytes=kv_cache_bytes,
            available=_left_beside(file, program, reader),
        )  # fmt: skip
        operands = _operands(file, _weights_of(ops))
        if packed_cache:
            weights = _multiplied(ops, operands)
            use_packed_cache(file, weights, threads_batch, progress)
        limits = Limits(max_num_seqs, -(-kv.max_model_len // block_size))
        pool = make_kv_pool(config, kv.num_blocks, block_size, kv_types)
        compiled = compile_program(
            program, operands.__getitem__, pool, limits, threads, threads_batch
        )
        prompts = compile_prompt_program(reader, operands.__getitem__, compiled, limits.max_blocks)
        tokenizer = Tokenizer.from_gguf(file)
        store = None
        if prefix_cache_dir is not None:
            directory = Path(prefix_cache_dir).expanduser()
            identity = identity_of(build_key(), model_key(file))
            store = PrefixStore(directory, identity, pool, prefix_cache_bytes or DEFAULT_BYTES)
        pooling = _pooling(file, config)
    _log.info("%s", kv.describe(block_size))
    return Model(
        os.fspath(path), config, tokenizer, compiled, prompts, kv.max_model_len, kv.num_blocks,
        block_size, kv.window, kv.nbytes, store, pooling,
    )  # fmt: skip


def record(file: GGUFFile, config: ModelConfig) -> list[Op]:
    """Record and fuse the model of a file; every tensor of the file must have a use."""
    graph, weights = Graph(), Weights(file)
    builders()[config.architecture](graph, config, weights)
    if config.pooling == "rank":
        read_classifier(weights, config)  # no op: it works on what a request has read
    weights.require_all_used()
    return fuse(graph.ops)


def widest_window(ops: Sequence[Op]) -> int:
    """Tokens that a token sees in the layer that sees most, itself included; 0: all before it."""
    windows = [int(op.attrs["window"]) for op in ops if op.name == "attention"]
    return max(windows) if windows and all(windows) else 0


def _pooling(file: GGUFFile, config: ModelConfig) -> ModelPooling:
    if config.pooling != "rank":
        return ModelPooling(config.pooling)
    template = file.get("tokenizer.chat_template.rerank", str, None)
    return ModelPooling("rank", read_classifier(Weights(file), config), template)


def _weights_of(ops: Sequence[Op]) -> list[Weight]:
    """The weights of a program in the order they are first read, each once."""
    return list(dict.fromkeys(w for op in ops for w in op.weights if w is not None))


def _left_beside(file: GGUFFile, *plans: Plan) -> int | None:
    """Bytes of memory that weights and activations leave; None when the system does not say."""
    available = available_memory()
    if available is None:
        return None
    needed = sum(info.nbytes for info in file.tensors.values())
    needed += sum(p.arena_floats + p.expert_floats for p in plans) * FLOAT_BYTES
    if needed > available:
        message = "for weights and activations; use a smaller model or quantization"
        raise MemoryBudgetError(needed, available, message)
    return available - needed


def _operands(file: GGUFFile, weights: Sequence[Weight]) -> dict[Weight, Operand]:
    """Each weight as the core reads it: vectors now, matrices when a step needs them."""
    files = [WeightFile(file.descriptor(part)) for part in range(len(file.part_paths))]
    operands: dict[Weight, Operand] = {}
    for weight in weights:
        if len(weight.shape) == 1:
            operands[weight] = weight.vector()
        else:
            prepare(weight.type)  # i-quants decode through a codebook
            info = file.tensors[weight.name]
            operands[weight] = from_file(weight, files[info.part], info.offset)
    return operands


def _multiplied(ops: Sequence[Op], operands: Mapping[Weight, Operand]) -> list[CachedWeight]:
    """The matrices that steps pack: all but tables of which only rows are looked up."""
    names = {
        w.name: operand
        for op in ops
        if op.name != "embed"
        for w in op.weights
        if w is not None and w.whole_tiles and isinstance(operand := operands[w], PackedTensor)
    }
    return [CachedWeight(name, names[name]) for name in sorted(names)]


def _is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike) and os.fspath(value) != ""


def _check_sizes(**values: int | None) -> None:
    limits = {
        "num_threads": MAX_THREADS,
        "num_threads_batch": MAX_THREADS,
        "kv_cache_bytes": 2**62,
        "prefix_cache_bytes": 2**62,
    }
    for name, value in values.items():
        if value is not None:
            check_integer(name, value, 1, limits.get(name, 2**31 - 1))
