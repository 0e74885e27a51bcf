"""The flags commands share: llama.cpp's short spelling, vLLM's long one, one environment name.

`group` says where a value goes: "engine" to `LLM(...)`, "sampling" to `SamplingParams(...)`,
"" to the command's own function. A flag's first long name is its keyword and its variable:
`--max-model-len` is `max_model_len` and PYLLM_MAX_MODEL_LEN.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyllm.cli.values import Parser, choice, integer, switch, text

__all__ = [
    "DEBUG",
    "ENGINE",
    "HELP",
    "IGNORED_CHAT",
    "IGNORED_HARDWARE",
    "JSON",
    "KV_CACHE",
    "KV_NAMES",
    "MODEL",
    "SERVER_MODEL",
    "SPECULATION",
    "STRUCTURE",
    "Flag",
]


@dataclass(frozen=True)
class Flag:
    """One option of a command; `metavar` "" makes it a switch that takes no value."""

    names: tuple[str, ...]
    help: str
    parse: Parser = switch
    metavar: str = ""
    default: object = False
    group: str = ""
    repeat: bool = False  # may be given several times; the value is a list
    ignored: str = ""  # why the flag is accepted and has no effect
    argument: str = ""  # the function's argument, when it is not the long name

    @property
    def long_name(self) -> str:
        return next(name for name in self.names if name.startswith("--"))

    @property
    def keyword(self) -> str:
        return self.argument or self.long_name.removeprefix("--").replace("-", "_")

    @property
    def env(self) -> str:
        return "PYLLM_" + self.long_name.removeprefix("--").replace("-", "_").upper()

    @property
    def shown(self) -> str:
        """How messages call the flag: "-n/--max-tokens"."""
        return "/".join(self.names)


HELP = Flag(("-h", "--help"), "show this help")
JSON = Flag(("--json",), "print JSON", argument="as_json")
DEBUG = Flag(("--debug",), "on failure, print the traceback too")
MODEL = Flag(("-m", "--model"), "the model, instead of the first argument", text, "MODEL", None)
SERVER_MODEL = Flag(
    ("-m", "--model"), "which of the server's models (default: its first)", text, "NAME", None
)

ENGINE = (
    Flag(
        ("-t", "--num-threads", "--threads"),
        "threads to compute with (default: physical cores within the CPU quota)",
        integer(1, 1024, nothing={"-1": "automatic", "0": "automatic", "auto": "automatic"}),
        "N",
        None,
        "engine",
    ),
    Flag(
        ("-tb", "--num-threads-batch", "--threads-batch"),
        "threads to read prompts with (default: as many as -t)",
        integer(1, 1024, nothing={"-1": "the same", "0": "the same", "auto": "the same"}),
        "N",
        None,
        "engine",
    ),
    Flag(
        ("-c", "--max-model-len", "--ctx-size"),
        "tokens of context; 0 takes the model's own, as far as memory allows",
        integer(1, nothing={"0": "the model's own", "-1": "the same", "auto": "the same"}),
        "N",
        None,
        "engine",
    ),
    Flag(
        ("-b", "--max-num-batched-tokens", "--batch-size"),
        "prompt tokens computed in one step",
        integer(1, 65536),
        "N",
        512,
        "engine",
    ),
    Flag(
        ("--packed-cache",),
        "keep the packed weights in a file (~/.cache/pyllm) that later starts map",
        group="engine",
    ),
    Flag(
        ("--prefix-cache-dir",),
        "keep what was computed of prompts in this directory, for later starts",
        text,
        "DIR",
        None,
        "engine",
    ),
    Flag(
        ("--prefix-cache-bytes",),
        "size of that directory at most (default: 8 GiB)",
        integer(1, 2**62),
        "N",
        None,
        "engine",
    ),
)

SPECULATION = (
    Flag(
        ("--spec-type",),
        "guess what comes next and check it, with the same result: ngram looks it up in the text, "
        "draft asks the model of -md; auto is draft with -md, else ngram; none is off",
        choice("auto", "ngram", "draft", "none"),
        "TYPE",
        "auto",
        "engine",
    ),
    Flag(
        ("-md", "--model-draft", "--speculative-model"),
        "a smaller model of the same family that writes ahead",
        text,
        "MODEL",
        None,
        "engine",
    ),
    Flag(
        ("--draft-max", "--draft", "--draft-n", "--num-speculative-tokens"),
        "tokens to guess at most; how many pay is measured",
        integer(1, 64),
        "N",
        16,
        "engine",
    ),
    Flag(
        ("--draft-min", "--draft-n-min"),
        "do not try fewer guesses than this",
        integer(1, 64, nothing={"0": "any number"}),
        "N",
        None,
        "engine",
    ),
)

STRUCTURE = (
    Flag(
        ("-j", "--json-schema", "-jf", "--json-schema-file"),
        "answer in JSON that follows this schema (text, or a file that holds it)",
        text,
        "SCHEMA",
        None,
    ),
    Flag(("--grammar",), "answer as this grammar allows (GBNF or Lark)", text, "GRAMMAR", None),
    Flag(("--grammar-file",), "read the grammar from a file", text, "FILE", None),
)

_CPU_ONLY = "pyllm computes on the CPU"


def _ignored(names: tuple[str, ...], why: str, *, takes_value: bool = True) -> Flag:
    metavar = "VALUE" if takes_value else ""
    return Flag(names, "accepted, no effect", text if takes_value else switch, metavar, ignored=why)


IGNORED_HARDWARE = (
    _ignored(("-ngl", "--n-gpu-layers", "--gpu-layers"), _CPU_ONLY),
    _ignored(("-sm", "--split-mode"), _CPU_ONLY),
    _ignored(("-ts", "--tensor-split"), _CPU_ONLY),
    _ignored(("-mg", "--main-gpu"), _CPU_ONLY),
    _ignored(("-dev", "--device"), _CPU_ONLY),
    _ignored(("--gpu-memory-utilization",), _CPU_ONLY),
    _ignored(("-nkvo", "--no-kv-offload"), _CPU_ONLY, takes_value=False),
    _ignored(("--enforce-eager",), _CPU_ONLY, takes_value=False),
    _ignored(("-np", "--parallel"), "requests share one pool of memory, there are no slots"),
    _ignored(("--no-mmap",), "weights are read and packed as they are needed", takes_value=False),
    _ignored(("--mlock",), "memory is the system's to manage", takes_value=False),
    _ignored(("-fa", "--flash-attn"), "attention is always computed in blocks"),
    _ignored(("-ub", "--ubatch-size"), "a step is one batch; set its size with -b"),
)

IGNORED_CHAT = (
    _ignored(("--color",), "colours follow the terminal", takes_value=False),
    _ignored(("--jinja",), "chat templates always run through Jinja", takes_value=False),
    _ignored(("-cnv", "--conversation"), "chatting is the default", takes_value=False),
)

KV_NAMES = ("f16", "bf16", "q8_0", "q4_0", "auto", "float16", "bfloat16")


def _kv_type(names: tuple[str, ...], what: str, default: str | None) -> Flag:
    return Flag(
        names, f"{what}: f16, bf16, q8_0 or q4_0", choice(*KV_NAMES), "TYPE", default, "engine"
    )


KV_CACHE = (
    _kv_type(("--kv-cache-dtype", "--kv"), "how cached keys and values are stored", "auto"),
    _kv_type(("-ctk", "--cache-type-k"), "keys alone", None),
    _kv_type(("-ctv", "--cache-type-v"), "values alone", None),
)
