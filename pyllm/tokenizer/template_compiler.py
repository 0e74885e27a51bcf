"""Compiles chat templates into code whose every growing or repeating operation is on a budget.

Loops, literals, slices, comparisons and "~" become calls of the sandbox; operators, filters and
calls pass through it anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import CodeType
from typing import Final

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.visitor import NodeTransformer

from pyllm.tokenizer.template_budget import Budget
from pyllm.tokenizer.template_sandbox import TemplateSandbox

__all__ = ["compile_template"]

MAX_SOURCE_CHARS: Final = 1 << 20
_MAX_TREE_DEPTH = 120  # deeper trees meet Python's own limits while being compiled
_SMALL_LITERAL = 64  # items
# A template is one text: it has no other file to include, and output is never HTML.
_FORBIDDEN_NODES = (
    nodes.Block,
    nodes.Extends,
    nodes.FromImport,
    nodes.Import,
    nodes.Include,
    nodes.ScopedEvalContextModifier,
)


def compile_template(source: str) -> CodeType:
    """Code to run in any TemplateSandbox. Raises Jinja's exceptions and BudgetExceeded."""
    if len(source) > MAX_SOURCE_CHARS:
        raise TemplateSyntaxError(f"longer than {MAX_SOURCE_CHARS} characters", 1)
    sandbox = TemplateSandbox(Budget(None))
    tree = sandbox.parse(source)
    _check_tree(tree)
    tree = _Instrument().visit(tree)
    tree.set_environment(sandbox)
    return sandbox.compile(tree)


def _check_tree(tree: nodes.Template) -> None:
    """Not recursive: this is what makes recursion over the tree safe."""
    level: list[nodes.Node] = [tree]
    depth = 0
    while level:
        depth += 1
        if depth > _MAX_TREE_DEPTH:
            raise TemplateSyntaxError("nested too deeply", level[0].lineno)
        for node in level:
            if isinstance(node, _FORBIDDEN_NODES):
                kind = type(node).__name__.lower()
                raise TemplateSyntaxError(f"{kind} is not available", node.lineno)
        level = [child for node in level for child in node.iter_child_nodes()]


class _Instrument(NodeTransformer):
    """Turns the operations that can grow or repeat into calls of the sandbox's methods."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _sandbox_call("loop", [node.iter])
        return node

    def visit_If(self, node: nodes.If) -> nodes.Node:
        self.generic_visit(node)
        node.test = _sandbox_call("stepped", [node.test])
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _sandbox_call("joined", node.nodes)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        return _sandbox_call("stepped", [node])

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        is_copy = isinstance(node.arg, nodes.Slice) and node.ctx == "load"
        return _sandbox_call("made", [node]) if is_copy else node

    def visit_List(self, node: nodes.List) -> nodes.Node:
        return self._literal(node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        return self._literal(node) if node.ctx == "load" else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        return self._literal(node)

    def _literal(self, node: nodes.List | nodes.Tuple | nodes.Dict) -> nodes.Node:
        is_small = len(node.items) <= _SMALL_LITERAL
        if is_small and all(isinstance(item, nodes.Const) for item in node.items):
            return node  # ["user", "assistant"] cannot grow
        self.generic_visit(node)
        return _sandbox_call("made", [node])


def _sandbox_call(method: str, args: Sequence[nodes.Node]) -> nodes.Call:
    line = args[0].lineno if args else 1
    function = nodes.EnvironmentAttribute(method, lineno=line)
    return nodes.Call(function, list(args), [], None, None, lineno=line)
