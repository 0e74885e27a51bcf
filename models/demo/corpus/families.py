"""The table of task families, and one function that writes a case of any of them."""

from __future__ import annotations

from collections.abc import Callable

from . import personas
from .arithmetic import arithmetic, three_terms, word_problem
from .case import Case, Exchange, assistant, user
from .draw import Draw
from .echo import echo
from .extraction import extraction
from .facts import facts
from .identity import identity
from .lists import letters, lists
from .memory import memory
from .numbers import numbers
from .passages import passage
from .refusals import refusal
from .small_talk import small_talk
from .stories import story
from .tools import tool_call
from .verses import joke, poem

Maker = Callable[[Draw], Exchange | Case]

# family: (share of training cases, maker). Evaluation takes the same number of each.
FAMILIES: dict[str, tuple[float, Maker]] = {
    "identity": (7, identity),
    "small_talk": (6, small_talk),
    "memory": (8, memory),
    "persona": (2, personas.persona),
    "passage": (9, passage),
    "story": (3, story),
    "joke": (1.5, joke),
    "poem": (1.5, poem),
    "arithmetic": (18, arithmetic),
    "three_terms": (2, three_terms),
    "word_problem": (5, word_problem),
    "numbers": (6, numbers),
    "lists": (7, lists),
    "letters": (7, letters),
    "extraction": (8, extraction),
    "tools": (7, tool_call),
    "facts": (7, facts),
    "refusal": (9, refusal),
    "echo": (5, echo),
    "brief": (4, arithmetic),
}
_NAMES = list(FAMILIES)
_SHARES = [share for share, _ in FAMILIES.values()]
_HAVE_SHORT: tuple[Callable[[Draw], Exchange], ...] = (
    arithmetic, arithmetic, word_problem, numbers, lists, letters, facts, facts, passage,
)  # fmt: skip
_ALONE: tuple[str, ...] = ("memory", "persona", "tools", "brief")


def make_case(d: Draw, family: str) -> Case:
    """One conversation of the family, sometimes under a system prompt that changes nothing."""
    if family == "brief":
        return _brief(d)
    made = FAMILIES[family][1](d)
    if isinstance(made, Exchange):
        made = Case(family, [user(made.question), assistant(made.answer)], made.check)
    return Case(family, personas.with_system(d, made.messages), made.check, made.tools)


def any_case(d: Draw) -> Case:
    """A case of some family; one in three follows other questions in the same conversation."""
    family = d.rng.choices(_NAMES, _SHARES)[0]
    case = make_case(d, family)
    if family in _ALONE or d.chance(0.6):
        return case
    count = d.pick((1, 1, 1, 2, 2, 3, 4, 6, 8)) if d.chance(0.985) else d.between(10, 24)
    earlier = []
    for _ in range(count):
        before = FAMILIES[d.rng.choices(_NAMES, _SHARES)[0]][1](d)
        if isinstance(before, Exchange):
            earlier += [user(before.question), assistant(before.answer)]
    at = 1 if case.messages[0]["role"] == "system" else 0
    return Case(family, case.messages[:at] + earlier + case.messages[at:], case.check)


def _brief(d: Draw) -> Case:
    while True:
        case = personas.brief(d, d.pick(_HAVE_SHORT)(d))
        if case is not None:
            return case
