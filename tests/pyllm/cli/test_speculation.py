"""The flags about guessing: what they mean together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyllm.cli.arguments import CommandLineError, parse
from pyllm.cli.commands import RUN
from pyllm.cli.speculation import speculation
from pyllm.speculation.config import SpeculativeConfig


def config(*typed: str) -> SpeculativeConfig | None:
    engine: Any = parse(RUN, ["m.gguf", *typed], {}).values["engine"]
    return speculation(engine)


def test_prompt_lookup_is_the_default() -> None:
    assert config() == config("--spec-type", "ngram") == SpeculativeConfig()
    assert config("--spec-type", "none") is None


def test_a_draft_model(tmp_path: Path) -> None:
    draft = tmp_path / "small.gguf"
    draft.touch()
    expected = SpeculativeConfig("draft_model", str(draft), 5, 2)
    typed = ("-md", str(draft), "--draft-max", "5", "--draft-min", "2")
    assert config(*typed) == config(*typed, "--spec-type", "draft") == expected
    assert config(*typed, "--spec-type", "none") is None


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--spec-type", "draft"], "--spec-type draft needs a model: -md MODEL"),
        (["--spec-type", "ngram", "-md", "x.gguf"], "leave -md out"),
        (["--draft-min", "9", "--draft-max", "8"], "--draft-min 9 is more than --draft-max 8"),
        (["-md", "/no/such.gguf"], "no such file"),
    ],
)
def test_flags_that_disagree(typed: list[str], message: str) -> None:
    with pytest.raises(CommandLineError, match=message):
        config(*typed)
