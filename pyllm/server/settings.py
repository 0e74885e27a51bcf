"""What a server is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyllm.server.log_format import LogFormat


@dataclass(frozen=True)
class ModelSource:
    """A model that may be asked for.

    name     under which clients ask for it; unique
    path     of the GGUF file
    aliases  further names
    """

    name: str
    path: Path
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServerSettings:
    """Everything but the network, which is edge/'s.

    models          the first is meant by requests that name none
    engine          options of AsyncLLM for every model
    keep_alive      seconds a model stays loaded after its last request; None: for ever
    memory_budget   bytes for all loaded models together; None: what the machine has free
    request_timeout seconds from a request's arrival to its end; None: any
    request_templates  clients may bring a chat template and its variables
    preload         load the first model at start, before it is asked for
    log_format      of the log of requests: "text" or "json"
    files_dir       where uploaded files and batches are kept for the next server; None: they end
                    with this one
    max_files       of all keys together, what batches write included
    max_file_bytes  of all of them together
    batch_concurrency  lines of batches that are worked on at a time
    """

    models: tuple[ModelSource, ...]
    engine: Mapping[str, Any] = field(default_factory=dict)
    keep_alive: float | None = None
    memory_budget: int | None = None
    request_timeout: float | None = None
    request_templates: bool = False
    preload: bool = True
    log_format: LogFormat = "text"
    files_dir: Path | None = None
    max_files: int = 1000
    max_file_bytes: int = 8 * 2**30
    batch_concurrency: int = 4
