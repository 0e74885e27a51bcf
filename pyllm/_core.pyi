"""
The C++ core: packed weights, the KV pool and programs.
"""

from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing
import typing_extensions

__all__: list[str] = [
    "KVPool",
    "LAYOUT_VERSION",
    "MaskGate",
    "PackedTensor",
    "Program",
    "WeightFile",
    "checksum",
    "find_repeats",
    "isa",
    "isas",
    "open_packed_cache",
    "panels_pay",
    "set_isa",
    "set_panels_pay",
    "write_packed_cache",
]

class WeightFile:
    """
    A model file that weights are read from while steps run.
    """
    def __init__(self, descriptor: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Duplicates the descriptor; OSError.
        """

class PackedTensor:
    """
    A 2-D weight in 16-row tiles.
    """
    @staticmethod
    def from_file(
        type: typing.SupportsInt | typing.SupportsIndex,
        rows: typing.SupportsInt | typing.SupportsIndex,
        cols: typing.SupportsInt | typing.SupportsIndex,
        file: WeightFile,
        offset: typing.SupportsInt | typing.SupportsIndex,
    ) -> PackedTensor:
        """
        A matrix that lies row-major at `offset`; each tile is packed by the first thread that needs it.

        ValueError when the type is unknown or the shape does not fit it.
        """
    @staticmethod
    def pack(
        type: typing.SupportsInt | typing.SupportsIndex,
        rows: typing.SupportsInt | typing.SupportsIndex,
        cols: typing.SupportsInt | typing.SupportsIndex,
        raw: typing_extensions.Buffer,
        threads: typing.SupportsInt | typing.SupportsIndex,
    ) -> PackedTensor:
        """
        Pack the file's row-major blocks (rows, cols) of a ggml type; GIL released.

        ValueError when the type is unknown or the shape or the number of bytes does not fit.
        """
    def ensure(
        self,
        begin: typing.SupportsInt | typing.SupportsIndex,
        end: typing.SupportsInt | typing.SupportsIndex,
    ) -> None:
        """
        Pack tiles of 16 rows now (for tests); RuntimeError when the file cannot be read.
        """
    def unpack(self) -> numpy.typing.NDArray[numpy.uint8]:
        """
        The bytes that were packed, uint8 [file bytes].
        """
    @property
    def cols(self) -> int: ...
    @property
    def nbytes(self) -> int:
        """
        Bytes of packed memory.
        """
    @property
    def rows(self) -> int: ...
    @property
    def type(self) -> int:
        """
        ggml type id
        """

class KVPool:
    """
    Paged keys and values of all layers.
    """
    def __init__(
        self,
        n_layers: typing.SupportsInt | typing.SupportsIndex,
        n_kv_heads: typing.SupportsInt | typing.SupportsIndex,
        k_dim: typing.SupportsInt | typing.SupportsIndex,
        v_dim: typing.SupportsInt | typing.SupportsIndex,
        block_size: typing.SupportsInt | typing.SupportsIndex,
        n_blocks: typing.SupportsInt | typing.SupportsIndex,
        k_type: str = "f16",
        v_type: str = "f16",
    ) -> None:
        """
        block_size is in tokens, a multiple of 16; types are f16, bf16, q8_0 or q4_0. Memory becomes
        resident as blocks are written.
        """
    def copy_in(
        self, block: typing.SupportsInt | typing.SupportsIndex, source: typing_extensions.Buffer
    ) -> None:
        """
        Overwrite a block with bytes that copy_out of a pool with the same layout gave.
        """
    def copy_out(
        self, block: typing.SupportsInt | typing.SupportsIndex, to: typing_extensions.Buffer
    ) -> None:
        """
        Copy a block's bytes into a buffer of block_bytes; ValueError when it does not fit.
        """
    def keys(
        self,
        layer: typing.SupportsInt | typing.SupportsIndex,
        block: typing.SupportsInt | typing.SupportsIndex,
        head: typing.SupportsInt | typing.SupportsIndex,
    ) -> numpy.typing.NDArray[numpy.float32]:
        """
        Decoded copy, float32 [block_size, k_dim].
        """
    def values(
        self,
        layer: typing.SupportsInt | typing.SupportsIndex,
        block: typing.SupportsInt | typing.SupportsIndex,
        head: typing.SupportsInt | typing.SupportsIndex,
    ) -> numpy.typing.NDArray[numpy.float32]:
        """
        Decoded copy, float32 [block_size, v_dim].
        """
    @property
    def block_bytes(self) -> int: ...
    @property
    def block_size(self) -> int: ...
    @property
    def k_dim(self) -> int: ...
    @property
    def k_type(self) -> str: ...
    @property
    def layout(self) -> str:
        """
        Names what the bytes of a block mean.
        """
    @property
    def n_blocks(self) -> int: ...
    @property
    def n_kv_heads(self) -> int: ...
    @property
    def n_layers(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def v_dim(self) -> int: ...
    @property
    def v_type(self) -> str: ...

class MaskGate:
    """
    Where sampling waits for token masks that are written.
    """
    def __init__(self) -> None:
        """
        Closed.
        """
    def close(self) -> None: ...
    def open(self) -> None:
        """
        The words of the masks are complete.
        """

class Program:
    """
    A compiled model: ops over one arena, run by all threads once per step.
    """
    def __init__(
        self,
        ops: list[dict[str, typing.Any]],
        kv: KVPool | None,
        limits: dict[str, int],
        threads: typing.SupportsInt | typing.SupportsIndex,
        threads_batch: typing.SupportsInt | typing.SupportsIndex | None = None,
        hidden: dict[str, typing.Any] | None = None,
    ) -> None:
        """
        Check everything and allocate; ValueError names the op and what does not fit. `hidden` is the op
        that gives hidden states to the steps that want them.
        """
    def advance(
        self,
        n_tokens: typing.SupportsInt | typing.SupportsIndex,
        n_seqs: typing.SupportsInt | typing.SupportsIndex,
        first_op: typing.SupportsInt | typing.SupportsIndex,
        seconds: typing.SupportsFloat | typing.SupportsIndex,
    ) -> int:
        """
        Run the ops of a step without rows from first_op on: one, and more while they fit into the time; GIL
        released. Returns the op to go on with, with the same columns, or n_ops at the end. ValueError as
        from step.
        """
    def interrupt(self) -> None:
        """
        End the step that runs, or the next one when none does; returns at once.
        """
    def profile(self) -> list[tuple[int, str, int, int, int]]:
        """
        (op index, name, nanoseconds, bytes, multiply-adds) of the last profiled step.
        """
    def read(
        self,
        value: tuple[
            typing.SupportsInt | typing.SupportsIndex,
            typing.SupportsInt | typing.SupportsIndex,
            str,
        ],
        n_rows: typing.SupportsInt | typing.SupportsIndex,
    ) -> numpy.typing.NDArray[numpy.float32]:
        """
        Copy of a value's first rows (for tests).
        """
    def sample(
        self,
        row: typing.SupportsInt | typing.SupportsIndex,
        logits: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
        history: tuple[
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        ]
        | None = None,
        bias: tuple[
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
        ]
        | None = None,
        masks: tuple[
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.uint32],
        ]
        | None = None,
        dry: tuple[
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
        ]
        | None = None,
    ) -> None:
        """
        Sample a row of the last step from other logits, float32 [n_vocab]; GIL released. The row's log
        probabilities remain those of the model's logits. ValueError as from step.
        """
    def set_threads(
        self,
        n: typing.SupportsInt | typing.SupportsIndex,
        n_batch: typing.SupportsInt | typing.SupportsIndex | None = None,
    ) -> None:
        """
        Workers of steps in which every sequence brings one token, and of other steps.
        """
    def share_threads(self, other: Program) -> None:
        """
        Work on the threads of another program; when both are asked to step, one waits.
        """
    def step(
        self,
        n_tokens: typing.SupportsInt | typing.SupportsIndex,
        n_seqs: typing.SupportsInt | typing.SupportsIndex,
        n_rows: typing.SupportsInt | typing.SupportsIndex,
        history: tuple[
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        ]
        | None = None,
        bias: tuple[
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
        ]
        | None = None,
        profile: bool = False,
        masks: tuple[
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.uint32],
        ]
        | None = None,
        mask_gate: MaskGate | None = None,
        dry: tuple[
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
            typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
        ]
        | None = None,
        n_hidden: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> bool:
        """
        Run the first entries of the columns; GIL released. ValueError names an impossible column value;
        then nothing has changed. False: interrupted, the results are worthless. Behind the n_rows that
        are sampled come n_hidden rows that only leave their hidden states.
        """
    @property
    def columns(self) -> dict[str, numpy.ndarray]:
        """
        NumPy views of what a step reads and writes.
        """
    @property
    def longest_op(self) -> float:
        """
        Seconds that the slowest op took when `advance` ran it last.
        """
    @property
    def n_ops(self) -> int: ...
    @property
    def threads(self) -> int: ...
    @property
    def threads_batch(self) -> int: ...

def checksum(
    data: typing_extensions.Buffer, seed: typing.SupportsInt | typing.SupportsIndex
) -> int:
    """
    64 bits against accidents, not against an adversary; GIL released.
    """

def find_repeats(
    tokens: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
    limit: typing.SupportsInt | typing.SupportsIndex,
    min_length: typing.SupportsInt | typing.SupportsIndex,
) -> dict[int, int]:
    """
    Tokens that followed an earlier occurrence of the text's end, and its length in tokens: at least
    min_length, counted up to limit.
    """

def isa() -> str:
    """
    Name of the active instruction set.
    """

def isas() -> list[str]:
    """
    Instruction sets usable on this machine, best first.
    """

def open_packed_cache(
    path: str, key: bytes, weights: collections.abc.Sequence[PackedTensor]
) -> None:
    """
    Let the weights' tiles live in the mapped cache file.

    ValueError when it is not a whole cache with that key; OSError.
    """

def panels_pay() -> bool:
    """
    Whether many tokens go through unpacked panels of weights.
    """

def set_isa(name: str) -> None:
    """
    Switch the instruction set (for tests); ValueError with the reason when it cannot be used.
    """

def set_panels_pay(pay: bool) -> None:
    """
    Decide that (for tests).
    """

def write_packed_cache(
    descriptor: typing.SupportsInt | typing.SupportsIndex,
    key: bytes,
    weights: collections.abc.Sequence[PackedTensor],
    threads: typing.SupportsInt | typing.SupportsIndex,
    progress: collections.abc.Callable[[int, int], None],
) -> None:
    """
    Write and sync the cache file of weights made by from_file; GIL released.

    progress(done, total) counts bytes. OSError, RuntimeError when the model cannot be read.
    """

LAYOUT_VERSION: int = 3
