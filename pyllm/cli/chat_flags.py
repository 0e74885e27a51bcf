"""The flags of `pyllm chat`: what can be asked of a server over OpenAI's API."""

from __future__ import annotations

from dataclasses import replace

from pyllm.cli.flags import STRUCTURE, Flag
from pyllm.cli.sampling_flags import SAMPLING
from pyllm.cli.server_url import server_url
from pyllm.cli.values import integer, number, text

__all__ = ["CHAT_FLAGS", "REMOTE_SAMPLING"]

_OPENAIS = (
    *("max_tokens", "seed", "temperature", "top_p", "presence_penalty", "frequency_penalty"),
    *("logit_bias", "stop"),
)
_EXTENSIONS = ("top_k", "min_p", "repetition_penalty")  # pyllm, vLLM and llama-server take them

# A flag that is not given is not sent: defaults are the server's to choose.
REMOTE_SAMPLING = tuple(
    replace(flag, default=None, help=f"{flag.help.partition(' (default: ')[0]}")
    for flag in SAMPLING
    if flag.keyword in (*_OPENAIS, *_EXTENSIONS)
)

CHAT_FLAGS = (
    Flag(
        ("--url",),
        "the server's address",
        server_url,
        "URL",
        "http://127.0.0.1:8000/v1",
    ),
    Flag(
        ("--api-key",),
        "the key that the server asks for (default: the environment's OPENAI_API_KEY)",
        text,
        "KEY",
        None,
    ),
    Flag(("-p", "--prompt"), "the prompt, instead of an argument", text, "TEXT", None),
    Flag(("-f", "--file"), "read the prompt from a file", text, "FILE", None),
    Flag(("-sys", "--system-prompt", "--system"), "system message", text, "TEXT", None),
    Flag(("--verbose",), "print durations, tokens and rates after each answer"),
    Flag(("--no-history", "--nohistory"), "do not remember what is typed"),
    *(flag for flag in STRUCTURE if flag.keyword == "json_schema"),
    Flag(
        ("--reasoning-effort",),
        "how long a reasoning model thinks: low, medium, high, or what else the server knows",
        text,
        "EFFORT",
        None,
    ),
    Flag(
        ("--timeout",), "seconds that the server may be silent", number(0, above=True), "S", 600.0
    ),
    Flag(
        ("--max-retries",),
        "how often a request that a busy server refuses is sent again",
        integer(0, 100),
        "N",
        3,
    ),
    *REMOTE_SAMPLING,
)
