"""What `yield` means in a cell that runs on the cluster: its items are gathered there, and drawn where the user asks for it.

Python refuses `yield` outside of a function. In such a cell each becomes a call that takes the item, so that all else stays as
it is: names, `await`, magics, the last expression.
"""

from __future__ import annotations

import ast
import inspect
from types import CodeType
from typing import Any, NamedTuple

from nbray.errors import UsageError

MODULE_SCOPE = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
ITEMS = "the items"
"""The name under which the items of a cell come back, which no cell can have given to anything else."""
TAKE, TAKE_ALL = "nbray_take_item", "nbray_take_items"
"""What `yield x` and `yield from xs` call."""

_OWN_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.ListComp, ast.SetComp, ast.DictComp,
               ast.GeneratorExp)  # fmt: skip
_RETURN = "a cell is no function: write the value as its last expression, or assign it to a name"


class Compiled(NamedTuple):
    """A cell's code, and whether it yields."""

    code: CodeType
    yields: bool

    @property
    def awaits(self) -> bool:
        """Whether it is to be run in a loop."""
        return bool(self.code.co_flags & inspect.CO_COROUTINE)


class YieldsAsCalls(ast.NodeTransformer):
    """Makes calls of the yields of a cell's own level; those of functions stay what they are."""

    def __init__(self) -> None:
        self.found = False

    def visit(self, node: ast.AST) -> Any:
        """See NodeTransformer."""
        return node if isinstance(node, _OWN_SCOPES) else super().visit(node)

    def visit_Yield(self, node: ast.Yield) -> ast.expr:
        return self._call(TAKE, node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> ast.expr:
        return self._call(TAKE_ALL, node)

    def _call(self, name: str, node: ast.Yield | ast.YieldFrom) -> ast.expr:
        self.found = True
        self.generic_visit(node)
        call = ast.Call(ast.Name(name, ast.Load()), [node.value or ast.Constant(None)], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))


def compiled(source: str, filename: str, flags: int) -> Compiled:
    """The code of a cell, whose IPython syntax is transformed already. Raises SyntaxError, which says what to write instead."""
    try:
        return Compiled(compile(source, filename, "exec", flags, dont_inherit=True), False)
    except SyntaxError as error:
        problem = str(error.msg)
        if "'return' outside function" in problem:
            error.msg = f"{problem}: {_RETURN}"
        if "'yield" not in problem and "'return" not in problem:
            raise
        first = error
    tree, yields = ast.parse(source, filename), YieldsAsCalls()
    tree = yields.visit(tree)
    if not yields.found:
        raise first
    try:
        return Compiled(compile(tree, filename, "exec", flags, dont_inherit=True), True)
    except SyntaxError as error:
        if "'return' outside function" in str(error.msg):
            error.msg = f"{error.msg}: {_RETURN}"
        raise


def refuse_in(magic: str) -> None:
    """Raise UsageError: where a cell runs several times, nobody could tell whose items they are."""
    raise UsageError(
        f"yield: under {magic} the cell runs several times, and the items of one run would be lost in those of the others. Make "
        "a list of them there, or draw several generators at once with nbray.plot([f.remote(x) for x in xs])"
    )
