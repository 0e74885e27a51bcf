"""What a server tells about a model without loading it: read from the head of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyllm.gguf import GGUFFile
from pyllm.gguf.strings import StringArray
from pyllm.server.settings import ModelSource

# Keys of a GGUF that say how its makers sample, and the fields of SamplingParams they mean.
_SAMPLING_KEYS = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
    "penalty_last_n": "repeat_last_n",
    "penalty_repeat": "repetition_penalty",
    "mirostat": "mirostat",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
}


@dataclass(frozen=True)
class ModelCard:
    """Facts of one file.

    file_bytes     of all its parts
    modified       seconds since 1970
    sampling       fields of SamplingParams that apply where a request is silent
    metadata       of the file, without arrays
    bos_token      and eos_token: their texts, "" where the vocabulary has none
    """

    name: str
    file_bytes: int
    modified: float
    architecture: str
    context_length: int | None
    parameters: int
    file_type: str
    chat_template: str | None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    bos_token: str = ""
    eos_token: str = ""


def read_card(source: ModelSource) -> ModelCard:
    """Reads the head of the file: milliseconds. Raises ModelFileError and OSError."""
    with GGUFFile.open(source.path) as file:
        metadata = {
            key: file.metadata[key] for key in file.metadata if file.metadata.length(key) is None
        }
        architecture = str(metadata.get("general.architecture", ""))
        template = metadata.get("tokenizer.chat_template")
        context = metadata.get(f"{architecture}.context_length")
        tokens = file.metadata.get("tokenizer.ggml.tokens")
        parts = [path.stat() for path in file.part_paths]
        return ModelCard(
            name=source.name,
            file_bytes=sum(part.st_size for part in parts),
            modified=max(part.st_mtime for part in parts),
            architecture=architecture,
            context_length=context if isinstance(context, int) else None,
            parameters=sum(info.num_elements for info in file.tensors.values()),
            file_type=_largest_type(file),
            chat_template=template if isinstance(template, str) else None,
            sampling=_sampling(metadata),
            metadata=metadata,
            bos_token=_token(tokens, metadata.get("tokenizer.ggml.bos_token_id")),
            eos_token=_token(tokens, metadata.get("tokenizer.ggml.eos_token_id")),
        )


def _token(tokens: object, index: object) -> str:
    if not isinstance(tokens, StringArray) or not isinstance(index, int):
        return ""
    return tokens.raw(index).decode("utf-8", "replace") if 0 <= index < len(tokens) else ""


def _largest_type(file: GGUFFile) -> str:
    """The tensor type that most bytes are of: what people call the quantization."""
    sizes: dict[str, int] = {}
    for info in file.tensors.values():
        sizes[info.type_name] = sizes.get(info.type_name, 0) + info.nbytes
    return max(sizes, key=sizes.__getitem__, default="unknown")


def _sampling(metadata: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, field_name in _SAMPLING_KEYS.items():
        value = metadata.get(f"general.sampling.{key}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[field_name] = value
    return found
