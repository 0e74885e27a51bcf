"""Held-out evaluation: right answers and self-made ends by family, greedy decoding.

    python -m models.demo.evaluate torch checkpoint.pt
    python -m models.demo.evaluate pyllm models/pyllm-demo-Q8_0.gguf
    python -m models.demo.evaluate pyllm models/pyllm-demo-Q8_0.gguf --chat

The cases are drawn with another seed than training text, with names that training text never has,
and with number pairs above 20 that it never adds or subtracts.
"""
# ruff: noqa: T201  a program that reports on the terminal

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from .answer import Answer
from .corpus.case import Case
from .corpus.draw import Draw
from .corpus.families import FAMILIES, make_case
from .first_prompts import FIRST_PROMPTS

MAX_TOKENS = 400
SEED = "evaluation 1"


class Answerer(Protocol):
    def answers(self, conversations: Sequence[tuple[list[Any], list[Any]]]) -> list[Answer]:
        """Answers to conversations (messages, tools) that end with a user's or tool's message."""
        ...


def held_out_cases(per_family: int) -> list[Case]:
    """The same cases for the same number; no training text is drawn with their seeds."""
    cases = []
    for family in FAMILIES:
        draw = Draw(f"{SEED} {family}", held_out=True)
        cases += [make_case(draw, family) for _ in range(per_family)]
    return cases


def main() -> None:
    options = _options()
    answerer = _answerer(options.engine, options.model)
    if options.chat:
        _print_chat(answerer)
        return
    cases = held_out_cases(options.per_family)
    answers = answerer.answers([(case.messages[:-1], case.tools) for case in cases])
    _print_table(cases, answers)
    if options.wrong:
        _write_wrong(cases, answers, options.wrong)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=("torch", "pyllm"))
    parser.add_argument("model", type=Path)
    parser.add_argument("--per-family", type=int, default=60)
    parser.add_argument("--wrong", type=Path, help="write wrong answers here, a JSON value a line")
    parser.add_argument("--chat", action="store_true", help="answer the first prompts instead")
    return parser.parse_args()


def _answerer(engine: str, model: Path) -> Answerer:
    if engine == "torch":
        from .answer_torch import TorchAnswerer

        return TorchAnswerer(model, MAX_TOKENS)
    from .answer_pyllm import PyllmAnswerer

    return PyllmAnswerer(model, MAX_TOKENS)


def _print_table(cases: Sequence[Case], answers: Sequence[Answer]) -> None:
    right = [c.check.accepts(a.text) for c, a in zip(cases, answers, strict=True)]
    print("| family | cases | right | stopped |\n|---|---|---|---|")
    for family in [*FAMILIES, "all"]:
        of = [i for i, case in enumerate(cases) if family in (case.family, "all")]
        good = sum(right[i] for i in of) / len(of)
        stopped = sum(answers[i].stopped for i in of) / len(of)
        print(f"| {family} | {len(of)} | {good:.1%} | {stopped:.1%} |")


def _write_wrong(cases: Sequence[Case], answers: Sequence[Answer], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for case, answer in zip(cases, answers, strict=True):
            if not case.check.accepts(answer.text):
                row = {
                    "family": case.family,
                    "messages": case.messages[:-1],
                    "wanted": case.check.wanted[:3],
                    "answer": answer.text,
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _print_chat(answerer: Answerer) -> None:
    conversations: list[tuple[list[Any], list[Any]]] = [
        ([{"role": "user", "content": text}], []) for text in FIRST_PROMPTS
    ]
    for prompt, answer in zip(FIRST_PROMPTS, answerer.answers(conversations), strict=True):
        print(f"- **{prompt}**  \n  {answer.text.replace(chr(10), '  ' + chr(10) + '  ')}")


if __name__ == "__main__":
    main()
