"""GGUF files: a reader that treats every byte as hostile, and a thin writer."""

from pyllm.gguf.metadata import Metadata, Value
from pyllm.gguf.reader import GGUFFile
from pyllm.gguf.strings import StringArray
from pyllm.gguf.tensors import TensorInfo

__all__ = ["GGUFFile", "Metadata", "StringArray", "TensorInfo", "Value"]
