"""The line of `%%parallel`: loops and options told apart, targets bound as `for` binds them, what cannot be is refused."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbray.errors import UsageError, WrongType
from nbray.ids import ObjectId
from nbray.notebook import loops
from nbray.notebook.loops import read_line, take_items
from nbray.objects import ObjectRef


@pytest.mark.parametrize(
    ("line", "target", "items", "options"),
    [
        ("for x in xs", "x", "xs", ""),
        (" for x in xs: ", "x", "xs", ""),
        ("--cpus 2 for x in xs -o a b", "x", "xs", "--cpus 2  -o a b"),
        ("for x in range(3) --timeout 3", "x", "range(3)", "--timeout 3"),
        ("for x in [a - o, -b]", "x", "[a - o, -b]", ""),
        ("for x in ['ls --all', \"a -o b\"] -o y", "x", "['ls --all', 'a -o b']", "-o y"),
        ("for x in [y for y in ys if y]", "x", "[y for y in ys if y]", ""),
        ("for x in a, b -o y", "x", "(a, b)", "-o y"),
        ("for i, (a, *b) in enumerate(xs)", "(i, (a, *b))", "enumerate(xs)", ""),
    ],
)  # fmt: skip
def test_loops_and_options(line: str, target: str, items: str, options: str) -> None:
    loop = read_line(line)
    assert (loop.target, loop.items, loop.options) == (target, items, options)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "%%parallel : expected what to go through, as %%parallel for x in xs"),
        ("x in xs", "%%parallel x in xs: expected what to go through"),
        ("for x xs", "%%parallel for x xs"),
        ("for x in", "expected %%parallel for x in xs"),
        ("for x in xs if x > 1", "write for x in [x for x in xs if x > 1]"),
        ("for a.b in xs", "a.b cannot be set for each item"),
        ("for a[0], c in xs", "a[0] cannot be set"),
    ],
)
def test_what_is_no_loop_is_refused(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_line(line)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("target", "item", "bound"),
    [
        ("x", [1, 2], {"x": [1, 2]}),
        ("i, (a, *b)", (0, "xyz"), {"i": 0, "a": "x", "b": ["y", "z"]}),
        ("(x,)", [5], {"x": 5}),
    ],
)
def test_targets_are_bound_as_python_does(target: str, item: Any, bound: dict[str, Any]) -> None:
    loop = read_line(f"for {target} in xs")
    assert loop.bind(item) == bound
    assert loop.names == tuple(bound)


def test_an_item_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="not enough values to unpack"):
        read_line("for a, b in xs").bind([1])


@pytest.mark.parametrize(
    ("bound", "label"),
    [
        ({"x": 3}, "x=3"),
        ({"i": 1, "path": Path("a.csv")}, "i=1, path=PosixPath('a.csv')"),
        ({"x": np.zeros(3)}, "item 7"),
        ({"x": "long" * 50}, "x='longlonglonglonglonglonglonglonglong…"),
        ({"x": "two\nlines"}, "x='two\\nlines'"),
    ],
)
def test_labels(bound: dict[str, Any], label: str) -> None:
    shown = read_line("for x in xs").label(7, bound)
    assert shown == label
    assert len(shown) <= loops.SHOWN_CHARACTERS


@pytest.mark.parametrize("value", [[1, 2], (1, 2), {1: 0, 2: 0}, iter([1, 2]), np.array([1, 2])])
def test_anything_iterable_is_gone_through(value: Any) -> None:
    assert take_items("xs", value) == [1, 2]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "xs is of type int, and cannot be gone through: expected a list or an iterable"),
        (list, "xs is of type type, and cannot be gone through"),
        (ObjectRef(ObjectId(1), "e"), "xs is a reference (ObjectRef), not its value: %%parallel for x in nbray.get(xs)"),
    ],
)
def test_what_cannot_be_gone_through(value: Any, message: str) -> None:
    with pytest.raises(WrongType) as caught:
        take_items("xs", value)
    assert message in str(caught.value)


def test_an_endless_iterable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "MOST_ITEMS", 10)
    assert len(take_items("xs", range(10))) == 10
    with pytest.raises(UsageError, match=r"more than 10 items, or has no end: take some with itertools.islice\(xs, 1000\)"):
        take_items("xs", itertools.count())


def test_what_an_iterable_raises_goes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        take_items("xs", (1 // n for n in range(3)))


@pytest.mark.parametrize("line", ["for x in '\ud800'", "for x in " + "(" * 500, "for x in " + "-" * 100_000 + "1"])
def test_what_python_cannot_even_parse_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="%%parallel"):
        read_line(line)
