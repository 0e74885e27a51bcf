"""What a GGUF file may ask for: every count and length is checked before memory is reserved."""

from __future__ import annotations

from typing import Final

MAX_KEYS: Final = 65_536
MAX_TENSORS: Final = 65_536
MAX_PARTS: Final = 1_024
MAX_KEY_BYTES: Final = 65_535
MAX_NAME_BYTES: Final = 63  # ggml's tensor name buffer is 64 bytes with its NUL
MAX_DIMENSIONS: Final = 4
MAX_STRING_BYTES: Final = 16 << 20
MAX_TEMPLATE_BYTES: Final = 1 << 20
MAX_ARRAY_ELEMENTS: Final = 64 << 20
MAX_METADATA_BYTES: Final = 1 << 30
MAX_ALIGNMENT: Final = 65_536
MAX_INT64: Final = (1 << 63) - 1

# The smallest entries that can exist; a count times its minimum must fit in the bytes left.
MIN_KEY_ENTRY_BYTES: Final = 8 + 1 + 4 + 1  # length, one character, type, one-byte value
MIN_TENSOR_ENTRY_BYTES: Final = (
    8 + 1 + 4 + 0 + 4 + 8
)  # length, character, rank, no dims, type, offset
