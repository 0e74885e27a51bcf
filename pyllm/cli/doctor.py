"""`pyllm doctor [MODEL]`: prints what pyllm.doctor finds; exit code 1 when something fails."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from pyllm.cli.terminal import one_line
from pyllm.doctor import Finding, examine

__all__ = ["doctor"]


def doctor(model: Path | None, *, as_json: bool) -> int:
    """Runs the command; returns its exit code."""
    findings = []
    for finding in examine(model):
        findings.append(finding)
        if not as_json:
            print(_line(finding), flush=True)
    failed = sum(finding.status == "failed" for finding in findings)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    elif failed:
        print(f"\n{failed} of {len(findings)} findings need attention.")
    return 1 if failed else 0


def _line(finding: Finding) -> str:
    mark = {"ok": "ok", "warning": "WARN", "failed": "FAIL"}[finding.status]
    return f"{mark:<4}  {finding.subject:<16} {one_line(finding.text)}"
