"""The table of commands: what each is called, takes and runs. The code is imported when run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pyllm.cli.batch_flags import BATCH
from pyllm.cli.bench_flags import MANY_REQUESTS
from pyllm.cli.chat_flags import CHAT_FLAGS
from pyllm.cli.embedding_flags import EMBEDDING
from pyllm.cli.eval_flags import EVAL
from pyllm.cli.flags import (
    DEBUG,
    ENGINE,
    HELP,
    IGNORED_CHAT,
    IGNORED_HARDWARE,
    JSON,
    KV_CACHE,
    KV_NAMES,
    MODEL,
    SERVER_MODEL,
    SPECULATION,
    STRUCTURE,
    Flag,
)
from pyllm.cli.sampling_flags import SAMPLING
from pyllm.cli.server_flags import SERVER
from pyllm.cli.values import choice, choices, integer, integers, number_or_inf, text

__all__ = ["COMMANDS", "Command", "commands_below", "find_command"]


@dataclass(frozen=True)
class Command:
    """One row: `pyllm NAME` parses `flags` and calls `target` ("module:function").

    words   usage of the arguments that are not flags; the first is the model, the rest is joined
            to one text and passed as `takes_text`, or passed as the list `takes_words` (nothing
            may follow the model without either)
    many_models  every word is a model, and the function finds the files itself
    demo    the embedded model stands in when no model is named; a lone text is then the prompt
    remote  the model is one of a server's, named with --model only, and no file
    """

    name: str
    target: str
    summary: str
    words: str
    flags: tuple[Flag, ...]
    takes_text: str = ""
    takes_words: str = ""
    many_models: bool = False
    model_required: bool = True
    demo: bool = False
    remote: bool = False
    notes: str = ""

    @property
    def model_flag(self) -> Flag:
        return SERVER_MODEL if self.remote else MODEL

    @property
    def all_flags(self) -> tuple[Flag, ...]:
        return (self.model_flag, *self.flags, HELP, DEBUG)


RUN = Command(
    "run",
    "pyllm.cli.run:run",
    "chat with a model, or answer one PROMPT",
    "[MODEL] [PROMPT]",
    (
        Flag(("-p", "--prompt"), "the prompt, instead of an argument", text, "TEXT", None),
        Flag(("-f", "--file"), "read the prompt from a file", text, "FILE", None),
        Flag(("-sys", "--system-prompt", "--system"), "system message", text, "TEXT", None),
        Flag(("--raw", "-no-cnv", "--no-conversation"), "complete the prompt, do not chat"),
        Flag(("--verbose",), "print durations and rates after each answer"),
        Flag(("--no-history", "--nohistory"), "do not remember what is typed"),
        *STRUCTURE,
        Flag(
            ("--token-healing",),
            "with --raw: the answer may change the last token of a prompt cut inside a word",
        ),
        *SAMPLING,
        *ENGINE,
        *SPECULATION,
        *KV_CACHE,
        *IGNORED_HARDWARE,
        *IGNORED_CHAT,
    ),
    takes_text="prompt_words",
    model_required=False,
    demo=True,
    notes=(
        "Without MODEL the small model that comes with pyllm answers. Without PROMPT a chat "
        "starts; /? lists what it understands. Text piped in comes before PROMPT. A model "
        "without a chat template completes the text as it is."
    ),
)

CHAT = Command(
    "chat",
    "pyllm.cli.chat:chat",
    "chat with the model of a server",
    "[PROMPT]",
    CHAT_FLAGS,
    takes_text="prompt_words",
    model_required=False,
    remote=True,
    notes=(
        "The server may be any that speaks OpenAI's API: pyllm serve, vLLM, llama-server, Ollama "
        "or a hosted one. Without PROMPT a chat starts; /? lists what it understands. Text piped "
        "in comes before PROMPT. What is not given is the server's to choose."
    ),
)

SHOW = Command(
    "show",
    "pyllm.cli.show:show",
    "what a GGUF file holds",
    "MODEL",
    (
        Flag(("--tensors",), "list every tensor"),
        Flag(("--metadata",), "list every metadata key"),
        JSON,
    ),
)

TOKENIZE = Command(
    "tokenize",
    "pyllm.cli.tokenize:tokenize",
    "the tokens of a text",
    "MODEL [TEXT]",
    (
        Flag(
            ("--no-bos", "--no-add-special"),
            "leave out the tokens that begin and end a text",
            default=True,
            argument="add_special",
        ),
        Flag(("--parse-special",), "read special tokens written in the text as such"),
        JSON,
    ),
    takes_text="text",
    notes="Without TEXT it is read from standard input.",
)

SERVE = Command(
    "serve",
    "pyllm.cli.serve:serve",
    "OpenAI's, Ollama's and Anthropic's HTTP interfaces, and a web page",
    "[MODEL…]",
    (
        *SERVER,
        *ENGINE,
        Flag(
            ("--max-num-seqs",), "answers computed at a time", integer(1, 4096), "N", 16, "engine"
        ),
        *SPECULATION,
        *KV_CACHE,
        *IGNORED_HARDWARE,
    ),
    takes_words="models",
    many_models=True,
    model_required=False,
    demo=True,
    notes=(
        "MODEL is a GGUF file, NAME=FILE to serve it under another name, or a directory of models. "
        "Without MODEL the small model that comes with pyllm answers. One model is loaded at "
        "start; several are loaded when they are first asked for."
    ),
)

RUN_BATCH = Command(
    "run-batch",
    "pyllm.cli.run_batch:run_batch",
    "answer the requests of a file, one a line",
    "-i FILE -o FILE MODEL",
    BATCH,
    notes=(
        'A line is {"custom_id": "…", "method": "POST", "url": "/v1/chat/completions", '
        '"body": {…}}. A line that cannot be answered gets one that says why. The same command '
        "again goes on where a run was stopped. Equal runs write equal bytes: times are 0, and a "
        "line without a seed gets one made of its text and place."
    ),
)

EMBED = Command(
    "embed",
    "pyllm.cli.embed:embed",
    "the embeddings of texts",
    "MODEL [TEXT …]",
    EMBEDDING,
    takes_words="texts",
    notes="Prints one list of numbers a line. Without TEXT each line of standard input is a text.",
)

EXPLAIN_CACHE = Command(
    "explain-cache",
    "pyllm.cli.explain_cache:explain_cache",
    "at which token two prompts diverge, and what the prefix cache saves",
    "MODEL PROMPT_A PROMPT_B",
    (
        Flag(("--parse-special",), "read special tokens written in the prompts as such"),
        Flag(("--block-size",), "tokens of a cached block", integer(1, 65536), "N", 32),
        JSON,
    ),
    takes_words="prompts",
    notes="A prompt is text, or @FILE to read it from a file.",
)

DOCTOR = Command(
    "doctor",
    "pyllm.cli.doctor:doctor",
    "check this machine, and a MODEL if one is given",
    "[MODEL]",
    (JSON,),
    model_required=False,
)

BENCH = Command(
    "bench",
    "pyllm.cli.bench:bench",
    "measure tokens per second",
    "MODEL",
    (
        Flag(("-p", "--n-prompt"), "prompt tokens, 0 for none", integers(0), "N,…", (512,)),
        Flag(("-n", "--n-gen"), "generated tokens, 0 for none", integers(0), "N,…", (128,)),
        Flag(("-d", "--n-depth"), "tokens in the context before", integers(0), "N,…", (0,)),
        Flag(
            ("-b", "--max-num-batched-tokens", "--batch-size"),
            "prompt tokens per step",
            integers(1),
            "N,…",
            (512,),
        ),
        Flag(
            ("-t", "--num-threads", "--threads"),
            "threads (default: physical cores within the CPU quota)",
            integers(1),
            "N,…",
            (),
        ),
        Flag(
            ("-tb", "--num-threads-batch", "--threads-batch"),
            "threads to read prompts with (default: as many as -t)",
            integers(1),
            "N,…",
            (),
        ),
        Flag(("-r", "--repetitions"), "repetitions of each test", integer(1, 10**6), "N", 5),
        Flag(
            ("-o", "--output"),
            "md, csv, json or jsonl",
            choice("md", "csv", "json", "jsonl"),
            "FORMAT",
            "md",
        ),
        Flag(("--profile",), "print a table of time per operation instead"),
        Flag(
            ("-ctk", "--cache-type-k"),
            "how cached keys are stored: f16, bf16, q8_0, q4_0",
            choices(*KV_NAMES),
            "TYPE,…",
            ("f16",),
        ),
        Flag(
            ("-ctv", "--cache-type-v"),
            "how cached values are stored",
            choices(*KV_NAMES),
            "TYPE,…",
            ("f16",),
        ),
        *IGNORED_HARDWARE,
    ),
)

EVAL_KLD = Command(
    "eval kld",
    "pyllm.cli.eval:kld",
    "what a KV type or a quantization changes",
    "MODEL",
    (Flag(("--base",), "compare with this model instead", text, "MODEL", None), *EVAL),
    notes=(
        "Prints the Kullback-Leibler divergence of the predictions from those of the same model "
        "with f16 keys and values, or of --base, as llama-perplexity does. Both are in memory at "
        "once."
    ),
)

EVAL_PERPLEXITY = Command(
    "eval perplexity",
    "pyllm.cli.eval:perplexity",
    "how well a model predicts a text",
    "MODEL",
    EVAL,
    notes="Perplexities of other texts, vocabularies, -c or --chunks cannot be compared.",
)

_TOKENS = integer(1, 2**31 - 1)

BENCH_THROUGHPUT = Command(
    "bench throughput",
    "pyllm.cli.bench_throughput:bench_throughput",
    "measure how fast many requests at once are done",
    "MODEL",
    (
        Flag(("--input-len",), "prompt tokens of a random request", _TOKENS, "N", 256),
        Flag(("--output-len",), "generated tokens of each request", _TOKENS, "N", 64),
        Flag(
            ("--prefix-len",),
            "tokens before the prompt that all random requests share",
            integer(0, 2**31 - 1),
            "N",
            0,
        ),
        *MANY_REQUESTS,
    ),
)

BENCH_SERVE = Command(
    "bench serve",
    "pyllm.cli.bench_serve:bench_serve",
    "measure how long requests wait that arrive one after another",
    "MODEL",
    (
        Flag(
            ("--request-rate",),
            "requests that arrive per second; inf: all at once",
            number_or_inf(0),
            "X",
            math.inf,
        ),
        Flag(
            ("--burstiness",),
            "1: arrivals at random (Poisson), less: in bursts, more: evenly, inf: like a clock",
            number_or_inf(0),
            "X",
            1.0,
        ),
        Flag(
            ("--max-concurrency",),
            "requests sent at a time; others wait before they are sent (default: any)",
            integer(1, 2**31 - 1),
            "N",
            None,
        ),
        Flag(("--random-input-len",), "prompt tokens of a random request", _TOKENS, "N", 256),
        Flag(("--random-output-len",), "generated tokens of each request", _TOKENS, "N", 64),
        Flag(
            ("--random-prefix-len",),
            "tokens before the prompt that all random requests share",
            integer(0, 2**31 - 1),
            "N",
            0,
        ),
        *MANY_REQUESTS,
    ),
    notes="The engine runs in this process; no server is needed.",
)

COMMANDS = (
    RUN,
    SERVE,
    RUN_BATCH,
    CHAT,
    SHOW,
    TOKENIZE,
    EMBED,
    EXPLAIN_CACHE,
    BENCH,
    BENCH_THROUGHPUT,
    BENCH_SERVE,
    EVAL_KLD,
    EVAL_PERPLEXITY,
    DOCTOR,
)


def commands_below(name: str) -> list[Command]:
    """The commands of the group `name`: for "eval", `eval kld` and `eval perplexity`."""
    return [command for command in COMMANDS if command.name.startswith(f"{name} ")]


def find_command(words: Sequence[str]) -> Command | None:
    """The row that the first words name; the longest name wins."""
    named = [c for c in COMMANDS if c.name.split() == list(words[: len(c.name.split())])]
    return max(named, key=lambda command: len(command.name), default=None)
