"""Which names the scopes inside a cell keep to themselves: functions, lambdas, comprehensions, classes, type parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_NAMED = (*FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)


class Scope:
    """One scope and the names that are local to it."""

    def __init__(self, names: Iterable[str], declared_global: Iterable[str] = (), is_class: bool = False) -> None:
        self.names = set(names)
        self.declared_global = set(declared_global)
        self.is_class = is_class


class ComprehensionScope(Scope):
    """The loop variables of a comprehension; `:=` inside binds outside of it."""


def written_annotations(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    """The annotations of a function."""
    found = [argument.annotation for argument in _parameters(node.args)] + [node.returns]
    return [annotation for annotation in found if annotation is not None]


def _parameters(arguments: ast.arguments) -> list[ast.arg]:
    starred = [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *starred]


def parameter_names(arguments: ast.arguments) -> set[str]:
    """The names of a function's parameters."""
    return {argument.arg for argument in _parameters(arguments)}


def local_names(body: Sequence[ast.AST]) -> tuple[set[str], set[str]]:
    """The names that a function or class body binds, and those that it declares global."""
    declared_global: set[str] = set()
    declared_nonlocal: set[str] = set()
    for node in _own_nodes(body):
        if isinstance(node, ast.Global):
            declared_global.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            declared_nonlocal.update(node.names)
    return stored_names(body) - declared_global - declared_nonlocal, declared_global


def stored_names(body: Sequence[ast.AST]) -> set[str]:
    """The names that some code binds in its own scope."""
    names: set[str] = set()
    for node in _own_nodes(body):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, _NAMED) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names.add(node.rest)
        elif isinstance(node, ast.alias) and node.name != "*":
            names.add(node.asname or node.name.partition(".")[0])
    return names


def _own_nodes(body: Sequence[ast.AST]) -> Iterable[ast.AST]:
    """The nodes that belong to this scope itself: nothing inside nested functions, classes and comprehensions."""
    waiting = list(body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if isinstance(node, _COMPREHENSIONS):
            # `:=` in a comprehension binds in the scope around it.
            waiting += [walrus.target for walrus in ast.walk(node) if isinstance(walrus, ast.NamedExpr)]
        elif not isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)
