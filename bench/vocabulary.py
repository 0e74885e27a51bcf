"""A made-up byte-level BPE vocabulary of any size that loads wherever a real one does.

256 byte tokens, then merges (all pairs of bytes, then pair + byte) as filler, then control tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, product

from gguf import TokenType

_LLAMA_CONTROLS = ("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>")
_QWEN_CONTROLS = ("<|endoftext|>", "<|im_end|>", "<|im_start|>")
_RESERVED = 16  # control tokens in all; real vocabularies pad with reserved ones too

_LLAMA_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
_QWEN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Vocabulary:
    """What the tokenizer keys of a GGUF hold."""

    pre: str
    tokens: list[str]  # GPT-2's printable spelling of bytes
    types: list[TokenType]
    merges: list[str]  # "left right"
    bos_id: int | None
    eos_id: int
    template: str


def make_vocabulary(size: int, *, qwen: bool) -> Vocabulary:
    """Builds a vocabulary of exactly `size` tokens. Raises ValueError below 272."""
    n_filler = size - 256 - _RESERVED
    if n_filler < 0:
        raise ValueError(
            f"a byte-level vocabulary needs {256 + _RESERVED} tokens, asked for {size}"
        )
    letters = _byte_letters()
    pairs = [(a, b) for a, b in product(letters, letters)]
    triples = ((a + b, c) for (a, b), c in product(pairs, letters))
    filler = [*pairs, *islice(triples, max(0, n_filler - len(pairs)))][:n_filler]
    controls = list(_QWEN_CONTROLS if qwen else _LLAMA_CONTROLS)
    controls += [f"<|reserved_{i}|>" for i in range(_RESERVED - len(controls))]
    first_control = 256 + n_filler
    return Vocabulary(
        pre="qwen2" if qwen else "llama-bpe",
        tokens=[*letters, *(a + b for a, b in filler), *controls],
        types=[TokenType.NORMAL] * first_control + [TokenType.CONTROL] * _RESERVED,
        merges=[f"{a} {b}" for a, b in filler],
        bos_id=None if qwen else first_control,
        eos_id=first_control + (1 if qwen else 2),
        template=_QWEN_TEMPLATE if qwen else _LLAMA_TEMPLATE,
    )


def _byte_letters() -> list[str]:
    """GPT-2's letter for each byte: itself when printable, else the next free one from U+0100."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(b if b in printable else next(spare)) for b in range(256)]
