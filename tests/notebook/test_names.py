"""Names of a cell: a table of cells with what they need, assign and change in place."""

from __future__ import annotations

import builtins
import sys

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from nbray.notebook.names import Names, find_names

CELLS = [
    # cell, needed, assigned
    ("", "", ""),
    ("x = 1", "", "x"),
    ("x = y", "y", "x"),
    ("x = x + 1", "x", "x"),
    ("x = 1\ny = x", "", "x y"),
    ("print(a)\na = 1", "a", "a"),
    ("x += 1", "x", "x"),
    ("x = 0\nx += 1", "", "x"),
    ("a, (b, *c) = d", "d", "a b c"),
    ("a = b = c", "c", "a b"),
    ("d['k'] = v", "d v", ""),
    ("o.field = v", "o v", ""),
    ("d['k'] += v", "d v", ""),
    ("x: int", "", ""),
    ("x: T = y", "T y", "x"),
    ("del x", "x", ""),
    ("x = 1\ndel x", "", ""),
    ("x = 1\ndel x\nx = 2", "", "x"),
    ("import numpy as np\nnp.ones(n)", "n", "np"),
    ("import os.path", "", "os"),
    ("import os.path as p", "", "p"),
    ("from math import pi, e as euler", "", "pi euler"),
    ("from math import *\nsin(x)", "sin x", ""),
    ("for i in items:\n    total = i", "items", "i total"),
    ("for i in items:\n    pass\nprint(i)", "items i", "i"),
    ("for i, (a, b) in rows: use(a, b)", "rows use", "i a b"),
    ("while cond():\n    x = step()", "cond step", "x"),
    ("if c:\n    x = 1\nprint(x)", "c x", "x"),
    ("if c:\n    x = 1\nelse:\n    x = 2\nprint(x)", "c", "x"),
    ("with open(p) as f:\n    text = f.read()\ntext", "p", "f text"),
    ("with suppress(E):\n    x = f()\nx", "suppress E f x", "x"),
    ("with a() as (b, c.d): pass", "a c", "b"),
    ("try:\n    x = f()\nexcept E as e:\n    log(e)", "f E log", "x"),
    ("try:\n    x = f()\nexcept E:\n    x = None\nprint(x)", "f E", "x"),
    ("try:\n    x = f()\nfinally:\n    done = True\ndone", "f", "x done"),
    ("e = 1\ntry: f()\nexcept E as e: pass", "f E", "e"),
    ("[a * k for a in items if a > low]", "items k low", ""),
    ("[a for row in table for a in row]", "table", ""),
    ("{k: v for k, v in d.items()}", "d", ""),
    ("sum(x for x in x)", "x", ""),
    ("[y := f(x) for x in items]\ny", "items f y", "y"),
    ("if (n := len(a)) > 3: print(n)", "a", "n"),
    ("(lambda a, b=c: a + b + d)(1)", "c d", ""),
    ("f = lambda x: x + k", "k", "f"),
    ("def f(a, b=c, *args, d: T = e, **kw) -> R:\n    return a + b + g + len(args) + d", "c e T R g", "f"),
    ("def f():\n    y = x\n    return y", "x", "f"),
    ("def f():\n    global counter\n    counter += 1", "counter", "f counter"),
    ("def f():\n    n = 0\n    def g():\n        nonlocal n\n        n += k\n    return g", "k", "f"),
    ("def f():\n    for i in r: pass\n    return i", "r", "f"),
    ("def main():\n    return helper()\ndef helper():\n    return k\nmain()", "k", "main helper"),
    ("def f():\n    return late\nlate = 1\nf()", "late", "f late"),
    ("@decorate(arg)\ndef f(): return f", "decorate arg f", "f"),
    ("async def f():\n    async with a as b:\n        async for c in b:\n            await c", "a", "f"),
    ("await fetch(url)", "fetch url", ""),
    ("async for x in source: y = x", "source", "x y"),
    ("r = [await g(x) async for x in s]", "s g", "r"),
    ("class A(Base, metaclass=M):\n    x = y\n    z = x\n    def m(self):\n        return x + k", "Base M y x k", "A"),
    ("class A:\n    items = [i for i in seed]\n    both = [j + items for j in items]", "seed items", "A"),
    ("class A:\n    def m(self):\n        return super().m() + A.n", "A", "A"),
    ("class A: pass\nA()", "", "A"),
    ("f'{a!r:>{width}} {b + 1}'", "a width b", ""),
    ("x = f'{x}'", "x", "x"),
    ("a and (b := c)\nb", "a c b", "b"),
    ("x = (y := 1) if c else 2\ny", "c y", "x y"),
    ("match p:\n    case Point(x=0, y=b) if b > low: r = b\n    case [first, *rest]: r = first", "p Point low", "b r first rest"),
    ("match p:\n    case {'k': v, **more}: pass\n    case _ as other: pass", "p", "v more other"),
    ("match c:\n    case Color.RED: x = 1", "c Color", "x"),
    ("print(f(*args, **kwargs))", "f args kwargs", ""),
    ("x[i:j, ...]", "x i j", ""),
    ("return_value = yield_ = 1", "", "return_value yield_"),
    ("def f():\n    try:\n        pass\n    except E as err:\n        return err\n    import json\n    return json", "E", "f"),
    ("def f(x):\n    def g():\n        return x + y\n    class C:\n        z = x\n    return g", "y", "f"),
    ("id = 5\nprint(id)", "", "id"),
    ("assert a, b", "a b", ""),
    ("raise E(x) from y", "E x y", ""),
    ("for _ in range(3): pass", "", "_"),
    ("%time r = f(x)", "f x", "r"),
    ("%timeit -n 10 -r 3 f(x)", "f x", ""),
    ("%%time\nr = f(x)", "f x", "r"),
    ("!ls $folder {name + '.txt'}", "folder name", ""),
    ("files = !ls {folder}", "folder", "files"),
    ("%matplotlib inline\ny = x", "x", "y"),
    ("y = x;", "x", "y"),
    ("df.describe?\nz = 1", "df", "z"),
]  # fmt: skip

if sys.version_info >= (3, 12):
    CELLS += [
        ("def f[T: Base](x: T) -> T:\n    return g(x)", "Base g", "f"),
        ("class A[T](Base[T]):\n    def m(self) -> T: ...", "Base", "A"),
        ("type Pair[T] = tuple[T, Other]", "Other", "Pair"),
    ]


def names_of(cell: str) -> Names:
    """The names of a cell as a notebook has it."""
    return find_names(TransformerManager().transform_cell(cell))


@pytest.mark.parametrize(("cell", "needed", "assigned"), CELLS)
def test_names(cell: str, needed: str, assigned: str) -> None:
    names = names_of(cell)
    own = [name for name in names.needed if not hasattr(builtins, name) and name != "get_ipython"]
    assert (set(own), set(names.assigned)) == (set(needed.split()), set(assigned.split()))


@pytest.mark.parametrize(
    ("cell", "changed"),
    [
        ("x[0] = 1", "x"),
        ("x[0].a['b'] += 1", "x"),
        ("x.a = 1; del y['k']; z += 1", "x y z"),
        ("model.fit(X, y)", "model"),
        ("df.drop('a', inplace=True)\ndf.drop('b')", "df"),
        ("np.add(a, b, out=c)", "c"),
        ("np.random.shuffle(a); heappush(h, x)", "a h"),
        ("df.head(); df.plot(); print(x)", ""),
        ("[x.append(1) for x in xs]", ""),
        ("def f(x):\n    x[0] = 1\n    y[0] = 1", "y"),
    ],
)
def test_names_changed_in_place(cell: str, changed: str) -> None:
    assert set(names_of(cell).changed) == set(changed.split())


def test_an_overridden_builtin_is_needed() -> None:
    assert "max" in names_of("max(a)").needed


def test_star_imports_and_magics_are_told() -> None:
    names = names_of("from numpy import *\nfrom . import *\n%run x.py")
    assert names.star_imports == ("numpy", ".")
    assert names.uses_magics
    assert not names_of("x = 1").uses_magics


def test_names_keep_their_order() -> None:
    assert names_of("c = b + a\nd = c").needed == ("b", "a")
    assert names_of("z = 1\ny = 2").assigned == ("z", "y")


def test_a_syntax_error_is_raised() -> None:
    with pytest.raises(SyntaxError):
        names_of("x = = 1")
