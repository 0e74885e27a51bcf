"""The tiny models of tests/fixtures/models with the logits transformers computed for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from pyllm.graph.weights import Weight

FOLDER = Path(__file__).parents[1] / "fixtures" / "models"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.gguf")))
CHUNKS = (64, 7, 1)  # all at once, in pieces, token by token


@dataclass(frozen=True)
class Expected:
    tokens: list[int]  # 64 token ids
    logits: npt.NDArray[np.float32]  # [64, n_vocab]


def model_path(name: str) -> Path:
    return FOLDER / f"{name}.gguf"


def expected(name: str) -> Expected:
    with np.load(FOLDER / f"{name}.npz") as stored:
        return Expected(stored["tokens"].tolist(), stored["logits"])


def names_of(architecture: str) -> list[str]:
    """The reference models whose file says `general.architecture` is this one."""
    return [name for name in NAMES if _architecture(name) == architecture]


def values(weight: Weight) -> npt.NDArray[np.float32]:
    """What the reference interpreter reads for a handle, by the gguf package's decoders."""
    kind = gguf.GGMLQuantizationType(weight.type)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    raw = np.frombuffer(weight.raw(), np.uint8).reshape(-1, weight.shape[-1] // block * size)
    return gguf.quants.dequantize(raw, kind).reshape(weight.shape).astype(np.float32)


def write_copy(
    name: str, to: Path, *, matrices: Any = None, drop: Any = (), extra: Any = None,
    fields: Any = None, added: Any = None, raw_types: Any = None,
) -> Path:  # fmt: skip
    """Write a variant of a reference model.

    matrices  ggml type of the matrices (None: as stored, F16)
    drop      tensors to leave out
    extra     tensors to add or replace: name -> array
    fields    metadata to replace: key -> value of the same type
    added     metadata to add: key -> text or number
    raw_types  of tensors of `extra` that are rows of blocks: name -> ggml type
    """
    reader = gguf.GGUFReader(model_path(name))
    writer = gguf.GGUFWriter(to, _architecture(name))
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        kind, value = field.types[0], (fields or {}).get(key, field.contents())
        sub_type = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, value, kind, sub_type)
    for key, value in (added or {}).items():
        (writer.add_string if isinstance(value, str) else writer.add_uint32)(key, value)
    tensors = {t.name: np.array(t.data) for t in reader.tensors if t.name not in drop}
    for key, array in (tensors | (extra or {})).items():
        if matrices is not None and array.ndim > 1:
            data = gguf.quants.quantize(array.astype(np.float32), matrices)
            writer.add_tensor(key, data, raw_dtype=matrices)
        else:
            raw_type = (raw_types or {}).get(key)
            kind = None if raw_type is None else gguf.GGMLQuantizationType(raw_type)
            writer.add_tensor(key, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return to


def _architecture(name: str) -> str:
    field = gguf.GGUFReader(model_path(name)).get_field("general.architecture")
    assert field is not None
    return str(field.contents())
