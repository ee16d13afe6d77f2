"""`yield` and `return` on a cell's own level."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from nbray.errors import UsageError
from nbray.notebook.yields import MODULE_SCOPE, TAKE, TAKE_ALL, YieldsAsCalls, compiled, refuse_in


def items(source: str, **names: Any) -> list[Any]:
    """What a cell yields."""
    found: list[Any] = []
    made = compiled(source, "<cell>", 0)
    exec(made.code, {**names, TAKE: found.append, TAKE_ALL: found.extend})
    assert made.yields == bool(found)
    return found


@pytest.mark.parametrize(("source", "expected"), [
    ("for x in range(3):\n    yield x", [0, 1, 2]),
    ("yield", [None]),
    ("got = yield 1\nyield got", [1, None]),
    ("yield from range(2)\nyield 1, 2", [0, 1, (1, 2)]),
    ("yield (yield 1)", [1, None]),
    ("with open('/dev/null') as f:\n    try:\n        yield 1\n    finally:\n        yield 2", [1, 2]),
    ("if True:\n    x = (yield 1) or 5\nyield x", [1, 5]),
    ("def f():\n    yield 1\n    yield 2\nx = list(f())", []),
    ("f = lambda: (yield 3)\nx = list(f())", []),
    ("def f():\n    yield 1\nyield from f()", [1]),
    ("x = 5", []),
])  # fmt: skip
def test_items_of_the_cells_own_level_are_taken(source: str, expected: list[Any]) -> None:
    assert items(source) == expected


def test_line_numbers_stay() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        items("yield 1\n\n\nyield (\n    1 / 0)")
    frames = caught.value.__traceback__
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    assert frames is not None
    assert frames.tb_lineno == 5


def test_a_cell_may_await_and_yield() -> None:
    assert compiled("await f()\nyield 1", "<cell>", MODULE_SCOPE).awaits
    assert not compiled("yield 1", "<cell>", MODULE_SCOPE).awaits
    assert not compiled("async def f():\n    await g()\n    yield 1", "<cell>", MODULE_SCOPE).awaits


@pytest.mark.parametrize("source", ["return 5", "x = 1\nif x:\n    return", "for x in range(3):\n    yield x\nreturn x"])
def test_return_says_what_to_write_instead(source: str) -> None:
    with pytest.raises(SyntaxError) as caught:
        compiled(source, "<cell>", 0)
    said = "'return' outside function: a cell is no function: write the value as its last expression, or assign it to a name"
    assert caught.value.msg == said
    assert caught.value.lineno == source.count("\n", 0, source.index("return")) + 1


@pytest.mark.parametrize("source", ["x = (", "break", "class A:\n    yield 1", "[(yield x) for x in y]", "await = 3"])
def test_other_mistakes_are_what_they_are(source: str) -> None:
    with pytest.raises(SyntaxError) as caught:
        compiled(source, "<cell>", 0)
    with pytest.raises(SyntaxError) as plain:
        compile(source, "<cell>", "exec")
    assert caught.value.msg == plain.value.msg


def test_a_cell_without_yields_stays_as_it_is() -> None:
    tree = ast.parse("def f():\n    yield 1\nx = [y for y in f()]")
    before = ast.dump(tree)
    transformer = YieldsAsCalls()
    assert ast.dump(transformer.visit(tree)) == before
    assert not transformer.found


def test_several_runs_of_a_cell_may_not_yield() -> None:
    with pytest.raises(UsageError, match=r"yield: under %%parallel the cell runs several times, .* nbray\.plot\(\[f\.remote"):
        refuse_in("%%parallel")
