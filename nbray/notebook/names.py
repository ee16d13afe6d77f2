"""Which names a cell needs, assigns and changes in place: decided from its source alone.

Pure. `find_names` takes Python source (IPython's syntax transformed already) and walks it in the order in which it runs.
A name is needed when it may be read before the cell has assigned it for certain; a wrong guess therefore ships too much,
never too little. What cannot be known from the source (`exec`, `from m import *`) shows only when the cell has run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from nbray.notebook.changes import changed_by_call
from nbray.notebook.scopes import (
    FUNCTIONS,
    ComprehensionScope,
    Scope,
    local_names,
    parameter_names,
    stored_names,
    written_annotations,
)

_RUNS_PYTHON = frozenset({"time", "timeit", "prun", "capture", "memit", "mprun", "lprun", "debug", "%time", "%timeit"})
_LOOKS_AT = frozenset({"pinfo", "pinfo2"})
_SHELL_VARIABLE = re.compile(r"\$(\w+)")
_SHELL_EXPRESSION = re.compile(r"\{([^{}]+)\}")
_MAGIC_OPTIONS = re.compile(r"^(\s*-\w+(\s*\d+)?)*\s*")


class Names(NamedTuple):
    """The names of a cell's top level, each group in the order in which they appear."""

    needed: tuple[str, ...]
    """Read before they are assigned for certain; builtins are among them."""
    assigned: tuple[str, ...]
    """Bound by the cell when it ends, as far as the source tells."""
    changed: tuple[str, ...]
    """Changed in place: `x[0] = 1`, `x.a = 1`, `x += 1`, `x.append(1)`."""
    star_imports: tuple[str, ...]
    """Modules of which everything is imported."""
    uses_magics: bool
    """Whether IPython magics run, which may assign what the source does not show."""


def find_names(source: str) -> Names:
    """Find the names of a cell; raises SyntaxError.

    >>> find_names("b = a + 1\\nprint(b)")[:2]
    (('a', 'print'), ('b',))
    """
    walker = _Walker()
    walker.visit_block(ast.parse(source).body)
    walker.visit_delayed()
    return Names(
        tuple(walker.needed), tuple(walker.assigned), tuple(walker.changed), tuple(walker.star_imports), walker.uses_magics
    )


class _Walker(ast.NodeVisitor):
    """Walks the cell in order; `bound` holds the top-level names that have a value of this cell for certain."""

    def __init__(self) -> None:
        self.needed: dict[str, None] = {}
        self.assigned: dict[str, None] = {}
        self.changed: dict[str, None] = {}
        self.star_imports: dict[str, None] = {}
        self.uses_magics = False
        self.bound: set[str] = set()
        self.scopes: list[Scope] = []
        self.delayed: list[tuple[ast.AST, list[Scope]]] = []

    # ---------------------------------------------------------------- names

    def read(self, name: str) -> None:
        for scope in reversed(self.scopes):
            if name in scope.declared_global:
                break
            if name in scope.names and not (scope.is_class and scope is not self.scopes[-1]):
                return
        if name not in self.bound:
            self.needed.setdefault(name)

    def bind(self, name: str) -> None:
        scope = self.scopes[-1] if self.scopes else None
        if scope is None:
            self.bound.add(name)
            self.assigned.setdefault(name)
        elif name in scope.declared_global:
            self.assigned.setdefault(name)
        else:
            scope.names.add(name)

    def change(self, target: ast.expr) -> None:
        """Note the name at the root of `x[0].a`; only names of the cell's own level count."""
        while isinstance(target, (ast.Attribute, ast.Subscript)):
            target = target.value
        if isinstance(target, ast.Name) and not any(target.id in scope.names for scope in self.scopes):
            self.changed.setdefault(target.id)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.read(node.id)
        elif isinstance(node.ctx, ast.Store):
            self.bind(node.id)
        else:
            self.read(node.id)
            if not self.scopes:
                self.bound.discard(node.id)
                self.assigned.pop(node.id, None)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.change(node)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.change(node)
        self.generic_visit(node)

    # ---------------------------------------------------------------- statements, in the order in which they run

    def visit_block(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            if not isinstance(statement, (*FUNCTIONS, ast.Import, ast.ImportFrom)):
                self.visit_delayed()
            self.visit(statement)

    def visit_delayed(self) -> None:
        """Function bodies count where something could first call them, so that they may use what is defined below."""
        while self.delayed:
            node, scopes = self.delayed.pop(0)
            outer, self.scopes = self.scopes, scopes
            self._visit_function_body(node)
            self.scopes = outer

    def visit_branch(self, body: Sequence[ast.stmt], bound: set[str]) -> set[str]:
        """Walk statements that may or may not run; returns what is bound at their end."""
        outer, self.bound = self.bound, set(bound)
        self.visit_block(body)
        self.visit_delayed()
        inner, self.bound = self.bound, outer
        return inner

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
            self.visit(node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.read(node.target.id)
            self.change(node.target)
        self.visit(node.value)
        self.visit(node.target)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.bind(alias.asname or alias.name.partition(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.star_imports.setdefault("." * node.level + (node.module or ""))
            else:
                self.bind(alias.asname or alias.name)

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        chosen, otherwise = self.visit_branch(node.body, self.bound), self.visit_branch(node.orelse, self.bound)
        self.bound |= chosen & otherwise

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        before = set(self.bound)
        self.visit(node.target)
        self.visit_branch(node.body, self.bound)
        self.bound &= before
        self.visit_branch(node.orelse, self.bound)

    visit_AsyncFor = visit_For  # noqa: N815

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self.visit_branch(node.body, self.bound)
        self.visit_branch(node.orelse, self.bound)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars is not None:
                self.visit(item.optional_vars)
        after = self.visit_branch(node.body, self.bound)
        if not any("suppress" in ast.dump(item.context_expr) for item in node.items):
            self.bound |= after

    visit_AsyncWith = visit_With  # noqa: N815

    def visit_Try(self, node: ast.Try) -> None:
        ends = [self.visit_branch(node.body, self.bound)]
        ends[0] = self.visit_branch(node.orelse, ends[0])
        ends += [self._visit_handler(handler) for handler in node.handlers]
        self.bound |= set.intersection(*ends)
        self.bound |= self.visit_branch(node.finalbody, self.bound)

    def visit_TryStar(self, node: Any) -> None:
        self.visit_Try(node)

    def _visit_handler(self, handler: ast.ExceptHandler) -> set[str]:
        if handler.type is not None:
            self.visit(handler.type)
        name = handler.name
        # Python deletes the name of an exception at the end of its handler, so it never comes back.
        was_assigned = name in self.assigned
        outer = set(self.bound)
        if name:
            self.bind(name)
        end = self.visit_branch(handler.body, self.bound)
        self.bound = outer
        if name and not was_assigned and not self.scopes:
            self.assigned.pop(name, None)
        return end - {name or ""}

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        for case in node.cases:
            before = set(self.bound)
            self.visit(case.pattern)
            if case.guard is not None:
                self.visit(case.guard)
            self.visit_branch(case.body, self.bound)
            self.bound = before

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.generic_visit(node)
        if node.name:
            self.bind(node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name:
            self.bind(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest:
            self.bind(node.rest)

    # ---------------------------------------------------------------- expressions

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        within = len(self.scopes)
        while within and isinstance(self.scopes[within - 1], ComprehensionScope):
            within -= 1
        hidden, self.scopes = self.scopes, self.scopes[:within]
        self.visit(node.target)
        self.scopes = hidden

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        before = set(self.bound)
        for value in node.values[1:]:
            self.visit(value)
        self.bound = before

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        before = set(self.bound)
        self.visit(node.body)
        self.bound = set(before)
        self.visit(node.orelse)
        self.bound = before

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call) and _is_shell(function.value):
            self._visit_shell_call(function.attr, node.args)
            return
        for changed in changed_by_call(node):
            self.change(changed)
        self.generic_visit(node)

    def _visit_shell_call(self, method: str, args: list[ast.expr]) -> None:
        """`get_ipython().run_line_magic("time", "f(x)")`: what IPython made of `%time f(x)` or `!ls {x}`."""
        self.uses_magics = True
        texts = [arg.value for arg in args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        if method in ("run_line_magic", "run_cell_magic") and texts[:1] and texts[0] in _RUNS_PYTHON | _LOOKS_AT:
            for code in texts[1:]:
                self._visit_text(_MAGIC_OPTIONS.sub("", code, count=1))
            return
        for text in texts:
            for name in _SHELL_VARIABLE.findall(text):
                self.read(name)
            for expression in _SHELL_EXPRESSION.findall(text):
                self._visit_text(expression)

    def _visit_text(self, code: str) -> None:
        try:
            body = ast.parse(code).body
        except SyntaxError:
            return
        self.visit_block(body)

    def _visit_comprehension(self, node: ast.AST) -> None:
        generators: list[ast.comprehension] = node.generators  # type: ignore[attr-defined]
        self.visit(generators[0].iter)
        before = set(self.bound)
        targets = {name for generator in generators for name in stored_names([generator.target])}
        self.scopes.append(ComprehensionScope(targets))
        for index, generator in enumerate(generators):
            if index:
                self.visit(generator.iter)
            self.visit(generator.target)
            for condition in generator.ifs:
                self.visit(condition)
        parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)  # type: ignore[attr-defined]
        for part in parts:
            self.visit(part)
        self.scopes.pop()
        self.bound = before

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension  # noqa: N815

    # ---------------------------------------------------------------- scopes

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._visit_defaults(node.args)
        with_parameters = self._type_parameter_scope(node)
        outer, self.scopes = self.scopes, with_parameters
        for annotation in written_annotations(node):
            self.visit(annotation)
        self.scopes = outer
        self.delayed.append((node, with_parameters))
        if self.scopes or node.decorator_list:
            self.visit_delayed()
        self.bind(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_defaults(node.args)
        self._visit_function_body(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        outer, self.scopes = self.scopes, self._type_parameter_scope(node)
        for base in (*node.bases, *(keyword.value for keyword in node.keywords)):
            self.visit(base)
        _, declared_global = local_names(node.body)
        self.scopes = [*self.scopes, Scope((), declared_global, is_class=True)]
        self.visit_block(node.body)
        self.visit_delayed()
        self.scopes = outer
        self.bind(node.name)

    def visit_TypeAlias(self, node: ast.AST) -> None:
        outer, self.scopes = self.scopes, self._type_parameter_scope(node)
        self.visit(node.value)  # type: ignore[attr-defined]
        self.scopes = outer
        self.visit(node.name)  # type: ignore[attr-defined]

    def _visit_defaults(self, arguments: ast.arguments) -> None:
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.visit(default)

    def _type_parameter_scope(self, node: ast.AST) -> list[Scope]:
        """The scopes inside `[T: Base]` of Python 3.12, whose bounds are read here."""
        parameters: list[ast.AST] = getattr(node, "type_params", [])
        if not parameters:
            return list(self.scopes)
        scopes = [*self.scopes, Scope(parameter.name for parameter in parameters)]  # type: ignore[attr-defined]
        outer, self.scopes = self.scopes, scopes
        for parameter in parameters:
            self.generic_visit(parameter)
        self.scopes = outer
        return scopes

    def _visit_function_body(self, node: ast.AST) -> None:
        body = [node.body] if isinstance(node, ast.Lambda) else node.body  # type: ignore[attr-defined]
        names, declared_global = local_names(body)
        names.update(parameter_names(node.args))  # type: ignore[attr-defined]
        self.scopes = [*self.scopes, Scope(names, declared_global)]
        before = set(self.bound)
        for part in body:
            self.visit(part)
        self.visit_delayed()
        self.scopes = self.scopes[:-1]
        self.bound = before


def _is_shell(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "get_ipython"
