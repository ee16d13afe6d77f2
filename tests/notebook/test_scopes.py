"""Names that scopes keep to themselves."""

from __future__ import annotations

import ast

import pytest

from nbray.notebook.scopes import local_names, parameter_names, stored_names, written_annotations


def function(code: str) -> ast.FunctionDef:
    """The first statement, which is a function."""
    node = ast.parse(code).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("x = y = 1; z: int = 2; w += 1", "x y z w"),
        ("for i, (j, k) in r: pass", "i j k"),
        ("with a as b: pass", "b"),
        ("import os.path, json as j; from m import n as o, p", "os j o p"),
        ("from m import *", ""),
        ("def f(a):\n    inner = 1", "f"),
        ("class A:\n    inner = 1", "A"),
        ("try: pass\nexcept E as e: pass", "e"),
        ("[a for a in b if (c := a)]", "c"),
        ("lambda a: (b := a)", ""),
        ("match s:\n    case [x, *y] | {'k': x, **y}: pass\n    case _ as z: pass", "x y z"),
        ("del gone; x.field = 1; x[0] = 1", "gone"),
    ],
)
def test_stored_names(body: str, names: str) -> None:
    assert stored_names(ast.parse(body).body) == set(names.split())


def test_declared_names_are_not_local() -> None:
    body = function("def f():\n    global a\n    nonlocal b\n    a = b = c = 1").body
    assert local_names(body) == ({"c"}, {"a"})


def test_parameters_and_annotations() -> None:
    node = function("def f(a: A, /, b, *c: C, d=1, **e) -> R: pass")
    assert parameter_names(node.args) == set("abcde")
    assert [ast.unparse(annotation) for annotation in written_annotations(node)] == ["A", "C", "R"]
