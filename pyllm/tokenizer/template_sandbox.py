"""The one Jinja environment of pyllm: sandboxed, immutable, and every operation on a budget.

Templates are compiled once (template_compiler.py); each rendering runs that code in an environment
of its own with a fresh budget.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_context

from pyllm.tokenizer.template_budget import Budget, BudgetedIterator
from pyllm.tokenizer.template_guards import (
    FORBIDDEN_FILTERS,
    STRING_METHODS,
    check_binary,
    check_filter,
    check_format,
    check_method,
    check_text_of,
)
from pyllm.tokenizer.template_json import JsonFilter

__all__ = ["TemplateSandbox"]

_MAX_TOKENS = 12_000  # the largest template in use has 4100; compiling 12 000 takes half a second


class _TokenLimit(Extension):
    """Refuses a template with too many tokens while it is being read."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        assert isinstance(self.environment, TemplateSandbox)
        for count, token in enumerate(stream):
            self.environment.budget.step()
            if count > _MAX_TOKENS:
                raise TemplateSyntaxError(f"more than {_MAX_TOKENS} tokens", token.lineno)
            yield token


class _Generation(Extension):
    """{% generation %}…{% endgeneration %} marks what the assistant wrote; it renders its body."""

    tags = {"generation"}  # noqa: RUF012 - the type Jinja declares

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Callable[[], str]) -> str:
        return caller()


class _QuietNamespace(Namespace):
    """Writing out a namespace that holds another, twice, and so on, would double at each level."""

    def __repr__(self) -> str:
        return "<Namespace>"


class _Loop:
    """What a `for` goes over; every round is a step."""

    def __init__(self, source: Any, budget: Budget) -> None:
        # Tool templates loop over `tools` although a conversation may come without any.
        self._source = () if source is None else source
        self._budget = budget

    def __iter__(self) -> Iterator[Any]:
        return BudgetedIterator(iter(self._source), self._budget)


class _SizedLoop(_Loop):
    """Knows its length, so that `loop.last` need not look ahead."""

    def __len__(self) -> int:
        return len(self._source)


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """For one rendering (or one compilation) under `budget`."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, budget: Budget) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # folding constants would run "'x' * 10**9" while compiling
            finalize=_finalize,
            extensions=[_TokenLimit, _Generation, "jinja2.ext.loopcontrols"],
            cache_size=0,
        )
        self.budget = budget
        self.globals.pop("lipsum")
        self.globals["namespace"] = _QuietNamespace
        for name in FORBIDDEN_FILTERS:
            del self.filters[name]
        self.filters["tojson"] = JsonFilter(budget)
        self.filters = {name: self._guarded(name, f) for name, f in self.filters.items()}
        self.tests = {name: self._guarded(name, f) for name, f in self.tests.items()}

    # ---- what instrumented templates call ----

    def loop(self, source: Any) -> _Loop:
        kind = _SizedLoop if hasattr(source, "__len__") else _Loop
        return kind(source, self.budget)

    def made(self, value: Any) -> Any:
        return self.budget.made(value)

    def joined(self, *values: Any) -> Any:
        """The operator "~"."""
        return self.concat([str(self.checked_text(value)) for value in values])

    def checked_text(self, value: Any) -> Any:
        """A value that is about to be written out."""
        self.budget.step()
        check_text_of(self.budget, value)
        return value

    def stepped(self, value: Any) -> Any:
        self.budget.step()
        return value

    def concat(self, parts: Iterable[str]) -> Any:
        """Joins what a macro, a block assignment or "~" has written."""
        parts = list(parts)
        self.budget.reserve(sum(map(len, parts)))
        return self.budget.made("".join(parts))

    # ---- what Jinja calls ----

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        check_binary(self.budget, operator, left, right)
        return self.budget.made(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        # Named as in Jinja, so that no keyword argument of a template can collide.
        owner = getattr(__obj, "__self__", None)
        if owner is __self:
            return __obj(*args)
        if isinstance(owner, str):
            check_method(__self.budget, owner, __obj.__name__, args)
        elif isinstance(__obj, LoopContext):
            args = (__self.loop(args[0]), *args[1:])
        __self.budget.enter_call()
        try:
            result = super().call(__context, __obj, *args, **kwargs)
        finally:
            __self.budget.leave_call()
        if isinstance(owner, str) and isinstance(result, list | tuple):
            return __self.budget.made_pieces(result)
        return __self.budget.made(result)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str):
            return attr in STRING_METHODS
        if isinstance(obj, int | float):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        # Jinja's own returns an undefined value, which prints as nothing.
        raise SecurityError(f"attribute {attribute!r} of {type(obj).__name__} is not allowed")

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None
        template = value.__self__

        def checked(*args: Any, **kwargs: Any) -> str:
            check_format(self.budget, template, args, kwargs)
            return wrapped(*args, **kwargs)

        return checked

    def _guarded(self, name: str, function: Any) -> Callable[..., Any]:
        """A filter or test that looks before it acts and accounts for what it returns."""
        budget = self.budget
        first = 1 if hasattr(function, "jinja_pass_arg") else 0
        compares = name in _COMPARING

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            budget.step()
            if compares and len(args) > first:
                args = (*args[:first], self._listed(args[first]), *args[first + 1 :])
            check_filter(budget, name, args[first:], kwargs)
            return budget.made(function(*args, **kwargs))

        return guarded

    def _listed(self, items: Any) -> Any:
        """Lists what an iterator yields, so that its weight is known before it is compared."""
        if isinstance(items, BudgetedIterator):
            return self.budget.made(list(items))
        return items


# Filters that compare items with each other, or join them.
_COMPARING = frozenset({"sort", "unique", "groupby", "min", "max", "join"})


@pass_context
def _finalize(context: Context, value: Any) -> Any:
    sandbox = context.environment
    assert isinstance(sandbox, TemplateSandbox)
    return sandbox.checked_text(value)
