"""What a line of output answers: the model, the options and the input line, in its id."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyllm.errors import PyLLMError
from pyllm.gguf import GGUFFile
from pyllm.packed_cache import build_key, model_key
from pyllm.server.batch.line_reader import RawLine

__all__ = ["LineKeys"]

_ID = re.compile(rb'\{"id":"batch_req_([0-9a-f]{8})([0-9a-f]{8})([0-9a-f]{32})"')


class LineKeys:
    """Ids of output lines: digests of everything their bytes depend on.

    options  that an answer depends on, the build of pyllm is added
    Raises ModelFileError and OSError.
    """

    def __init__(self, model: Path, options: Mapping[str, Any]) -> None:
        with GGUFFile.open(model) as file:
            self._model = _digest(model_key(file))[:8]
        text = json.dumps(options, sort_keys=True, default=str).encode()
        self._options = _digest(build_key() + text)[:8]

    def line_id(self, line: RawLine) -> str:
        return f"batch_req_{self._model}{self._options}{self.number(line)}"

    def number(self, line: RawLine) -> str:
        """32 hexadecimal digits that name the line, its text and its place."""
        return _digest(line.number.to_bytes(8, "little") + line.digest)[:32]

    def check(self, line: RawLine, done: bytes, place: str) -> None:
        """Raises PyLLMError, with the reason, unless `done` answers `line`.

        place  what people call the line of output
        """
        if done.startswith(f'{{"id":"{self.line_id(line)}"'.encode()):
            return
        found = _ID.match(done)
        if found is None:
            raise PyLLMError(f"{place} was not written by pyllm run-batch; give another -o")
        model, options, _ = (part.decode() for part in found.groups())
        if model != self._model:
            reason = "another model made it, or another version of its file"
        elif options != self._options:
            reason = "it was made with other options, or by another build of pyllm"
        else:
            reason = f"it does not answer line {line.number} of the input, which was changed"
        raise PyLLMError(f"{place}: {reason}; to begin again, delete it or give another -o")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
