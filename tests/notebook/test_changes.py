"""Calls that change an object in place, told by their names."""

from __future__ import annotations

import ast

import pytest

from nbray.notebook.changes import changed_by_call


@pytest.mark.parametrize(
    ("call", "changed"),
    [
        ("x.append(1)", ["x"]),
        ("a.b[0].sort()", ["a.b[0]"]),
        ("model.partial_fit(X, y)", ["model"]),
        ("df.drop('a', inplace=True)", ["df"]),
        ("df.drop('a', inplace=False)", []),
        ("np.add(a, b, out=c)", ["c"]),
        ("np.random.shuffle(x)", ["x"]),
        ("heappush(heap, item)", ["heap"]),
        ("shuffle()", []),
        ("df.head()", []),
        ("append(x)", []),
        ("f()(x)", []),
    ],
)
def test_changed_by_call(call: str, changed: list[str]) -> None:
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call)
    assert [ast.unparse(expression) for expression in changed_by_call(node)] == changed
