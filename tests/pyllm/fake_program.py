"""A toy model for tests of everything above the program: wrong scheduling changes its answers.

The next token is a function of all visible tokens, and those are read where a real program reads
them: through block tables, from cells that earlier steps wrote. A cell that holds another
position, or that two sequences write in one step, is an assertion failure.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from pyllm.engine.interrupt import StepInterrupted
from pyllm.pooling.pooling import ModelPooling

LogitsOf = Callable[[list[int]], np.ndarray]
N_VOCAB = 272
WIDTH = 6  # of hidden states
BOS, EOS, EOT, THINK = 256, 257, 258, 259
WORDS = {260: "st", 261: "op", 262: "stop", 263: " the", 264: " end", 265: "ab", 266: "abc"}


class FakeTokenizer:
    """Bytes are tokens 0-255; a few special tokens; a few words, to cut stop strings anywhere."""

    name = "fake"
    n_vocab = N_VOCAB
    bos_id, eos_id = BOS, EOS
    eog_ids = frozenset({EOS, EOT})
    add_bos, add_eos = True, False
    chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )

    def __init__(self):
        self.inner_texts = {}

    def encode(self, text, *, add_special=True, parse_special=False, add_prefix=True):
        return [BOS] * add_special + list(text.encode())

    def is_special(self, token):
        return BOS <= token <= THINK

    def piece(self, token, *, at_start, skip_special):
        return b"" if skip_special and self.is_special(token) else self.token_bytes(token)

    def restarts_text(self, token):
        return self.is_special(token)

    def token_bytes(self, token):
        if token < 256:
            return bytes([token])
        return WORDS.get(token, f"<{token}>").encode()

    def decode(self, ids, *, skip_special=True):
        shown = [i for i in ids if not (skip_special and self.is_special(i))]
        return b"".join(map(self.token_bytes, shown)).decode("utf-8", "replace")


def hashed_logits(tokens: list[int]) -> np.ndarray:
    """Different for every history; end-of-generation tokens are as likely as any other."""
    seed = zlib.crc32(np.array(tokens, np.int64).tobytes())
    return np.random.default_rng(seed).standard_normal(N_VOCAB).astype(np.float32)


def hashed_state(tokens: list[int]) -> np.ndarray:
    """Different for every history, float32 [WIDTH]."""
    return hashed_logits([*tokens, -1])[:WIDTH]


def printable_logits(tokens: list[int]) -> np.ndarray:
    """As hashed_logits, but only the letters a-z can win."""
    logits = hashed_logits(tokens)
    logits[ord("a") : ord("z") + 1] += 20
    return logits


def scripted(prompt_length: int, script: list[int]) -> LogitsOf:
    """Continue every prompt of `prompt_length` tokens with `script`, then EOS for ever."""

    def logits_of(tokens: list[int]) -> np.ndarray:
        place = len(tokens) - prompt_length
        logits = np.zeros(N_VOCAB, np.float32)
        logits[script[place] if 0 <= place < len(script) else EOS] = 10
        return logits

    return logits_of


class FakeGate(threading.Event):
    open, close = threading.Event.set, threading.Event.clear


class FakeProgram:
    def __init__(
        self, *, max_tokens, max_seqs, max_blocks, num_blocks, block_size, logits_of=hashed_logits,
        draft_rows=0, window=0, hidden_of=hashed_state,
    ):  # fmt: skip
        rows = max_seqs + max(draft_rows, 4)  # four prompt tokens can be scored in a step
        self.block_size = block_size
        self.logits_of = logits_of
        self.window = window  # tokens that a token sees, itself included; 0: all before it
        self.hidden_of = hidden_of
        self.cells = np.full((num_blocks, block_size, 2), -1, np.int64)  # token, position
        self.mask_gate = FakeGate()
        self.num_steps = 0
        self.computed_tokens = 0
        self.closed = False
        self.interrupted = False
        shapes = {
            "tokens": (np.int32, max_tokens),
            "positions": (np.int32, max_tokens),
            "seq_starts": (np.int32, max_seqs + 1),
            "block_tables": (np.int32, (max_seqs, max_blocks)),
            "logit_rows": (np.int32, rows),
            "temperature": (np.float32, rows),
            "top_k": (np.int32, rows),
            "top_p": (np.float32, rows),
            "min_p": (np.float32, rows),
            "repetition_penalty": (np.float32, rows),
            "presence_penalty": (np.float32, rows),
            "frequency_penalty": (np.float32, rows),
            "seed": (np.uint64, rows),
            "rng_position": (np.int64, rows),
            "n_logprobs": (np.int32, rows),
            "target": (np.int32, rows),
            "deferred": (np.int32, rows),
            "sampler_order": (np.uint64, rows),
            "typical_p": (np.float32, rows),
            "top_n_sigma": (np.float32, rows),
            "xtc_probability": (np.float32, rows),
            "xtc_threshold": (np.float32, rows),
            "dynatemp_range": (np.float32, rows),
            "dynatemp_exponent": (np.float32, rows),
            "mirostat_tau": (np.float32, rows),
            "mirostat_eta": (np.float32, rows),
            "mirostat_mu": (np.float32, rows),
            "min_keep": (np.int32, rows),
            "mirostat_next": (np.float32, rows),
            "log_sum": (np.float64, rows),
            "rank": (np.int32, rows),
            "sampled": (np.int32, rows),
            "logprob": (np.float32, rows),
            "top_ids": (np.int32, (rows, 20)),
            "top_logprobs": (np.float32, (rows, 20)),
            "status": (np.int32, rows),
            "logits": (np.float32, (rows, N_VOCAB)),
            "hidden": (np.float32, (rows, WIDTH)),
        }
        self.columns = {name: np.zeros(shape, kind) for name, (kind, shape) in shapes.items()}

    def step(
        self, n_tokens, n_seqs, n_rows, history=None, bias=None, profile=False, masks=None,
        mask_gate=None, dry=None, n_hidden=0,
    ):  # fmt: skip
        c = self.columns
        assert 0 < n_tokens <= len(c["tokens"])
        assert 0 < n_seqs < len(c["seq_starts"])
        assert n_rows + n_hidden <= len(c["logit_rows"])
        starts = c["seq_starts"][: n_seqs + 1].tolist()
        assert starts[0] == 0
        assert starts[-1] == n_tokens
        assert starts == sorted(set(starts)), "every sequence brings at least one token"
        if self.interrupted:
            self.interrupted = False
            raise StepInterrupted
        self.num_steps += 1
        self.computed_tokens += n_tokens
        self._write(starts)
        if mask_gate is not None:
            assert mask_gate is self.mask_gate
            assert mask_gate.wait(10), "nobody opened the gate"
        owner = np.repeat(np.arange(n_seqs), np.diff(starts))
        for row in range(n_rows):
            token = int(c["logit_rows"][row])
            position = int(c["positions"][token])
            visible = self._read(int(owner[token]), position, self._first_seen(position))
            assert c["target"][row] >= 0 or c["rng_position"][row] == position + 1
            self._sample(row, self.logits_of(visible), history, bias, masks, dry)
        for row in range(n_rows, n_rows + n_hidden):
            token = int(c["logit_rows"][row])
            position = int(c["positions"][token])
            visible = self._read(int(owner[token]), position, self._first_seen(position))
            c["hidden"][row] = self.hidden_of(visible)

    def interrupt(self):
        self.interrupted = True

    def _cell(self, seq, position):
        block = int(self.columns["block_tables"][seq, position // self.block_size])
        assert block >= 0, f"position {position} was given back"
        return block, position % self.block_size

    def _write(self, starts):
        written = set()
        for seq, (start, end) in enumerate(pairwise(starts)):
            for i in range(start, end):
                position = int(self.columns["positions"][i])
                if self.window and i == start:  # its rows read, whether or not logits are wanted
                    self._read(seq, position - 1, self._first_seen(position))
                cell = self._cell(seq, position)
                assert cell not in written, "two tokens in one KV cell"
                written.add(cell)
                self.cells[cell] = int(self.columns["tokens"][i]), position

    def _first_seen(self, position):
        return max(0, position + 1 - self.window) if self.window else 0

    def _read(self, seq, last_position, first):
        tokens = []
        for position in range(first, last_position + 1):
            token, stored = self.cells[self._cell(seq, position)]
            assert stored == position, f"position {position} was never written, or overwritten"
            tokens.append(int(token))
        return tokens

    def sample(self, row, logits, history=None, bias=None, masks=None, dry=None):
        assert self.columns["deferred"][row] == 1
        if np.isnan(logits).any():
            raise ValueError("logits hold NaN")
        raw = self.columns["logits"][row].copy()
        self._sample(row, raw, history, bias, masks, dry, logits)

    def _sample(self, row, raw, history, bias, masks, dry, processed=None):
        c = self.columns
        c["logits"][row] = raw
        c["status"][row] = int(not np.isfinite(raw).all())
        if c["status"][row]:
            return
        if c["deferred"][row] and processed is None:
            c["sampled"][row] = -1
            return
        logits = (raw if processed is None else processed).astype(np.float64)
        for offsets, tokens, values in filter(None, (bias, dry)):
            for i in range(offsets[row], offsets[row + 1]):
                logits[tokens[i]] += values[i]
        if history is not None:
            self._penalize(row, logits, history)
        if masks is not None and row in masks[0]:
            words = masks[1][masks[0].tolist().index(row)]
            logits[np.unpackbits(words.view(np.uint8), bitorder="little")[:N_VOCAB] == 0] = -np.inf
        if logits.max() == -np.inf:
            c["status"][row] = 2
            return
        if c["target"][row] >= 0:
            token = int(c["target"][row])
        else:
            greedy = c["temperature"][row] == 0
            token = int(np.argmax(logits)) if greedy else self._draw(row, logits)
        c["mirostat_next"][row] = c["mirostat_mu"][row] - 0.125 * (token % 3)
        c["log_sum"][row] = np.log(np.exp(raw.astype(np.float64)).sum())
        logprobs = (raw - c["log_sum"][row]).astype(np.float32)
        c["rank"][row] = 1 + (logprobs > logprobs[token]).sum()
        best = np.argsort(-logprobs, kind="stable")[:20]
        c["sampled"][row] = token
        c["logprob"][row] = logprobs[token]
        c["top_ids"][row] = best
        c["top_logprobs"][row] = logprobs[best]

    def _penalize(self, row, logits, history):
        c = self.columns
        offsets, tokens, counts = history
        for i in range(offsets[row], offsets[row + 1]):
            penalty = c["repetition_penalty"][row]
            value = logits[tokens[i]]
            value = value / penalty if value > 0 else value * penalty
            value -= c["frequency_penalty"][row] * counts[i]
            value -= c["presence_penalty"][row] * (counts[i] > 0)
            logits[tokens[i]] = value

    def _draw(self, row, logits):
        c = self.columns
        logits = logits / c["temperature"][row]
        p = np.exp(logits - logits.max())
        order = np.argsort(-p, kind="stable")
        p = p[order] / p.sum()
        keep = np.ones(len(p), bool)
        if c["top_k"][row] > 0:
            keep[c["top_k"][row] :] = False
        keep[1:] &= np.cumsum(p)[:-1] < c["top_p"][row]
        keep &= p >= c["min_p"][row] * p[0]
        cumulative = np.cumsum(p * keep)
        key = zlib.crc32(f"{int(c['seed'][row])}/{int(c['rng_position'][row])}".encode())
        return int(order[np.searchsorted(cumulative, key / 2**32 * cumulative[-1], side="right")])

    def close(self):
        self.closed = True


class FakePromptProgram(FakeProgram):
    """Fills the cells of another program at the end of four ops."""

    n_ops = 4

    def __init__(self, beside, max_tokens=16, longest_op=0.0):
        super().__init__(
            max_tokens=max_tokens, max_seqs=1, max_blocks=beside.columns["block_tables"].shape[1],
            num_blocks=1, block_size=beside.block_size, window=beside.window,
        )  # fmt: skip
        self.cells = beside.cells
        self.max_tokens, self.longest_op = max_tokens, longest_op
        self.calls = []  # (tokens, first op)
        self.error = None  # to raise

    def advance(self, n_tokens, first_op, seconds):
        """One op when there is no time, otherwise all."""
        assert 0 <= first_op < self.n_ops
        starts = self.columns["seq_starts"][:2].tolist()
        assert starts == [0, n_tokens], "the columns changed"
        self.calls.append((n_tokens, first_op))
        if self.error is not None:
            raise self.error
        end = first_op + 1 if seconds <= 0 else self.n_ops
        if end == self.n_ops:
            self._write(starts)
        return end


@dataclass
class FakeModel:
    """What an engine needs of a loaded model, around a FakeProgram."""

    max_model_len: int = 256
    block_size: int = 16
    num_kv_blocks: int = 64
    kv_cache_bytes: int = 0
    max_num_seqs: int = 8
    max_num_batched_tokens: int = 64
    logits_of: LogitsOf = hashed_logits
    draft_rows: int = 0
    kv_window: int = 0
    hidden_of: LogitsOf = hashed_state
    pooling: ModelPooling = field(default_factory=ModelPooling)
    tokenizer: FakeTokenizer = field(default_factory=FakeTokenizer)
    slices: bool = False  # there is a program for slices of prompts
    program: FakeProgram = field(init=False)
    prompt_program: FakePromptProgram | None = field(init=False, default=None)
    prefix_store: None = None

    def __post_init__(self):
        self.program = FakeProgram(
            max_tokens=self.max_num_batched_tokens,
            max_seqs=self.max_num_seqs,
            max_blocks=-(-self.max_model_len // self.block_size),
            num_blocks=self.num_kv_blocks,
            block_size=self.block_size,
            logits_of=self.logits_of,
            draft_rows=self.draft_rows,
            window=self.kv_window,
            hidden_of=self.hidden_of,
        )
        if self.slices:
            self.prompt_program = FakePromptProgram(self.program)

    def close(self):
        self.program.close()
