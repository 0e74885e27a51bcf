"""Tokenizer: text to token ids and back, for the vocabulary inside a GGUF file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from pyllm.errors import TokenizerError, UnsupportedModelError, printable
from pyllm.tokenizer.bpe import BpeEncoder
from pyllm.tokenizer.byte_letters import spelled_bytes
from pyllm.tokenizer.pretokenizers import pre_tokenizer
from pyllm.tokenizer.special_tokens import SpecialTokens
from pyllm.tokenizer.spm import SPACE, SpmEncoder
from pyllm.tokenizer.vocabulary import TokenType, Vocabulary, read_vocabulary

if TYPE_CHECKING:
    from pyllm.gguf import GGUFFile

__all__ = ["Tokenizer"]

_KINDS: Final = {"llama": "SPM", "gpt2": "BPE"}
_SPECIAL: Final = (TokenType.CONTROL, TokenType.UNKNOWN)
# Tokens that are found as written in text are written so.
_AS_WRITTEN: Final = frozenset({*_SPECIAL, TokenType.USER_DEFINED})


class _Encoder(Protocol):
    def encode_many(self, texts: Sequence[str]) -> list[list[int]]: ...


class Tokenizer:
    """Immutable; any number of threads may use one at once.

    name              what it was built from, for example "BPE (llama-bpe)"
    n_vocab           number of token ids
    bos_id, eos_id    None when the vocabulary has none
    eog_ids           tokens that end generation: eos, end of turn, …
    add_bos, add_eos  what encode(add_special=True) adds
    add_space_prefix  SPM: text at the start and behind special tokens gets a leading space
    chat_template     Jinja source from the file, None when there is none
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        encoder: _Encoder,
        *,
        name: str,
        add_bos: bool,
        add_space_prefix: bool,
    ) -> None:
        """Use Tokenizer.from_gguf."""
        self.name = name
        self.n_vocab = len(vocabulary.tokens)
        self.bos_id = vocabulary.bos_id
        self.eos_id = vocabulary.eos_id
        self.eog_ids = vocabulary.eog_ids
        self.add_bos = add_bos and self.bos_id is not None
        self.add_eos = vocabulary.add_eos and self.eos_id is not None
        self.add_space_prefix = add_space_prefix
        self.chat_template = vocabulary.chat_template
        self._encoder = encoder
        self._special = frozenset(vocabulary.ids_of(*_SPECIAL))
        self._found_in_plain_text = _splitter(vocabulary, TokenType.USER_DEFINED)
        self._found_when_asked = _splitter(vocabulary, TokenType.USER_DEFINED, *_SPECIAL)
        self._restarts = self._special | frozenset(vocabulary.ids_of(TokenType.USER_DEFINED))
        self._texts = vocabulary.tokens
        self._types = vocabulary.types
        self._is_spm = vocabulary.model == "llama"
        self._bytes: dict[int, bytes] = {}  # of tokens that were asked for; at most all
        # Of tokens that read the same wherever they stand inside a text; see Detokenizer.
        self.inner_texts: dict[int, str] = {}

    @classmethod
    def from_gguf(cls, file: GGUFFile) -> Tokenizer:
        """Builds the tokenizer described by the file's `tokenizer.*` keys.

        Raises ModelFileError for malformed keys, UnsupportedModelError for another kind of
        tokenizer; warns with UnknownPreTokenizerWarning when words may be cut wrongly.
        """
        model = file.get("tokenizer.ggml.model", str)
        if model not in _KINDS:
            known = ", ".join(f'"{kind}"' for kind in _KINDS)
            raise UnsupportedModelError(
                file.path, None, "tokenizer.ggml.model", model, known, "pyllm cannot run it yet"
            )
        vocabulary = read_vocabulary(file)
        if model == "llama":
            return cls(
                vocabulary,
                SpmEncoder(file, vocabulary),
                name="SPM",
                add_bos=vocabulary.add_bos is not False,
                add_space_prefix=vocabulary.add_space_prefix is not False,
            )
        pre = pre_tokenizer(vocabulary.pre)
        add_bos = pre.family.add_bos if vocabulary.add_bos is None else vocabulary.add_bos
        return cls(
            vocabulary,
            BpeEncoder(file, vocabulary, pre),
            name=f"BPE ({printable(vocabulary.pre or 'default').strip(chr(39))})",
            add_bos=add_bos,
            add_space_prefix=vocabulary.add_space_prefix is True,
        )

    def encode(
        self,
        text: str,
        *,
        add_special: bool = True,
        parse_special: bool = False,
        add_prefix: bool = True,
    ) -> list[int]:
        """Token ids of `text`.

        add_special    put BOS before and EOS behind, as the model wants it
        parse_special  "<|im_end|>" in `text` becomes that token; otherwise, as is right for text
                       from users, it is encoded like any other text
        add_prefix     let SPM's space precede it; False for text that continues another

        Raises TokenizerError for text that cannot be encoded (lone surrogates).
        """
        splitter = self._found_when_asked if parse_special else self._found_in_plain_text
        pieces = splitter.split(text)
        prefix = " " if add_prefix and self.add_space_prefix else ""
        plain = iter(self._encoder.encode_many(_plain_texts(pieces, prefix)))
        ids = [self.bos_id] if add_special and self.add_bos and self.bos_id is not None else []
        for piece in pieces:
            if isinstance(piece, int):
                ids.append(piece)
            else:
                ids += next(plain)
        if add_special and self.add_eos and self.eos_id is not None:
            ids.append(self.eos_id)
        return ids

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """Text of `ids`; bytes that are no character become U+FFFD.

        skip_special  leave control tokens (BOS, EOS, turn markers) out

        Raises TokenizerError for an id that is not in the vocabulary.
        """
        parts = []
        at_start = True
        for token in ids:
            parts.append(self.piece(token, at_start=at_start, skip_special=skip_special))
            at_start = self.restarts_text(token)
        return b"".join(parts).decode("utf-8", "replace")

    def piece(self, token: int, *, at_start: bool, skip_special: bool) -> bytes:
        """Bytes that `token` adds to a text; `at_start`: nothing but special tokens precede it.

        There an SPM vocabulary's leading space is the one that encode() added, and is dropped.
        """
        raw = self.token_bytes(token)
        if token in self._special:
            return b"" if skip_special else raw
        if at_start and self.add_space_prefix and token not in self._restarts:
            return raw.removeprefix(b" ")
        return raw

    def restarts_text(self, token: int) -> bool:
        """Whether text behind `token` counts as the start of a text (see `piece`)."""
        return token in self._restarts

    def token_bytes(self, token: int) -> bytes:
        """The bytes a token stands for; a special token's own text. Raises TokenizerError."""
        raw = self._bytes.get(token)
        if raw is None:
            raw = self._bytes[token] = self._spelled_out(token)
        return raw

    def _spelled_out(self, token: int) -> bytes:
        if not 0 <= token < self.n_vocab:
            raise TokenizerError(f"token id {token} is not in 0 to {self.n_vocab - 1}")
        text, kind = self._texts[token], int(self._types[token])
        if kind in _AS_WRITTEN:
            return text.encode("utf-8")
        if self._is_spm:
            return _spm_bytes(text, kind)
        spelled = spelled_bytes(text)
        return text.encode("utf-8") if spelled is None else spelled

    def is_special(self, token: int) -> bool:
        """Whether `token` is a control token, which text from users cannot produce."""
        return token in self._special

    def special_id(self, text: str) -> int | None:
        """The control token that is written like `text`; None when there is none."""
        ids = self.encode(text, add_special=False, parse_special=True)
        return ids[0] if len(ids) == 1 and ids[0] in self._restarts else None


def _plain_texts(pieces: list[str | int], prefix: str) -> list[str]:
    # Plain pieces are always apart: each is at the start or behind a special token.
    return [prefix + piece for piece in pieces if isinstance(piece, str)]


def _splitter(vocabulary: Vocabulary, *types: TokenType) -> SpecialTokens:
    tokens = {vocabulary.tokens[token]: token for token in vocabulary.ids_of(*types)}
    return SpecialTokens(tokens, vocabulary.swallow_space_after)


def _spm_bytes(text: str, kind: int) -> bytes:
    if kind == TokenType.BYTE:
        return bytes([int(text[3:5], 16)])
    return text.replace(SPACE, " ").encode("utf-8")
