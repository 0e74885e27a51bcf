"""What the doctor says about this machine and about machines it only imagines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pyllm import doctor, kernels, self_test
from pyllm.doctor import ARM_ISAS, X86_ISAS, Finding, examine
from pyllm.errors import DeviceError, ModelFileError
from pyllm.self_test import KernelResult
from tests.pyllm.cli.tiny_model import write_tiny_model

ROOT = Path(__file__).parents[2]


def texts(findings: list[Finding], subject: str) -> list[str]:
    return [finding.text for finding in findings if finding.subject == subject]


def test_this_machine_is_well() -> None:
    findings = list(examine())
    assert [finding for finding in findings if finding.status == "failed"] == []
    assert texts(findings, "instruction set")[0].startswith(f"{kernels.isa()}: ")
    count = len(kernels.formats())
    assert texts(findings, "kernels")[0].startswith(f"{count} of {count} weight types correct")


def test_known_instruction_sets_are_those_that_are_built() -> None:
    rows = re.findall(r"PYLLM_ISA_ROW\((\w+)\)", (ROOT / "csrc/isa/isa.def").read_text())
    assert tuple(rows) == (*X86_ISAS[:-1], *ARM_ISAS)


def test_missing_features_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise DeviceError(f"instruction set '{name}': this machine has no AVX512F")

    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(kernels, "isas", lambda: ("avxvnni", "avx2", "scalar"))
    monkeypatch.setattr(kernels, "set_isa", refuse)
    lines = [finding.text for finding in doctor._instruction_sets()]
    assert [line for line in lines if line.startswith("not used")] == [
        "not used: instruction set 'amx': this machine has no AVX512F",
        "not used: instruction set 'avx512vnni': this machine has no AVX512F",
        "not used: instruction set 'avx512': this machine has no AVX512F",
    ]


def test_wrong_override_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise DeviceError("PYLLM_ISA: instruction set 'neon': not one of …")

    monkeypatch.setattr(kernels, "isa", refuse)
    failed = [finding for finding in examine() if finding.status == "failed"]
    assert {finding.subject for finding in failed} == {"instruction set", "kernels"}
    assert failed[0].text.startswith("PYLLM_ISA: ")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (KernelResult("Q4_K", 0.5, 0.02, ()), "Q4_K: error 50.00%, allowed 2.00%"),
        (KernelResult("Q4_K", 0.01, 0.02, ("avx2",)), "Q4_K: avx2 computed something else"),
    ],
)
def test_wrong_kernels_are_findings(
    monkeypatch: pytest.MonkeyPatch, result: KernelResult, said: str
) -> None:
    good = KernelResult("Q8_0", 0.005, 0.02, ())
    monkeypatch.setattr(self_test, "check_kernels", lambda: [good, result])
    first, second = doctor._kernels()
    assert (first.status, first.text) == ("failed", said)
    assert (second.status, second.text[:27]) == ("failed", "1 of 2 weight types correct")


def test_unknown_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "available_memory", lambda: None)
    (finding,) = doctor._memory()
    assert finding.status == "warning"


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "image.gguf").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    with pytest.raises(ModelFileError):
        list(examine(tmp_path / "image.gguf"))


class FakeTokenizer:
    name = "fake"
    n_vocab = 256
    eog_ids: frozenset[int] = frozenset()

    def encode(self, text: str, **_: bool) -> list[int]:
        return list(text.encode())

    def decode(self, ids: list[int], **_: bool) -> str:
        return bytes(ids).decode().replace("é", "e")


def test_tokenizer_that_changes_text_or_never_ends() -> None:
    findings = list(doctor._tokenizer(FakeTokenizer()))  # type: ignore[arg-type]
    assert [finding.status for finding in findings] == ["warning", "warning"]
    assert findings[0].text.startswith("text comes back changed: 'naïve café")
    assert findings[1].text == "fake, 256 tokens, no token ends an answer"


@pytest.mark.parametrize(
    ("template", "status", "said"),
    [
        (None, "ok", "none: the model completes text"),
        ("{{ messages[0].content }}!", "ok", "a short question becomes "),
        ("{{ messages[0].role }}", "failed", "it leaves out the user's message"),
    ],
)
def test_chat_templates(tmp_path: Path, template: str | None, status: str, said: str) -> None:
    path = write_tiny_model(tmp_path / "m.gguf", template=template)
    findings = [finding for finding in examine(path) if finding.subject == "chat template"]
    assert [finding.status for finding in findings] == [status]
    assert findings[0].text.startswith(said)


def test_a_model_is_told_about(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "m.gguf")
    findings = list(examine(path))
    assert texts(findings, "model")[0].startswith("llama, 11 tensors, 66.9 KiB, context 64")
    assert texts(findings, "tokenizer") == ["SPM, 260 tokens"]
