"""A grammar in llguidance's Lark, written rule by rule."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pyllm.structured.params import StructuredOutputsParams
from pyllm.structured.schema import with_options
from pyllm.tool_calls.tools import Json

_PLAIN_JSON = StructuredOutputsParams(json=True)


class GrammarText:
    """Rules so far; `special` holds the texts that only a token of their own can write."""

    def __init__(self, special: Mapping[str, int]) -> None:
        self._special = special
        by_length = sorted(special, key=len, reverse=True)
        self._markers = re.compile("|".join(map(re.escape, by_length)) or "(?!)")
        self._rules: list[str] = []

    def rule(self, body: str) -> str:
        """Adds a rule; returns its name."""
        name = f"r{len(self._rules)}"
        self._rules.append(f"{name}: {body}")
        return name

    def terminal(self, body: str) -> str:
        name = f"T{len(self._rules)}"
        self._rules.append(f"{name}: {body}")
        return name

    def before(self, marker: str) -> str:
        """Free text up to the next `marker`, and the marker."""
        text = self.terminal(r"/(.|\n)*/")
        if self._markers.match(marker):
            return self.rule(f"{text} {self.literal(marker)}")
        name = f"r{len(self._rules)}"
        self._rules.append(f"{name}[lazy]: {text} {json.dumps(marker, ensure_ascii=False)}")
        return name

    def literal(self, text: str) -> str:
        """Exactly this text."""
        parts = []
        at = 0
        for found in [*self._markers.finditer(text), None]:
            plain = text[at : found.start() if found else len(text)]
            if plain:
                parts.append(json.dumps(plain, ensure_ascii=False))
            if found:
                parts.append(f"<[{self._special[found[0]]}]>")
                at = found.end()
        return " ".join(parts)

    def json(self, schema: Json, options: StructuredOutputsParams = _PLAIN_JSON) -> str:
        """JSON that follows a schema."""
        return f"%json {json.dumps(with_options(schema, options))}"

    def text(self, start: str) -> str:
        """The whole grammar."""
        return "\n".join([f"start: {start}", *self._rules])
