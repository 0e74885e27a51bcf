"""Flags that give the answer a structure: text or file, one at a time, checked before loading."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pyllm.cli.arguments import CommandLineError, parse
from pyllm.cli.commands import RUN
from pyllm.cli.run import run
from pyllm.cli.structure import structure_of
from pyllm.errors import RequestError
from pyllm.structured import StructuredOutputsParams
from tests.pyllm.cli.fake_llm import FakeLLM

SCHEMA = {"type": "integer"}


def test_nothing_given_asks_for_nothing() -> None:
    assert structure_of(None, None, None) is None


def test_a_schema_is_text_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(SCHEMA).encode())
    for given in (json.dumps(SCHEMA), f" {json.dumps(SCHEMA)}", str(tmp_path / "s.json")):
        assert structure_of(given, None, None) == StructuredOutputsParams(json=SCHEMA)


def test_a_grammar_is_text_or_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "g.gbnf").write_text('root ::= "é"', "utf-8")
    for given in ((None, 'root ::= "é"', None), (None, None, str(tmp_path / "g.gbnf"))):
        assert structure_of(*given) == StructuredOutputsParams(grammar='root ::= "é"')


def test_what_makes_no_sense_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandLineError, match="one structure"):
        structure_of("{}", 'root ::= "a"', None)
    with pytest.raises(RequestError, match=r"--json-schema: .*is not JSON"):
        structure_of('{"type": ', None, None)
    with pytest.raises(RequestError, match="must not be empty"):
        structure_of(None, "", None)
    with pytest.raises(FileNotFoundError):
        structure_of(str(tmp_path / "none.json"), None, None)
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(CommandLineError, match="not UTF-8"):
        structure_of(None, None, str(tmp_path / "bytes"))


@pytest.mark.parametrize("flag", ["-j", "--json-schema", "-jf", "--json-schema-file"])
def test_run_passes_it_on(fake_llm: FakeLLM, flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    parsed = parse(RUN, ["m.gguf", "-p", "hi", flag, json.dumps(SCHEMA)], {})
    run(Path("m.gguf"), prompt_words=None, loader=fake_llm.load, **parsed.values)  # type: ignore[arg-type]
    ((_, params),) = fake_llm.asked
    assert params.structured_outputs == StructuredOutputsParams(json=SCHEMA)
