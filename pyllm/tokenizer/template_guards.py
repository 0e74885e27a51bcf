"""Filters, methods and operators whose result can be far larger, or slower, than their operands.

Each guard looks at the operands first and raises BudgetExceeded; what it lets through is then
accounted for like any other result.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sized
from typing import Any, Final

from pyllm.tokenizer.template_budget import MAX_INTEGER_BITS, Budget, BudgetExceeded

__all__ = [
    "FORBIDDEN_FILTERS",
    "STRING_METHODS",
    "check_binary",
    "check_filter",
    "check_format",
    "check_method",
    "check_text_of",
]

_MAX_WIDTH = 10_000
_MAX_COUNT = 100_000
_MAX_PRECISION = 100  # decimal places
_MAX_SEARCH = 1 << 27  # haystack × needle: searching backwards is quadratic in CPython
_MAX_JOIN_SEPARATOR = 64  # characters, between items whose number is unknown
_MAX_CHAR_BYTES = 4
_CASE_CHANGES = frozenset({"capitalize", "casefold", "lower", "swapcase", "title", "upper"})
_LIST_ITEM_BYTES = 64  # a short string and its place in a list

# str methods a template may call; encode, translate, format_map and the like are not among them.
STRING_METHODS: Final = frozenset(
    {
        *("capitalize", "casefold", "lower", "swapcase", "title", "upper"),
        *("center", "ljust", "rjust", "zfill", "format"),
        *("count", "endswith", "find", "index", "rfind", "rindex", "startswith"),
        *("isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower"),
        *("isnumeric", "isprintable", "isspace", "istitle", "isupper"),
        *("join", "partition", "rpartition", "rsplit", "split", "splitlines"),
        *("lstrip", "removeprefix", "removesuffix", "replace", "rstrip", "strip"),
    }
)
# Quadratic or unbounded in ways a guard cannot foresee, and of no use in a prompt.
FORBIDDEN_FILTERS: Final = frozenset({"pprint", "urlize", "wordwrap", "xmlattr"})


def _limit(name: str, value: object, limit: int) -> None:
    size = len(value) if isinstance(value, str) else value
    if isinstance(size, int | float) and abs(size) > limit:
        raise BudgetExceeded(f"{name} is larger than {limit}")


def _check_replace(budget: Budget, text: object, old: object = "", new: object = "") -> None:
    text, old, new = str(text), str(old), str(new)
    count = text.count(old) if old else len(text) + 1
    budget.reserve(len(text) + count * len(new))


def _check_split(budget: Budget, text: str, separator: object = None) -> None:
    pieces = text.count(separator) if separator and isinstance(separator, str) else len(text) // 2
    budget.reserve(_LIST_ITEM_BYTES * pieces + len(text))


def _check_lines(budget: Budget, text: str) -> None:
    budget.reserve(_LIST_ITEM_BYTES * (text.count("\n") + text.count("\r")) + len(text))


def _check_join(budget: Budget, separator: object, items: object) -> None:
    if isinstance(items, str):
        _check_characters(budget, items)
    if isinstance(items, Sized):  # a range has a length too
        each = _MAX_CHAR_BYTES * len(str(separator)) + _LIST_ITEM_BYTES
        budget.reserve(budget.weigh(items) + len(items) * each)
    else:  # an iterator's length is unknown: at most 100,000 items, the sandbox's longest range
        _limit("the separator of an iterator's items", str(separator), _MAX_JOIN_SEPARATOR)


def _check_characters(budget: Budget, text: str) -> None:
    """Before an operation that makes a list of the text's characters."""
    budget.reserve(_LIST_ITEM_BYTES * len(text))


def _check_case(budget: Budget, text: str) -> None:
    # CPython changes case in a buffer of three 4-byte code points per character.
    if not text.isascii():
        budget.reserve(12 * len(text))


def check_text_of(budget: Budget, value: object) -> None:
    """Before a value is written out."""
    if not isinstance(value, str):
        budget.reserve(_MAX_CHAR_BYTES * budget.weigh(value))


def _check_strip(chars: object) -> None:
    if isinstance(chars, str):
        _limit("the set of characters to strip", chars, _MAX_WIDTH)


def check_method(budget: Budget, text: str, name: str, args: tuple[Any, ...]) -> None:
    """Before text.name(*args)."""
    first = args[0] if args else None
    if name in ("center", "ljust", "rjust", "zfill"):
        _limit("a text's width", first, _MAX_WIDTH)
    elif name == "replace":
        _check_replace(budget, text, *args[:2])
    elif name == "join":
        _check_join(budget, text, first)
    elif name in ("split", "rsplit"):
        _check_split(budget, text, first)
    elif name == "splitlines":
        _check_lines(budget, text)
    elif name in ("strip", "lstrip", "rstrip"):
        _check_strip(first)
    elif name in _CASE_CHANGES:
        _check_case(budget, text)
    if name in ("rfind", "rindex", "rsplit", "rpartition") and isinstance(first, str):
        _limit("the work of a search", len(text) * len(first), _MAX_SEARCH)


def check_binary(budget: Budget, operator: str, left: Any, right: Any) -> None:
    """Before left <operator> right."""
    if operator == "%" and isinstance(left, str):
        _check_percent_format(budget, left, right)
    elif operator == "**":
        _check_power(left, right)
    elif operator == "*":
        _check_product(budget, left, right)
    elif operator == "+" and isinstance(left, str | list | tuple):
        budget.reserve(len(left) + len(right) if isinstance(right, str | list | tuple) else 0)


def _check_power(base: Any, exponent: Any) -> None:
    if isinstance(base, int) and isinstance(exponent, int):
        bits = base.bit_length() * max(exponent, 0)
        _limit("a power's number of bits", bits, MAX_INTEGER_BITS)


def _check_product(budget: Budget, left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() + right.bit_length()
        _limit("a product's number of bits", bits, MAX_INTEGER_BITS)
        return
    repeated, count = (right, left) if isinstance(left, int) else (left, right)
    if isinstance(repeated, str | list | tuple) and isinstance(count, int):
        unit = 4 if isinstance(repeated, str) else 8
        budget.reserve(unit * len(repeated) * max(count, 0))


_PERCENT = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(\*|\d*)(?:\.(\*|\d*))?")


def _check_percent_format(budget: Budget, template: str, values: Any) -> None:
    n_fields = 0
    for match in _PERCENT.finditer(template):
        n_fields += 1
        for width in match.groups():
            if width and (width == "*" or len(width) > 4):
                raise BudgetExceeded("a format's width is too large or taken from a value")
    items = values if isinstance(values, tuple) else (values,)
    largest = max((budget.weigh(item) for item in items), default=0)
    budget.reserve(_MAX_CHAR_BYTES * (len(template) + n_fields * (largest + _MAX_WIDTH)))


def check_format(
    budget: Budget, template: str, args: Iterable[Any], kwargs: Mapping[str, Any]
) -> None:
    """Before template.format(*args, **kwargs)."""
    n_fields = 0
    for _, name, spec, _ in string.Formatter().parse(template):
        n_fields += name is not None
        if spec and ("{" in spec or re.search(r"\d{5}", spec)):
            raise BudgetExceeded("a format's width is too large or taken from a value")
    largest = max(map(budget.weigh, (*args, *kwargs.values())), default=0)
    budget.reserve(_MAX_CHAR_BYTES * (len(template) + n_fields * (largest + _MAX_WIDTH)))


# Filters with an argument that must stay small: its position behind the value, name and limit.
_SMALL_ARGUMENTS: Final = {
    "batch": (1, "linecount", _MAX_COUNT),
    "center": (1, "width", _MAX_WIDTH),
    "indent": (1, "width", _MAX_WIDTH),
    "round": (1, "precision", _MAX_PRECISION),
    "slice": (1, "slices", _MAX_COUNT),
    "trim": (1, "chars", _MAX_WIDTH),
}
# Filters that may cut a text into as many pieces as it has characters.
_BY_CHARACTER: Final = frozenset(
    {
        *("batch", "dictsort", "groupby", "list", "max", "min", "slice", "sort", "striptags"),
        *("title", "unique", "urlencode", "wordcount"),
    }
)


def check_filter(
    budget: Budget, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Before args[0] | name(*args[1:], **kwargs)."""

    def argument(position: int, keyword: str, default: Any = None) -> Any:
        return args[position] if position < len(args) else kwargs.get(keyword, default)

    value = argument(0, "value")
    if name in _SMALL_ARGUMENTS:
        position, keyword, limit = _SMALL_ARGUMENTS[name]
        _limit(f"the filter {name}'s {keyword}", argument(position, keyword), limit)
    if name in _BY_CHARACTER and isinstance(value, str):
        _check_characters(budget, value)
    if name in _CASE_CHANGES:
        _check_case(budget, str(value))
    elif name == "string":
        check_text_of(budget, value)
    elif name == "format":
        _check_percent_format(budget, str(value), kwargs or args[1:])
    elif name == "indent":
        _check_indent(budget, str(value), argument(1, "width", 4))
    elif name == "join":
        _check_join(budget, argument(1, "d", ""), value)
    elif name == "replace":
        _check_replace(budget, value, argument(1, "old"), argument(2, "new"))
    elif name == "sum" and not isinstance(argument(2, "start", 0), int | float):
        raise BudgetExceeded("sum adds numbers only")


def _check_indent(budget: Budget, text: str, width: object) -> None:
    each = len(width) if isinstance(width, str) else int(str(width))
    _check_lines(budget, text)
    budget.reserve((text.count("\n") + 1) * each + len(text))
