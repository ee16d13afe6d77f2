"""Fingerprints: equal for what a task cannot tell apart, different after an edit of anything that is tracked."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import enum
import functools
import os
import pickle
import subprocess
import sys
import threading
import types
import typing
from collections import OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbray
from nbray import fingerprints
from nbray.fingerprints import Fingerprint, Import, Untracked, fingerprint
from nbray.ids import ObjectId, Reference


def full(value: Any) -> Fingerprint:
    return fingerprint(value, lambda asked: [asked.name], lambda reference: f"ref {reference.id}")


def of(value: Any) -> str:
    return full(value).digest


def written(source: str, name: str = "f", file: str = "/tmp/cell.py", **namespace: Any) -> Any:
    """What a cell with this source binds to `name`."""
    space = {"__name__": "__main__", **namespace}
    exec(compile(source, file, "exec", dont_inherit=True), space)
    return space[name]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.binary()
keys = st.booleans() | st.integers() | st.text() | st.binary()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner) | st.frozensets(keys),
    max_leaves=12,
)


def exactly(value: Any) -> Any:
    """Equal for two plain values when nothing tells them apart: 1, 1.0 and True are three."""
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [exactly(each) for each in value]
    if isinstance(value, dict):
        return "dict", [(exactly(key), exactly(each)) for key, each in value.items()]
    if isinstance(value, frozenset):
        parts = [repr(exactly(each)) for each in value]
        return "frozenset", parts if all(type(each) in (int, float, bool) for each in value) else sorted(parts)
    return type(value).__name__, pickle.dumps(value)


# ---------------------------------------------------------------- values


@given(values, values)
def test_plain_values_have_the_same_fingerprint_exactly_when_they_are_the_same(one: Any, other: Any) -> None:
    one, other = copy.deepcopy(one), copy.deepcopy(other)
    assert (of([one]) == of([other])) == (exactly(one) == exactly(other))


@given(values)
def test_a_value_that_has_travelled_keeps_its_fingerprint(value: Any) -> None:
    assert of(pickle.loads(pickle.dumps(value))) == of(pickle.loads(pickle.dumps(value)))


@given(st.lists(st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, True, False, "", "1", b"1", None]), max_size=5))
def test_small_differences_of_kind_count(items: list[Any]) -> None:
    for index, item in enumerate(items):
        for other in (0, 0.0, -0.0, False, "0", b"0", None, (0,), [0]):
            edited = [*items[:index], other, *items[index + 1 :]]
            assert (of(edited) == of(items)) == (exactly(other) == exactly(item))


@given(st.data())
def test_one_changed_element_of_an_array_counts(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["f8", "f4", "i8", "i4", "u1", "?", "U3", "M8[s]", "O", "i4,f8"]))
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    array = np.zeros(shape, dtype=kind)
    place = (data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1)))
    edited = array.copy()
    edited[place] = (1, 2.0) if kind == "i4,f8" else 1 if kind != "U3" else "a"
    assert of(array.copy()) == of(array) != of(edited)


def test_type_shape_order_of_an_array_count_and_strides_do_not() -> None:
    array = np.arange(6.0)
    same_bytes = [array, array.reshape(2, 3), array.reshape(3, 2), array.view("i8"), np.asfortranarray(array.reshape(2, 3))]
    assert len({of(each) for each in same_bytes}) == len(same_bytes)
    assert of(np.arange(12.0).reshape(6, 2)[:, 0]) == of(np.arange(12.0).reshape(6, 2)[:, 0].copy())


@given(st.integers(0, 3), st.sampled_from(["a", "text", "when", "kind"]))
def test_an_edit_of_a_frame_counts(row: int, column: str) -> None:
    def frame() -> pd.DataFrame:
        days = pd.date_range("2026-01-01", periods=4)
        made = pd.DataFrame({"a": np.arange(4.0), "text": list("abcd"), "when": days})
        return made.assign(kind=pd.Categorical(["x", "y", "x", "y"]))

    edited = frame()
    new = {"a": -1.0, "text": "other", "when": pd.Timestamp("2000-01-01"), "kind": "y" if row in (0, 2) else "x"}[column]
    edited.loc[row, column] = new
    assert of(frame()) == of(frame()) != of(edited)
    assert of(frame().rename(columns={column: "renamed"})) != of(frame())
    assert of(frame().set_index(frame().index + 1)) != of(frame())


def test_sharing_and_cycles_count() -> None:
    inner: list[int] = []
    cycle: list[Any] = []
    cycle.append(cycle)
    assert of([inner, inner]) != of([[], []])
    assert of(cycle) != of([[]])
    assert of([inner, [inner]]) == of([inner, [inner]])
    one, other = [1], [1]
    assert of([one, other, one]) != of([one, other, other])


def test_order_counts_in_dicts_and_not_in_sets() -> None:
    assert of({"a": 1, "b": 2}) != of({"b": 2, "a": 1})
    assert list({8, 0}) != list({0, 8}), "a loop over them tells"
    assert of({8, 0}) == of({8, 0}) != of({0, 8})
    assert of({"a", "b"}) == of({"b", "a"}) != of({"a", "b", "c"})
    with pytest.raises(Untracked, match="a set that holds a object"):
        of({object()})


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Point:
    x: int
    y: list[int]


def test_objects_count_with_their_class_and_state() -> None:
    things = [
        Color.RED, Color.BLUE, Point(1, []), Point(1, [2]), datetime.date(2026, 1, 1), datetime.date(2026, 1, 2), Path("a"),
        Path("b"), deque([1]), deque([2]), deque([1], 3), OrderedDict(a=1), OrderedDict(a=2),
        defaultdict(int, {}), defaultdict(None, {}), np.float32(1),
        np.float64(1), np.random.default_rng(1), np.random.default_rng(2), ValueError("a"), KeyError("a"), range(3), slice(3),
        list[int], list[str], int | str, np.sin, np.cos, len, [].append, bytearray(b"a"), b"a",
    ]  # fmt: skip
    assert len({of(each) for each in things}) == len(things)


def test_what_cannot_be_told_is_refused() -> None:
    for thing in (threading.Lock(), (each for each in [1]), sys.stdout, types.ModuleType("made")):
        with pytest.raises(Untracked):
            of([thing])
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Untracked, match="nested too deeply"):
        of(deep)


def test_a_value_of_too_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "MOST_PARTS", 10)
    with pytest.raises(Untracked, match="more than 10 parts"):
        of(list(range(11)))


def test_references_are_asked_about() -> None:
    class Ref(Reference):
        def __init__(self, number: int) -> None:
            self.id = ObjectId(number)

    assert of([Ref(1)]) == of([Ref(1)]) != of([Ref(2)])


def test_actors_are_refused() -> None:
    handle = type("Handle", (), {"__module__": "nbray.actor_handles"})()
    with pytest.raises(Untracked, match="whose state is not tracked"):
        of(handle)


# ---------------------------------------------------------------- functions

SOURCE = """
def f(a, b=1, *, c=2):
    "Adds."
    def inner(x):
        return x + LIMIT
    return inner(a) + b + c + g(a)
"""
G = "def g(x):\n    return x"


def test_lines_files_and_comments_do_not_count() -> None:
    def made(source: str, file: str) -> Any:
        return written(source, LIMIT=3, g=written(G, "g"), file=file)

    moved = "# a comment\n\n\n" + SOURCE.replace("return inner(a)", "# why\n    return inner(a)")
    assert of(made(SOURCE, "/tmp/ipykernel_1/1.py")) == of(made(moved, "/tmp/ipykernel_2/2.py"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + LIMIT", "x - LIMIT"), ("b=1", "b=1.0"), ("c=2", "c=3"), ("+ c", "+ 7"), ("g(a)", "g(b)"), ("Adds", "Ads"),
        ("a, b=1", "a, /, b=1"), ("(x)", "(x: int)"), ("def f(", "async def f("), ("inner(a)", "inner(a=a)"),
    ],
)  # fmt: skip
def test_an_edit_of_the_code_counts(old: str, new: str) -> None:
    assert old in SOURCE
    g = written(G, "g")
    assert of(written(SOURCE, LIMIT=3, g=g)) != of(written(SOURCE.replace(old, new, 1), LIMIT=3, g=g))


@given(values, values)
def test_an_edit_of_a_global_a_default_or_a_closed_over_variable_counts(one: Any, other: Any) -> None:
    one, other = copy.deepcopy(one), copy.deepcopy(other)
    same = exactly(one) == exactly(other)

    def closed(x: Any) -> Any:
        return lambda: x

    def with_default(x: Any) -> Any:
        function = written("def f(a=0): return a")
        function.__defaults__ = (x,)
        return function

    def with_keyword(x: Any) -> Any:
        function = written("def f(*, a=0): return a")
        function.__kwdefaults__ = {"a": x}
        return function

    def with_global(x: Any) -> Any:
        return written("def f(): return LIMIT", LIMIT=x)

    for make in (with_global, closed, with_default, with_keyword):
        assert (of(make(one)) == of(make(other))) == same
    unused = [written("def f(a): return a", LIMIT=x) for x in (one, other)]
    assert of(unused[0]) == of(unused[1])  # a global that it does not name


def test_an_edit_of_a_function_that_it_calls_counts_however_deep() -> None:
    def chain(last: str) -> Any:
        g = written(last, "g")
        return written("def f(x): return h(x)", h=written("class K:\n  def __call__(self, x): return g(x)\nh = K()", "h", g=g))

    assert of(chain(G)) == of(chain(G)) != of(chain("def g(x): return -x"))


def test_recursion_ends_and_counts() -> None:
    even = "def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)"
    assert of(written(even, "even")) == of(written(even, "even")) != of(written(even.replace("!= 0", "!= 1"), "even"))


CLASS = """
import dataclasses, enum, functools
class Base:
    def size(self): return 1
@dataclasses.dataclass
class f(Base):
    x: int = 1
    @property
    def twice(self): return 2 * self.x
    @staticmethod
    def plain(y): return y
    @functools.cached_property
    def slow(self): return 3
    @functools.lru_cache(maxsize=4)
    def kept(self): return 4
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [("return 1", "return 5"), ("= 1", "= 5"), ("2 *", "3 *"), ("return y", "return -y"), ("return 3", "return 5"),
     ("return 4", "return 5"), ("=4", "=5"), ("x: int", "x: float"), ("f(Base)", "f"), ("@property", "@staticmethod")],
)  # fmt: skip
def test_an_edit_of_a_class_counts(old: str, new: str) -> None:
    assert of(written(CLASS)) == of(written(CLASS)) != of(written(CLASS.replace(old, new, 1)))
    assert of(written(CLASS)(2)) == of(written(CLASS)(2)) != of(written(CLASS.replace(old, new, 1))(2))


def test_partials_methods_and_remote_functions_count_with_what_they_hold() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    assert of(functools.partial(add, 1)) != of(functools.partial(add, 2)) != of(add)
    assert of([1].append) != of([2].append)
    assert of(nbray.remote(add)) == of(nbray.remote(add)) != of(nbray.remote(lambda a, b: a))


def test_what_is_made_while_it_is_walked_is_not_taken_for_another() -> None:
    def cached(*sizes: int) -> list[Any]:
        return [written(f"import functools\n@functools.lru_cache(maxsize={size})\ndef f(): return 1") for size in sizes]

    assert of(cached(4, 8, 4)) == of(cached(4, 8, 4)) != of(cached(4, 4, 4))


def test_type_variables_and_new_types_count_by_name() -> None:
    assert of(typing.NewType("A", int)) != of(typing.NewType("A", str))
    assert of(typing.TypeVar("T")) != of(typing.TypeVar("T", bound=int))


def test_names_and_modules_are_told() -> None:
    used = written("def f():\n    import json.tool\n    from xml import dom\n    return np.sum(LIMIT)", np=np, LIMIT=3)
    found = full(used)
    assert found.names == ("LIMIT", "np")
    assert found.modules == ("json.tool", "numpy", "xml")
    assert fingerprints.imports_of(used.__code__) == (Import("json.tool", 0, ()), Import("xml", 0, ("dom",)))


def test_what_is_said_about_a_module_counts() -> None:
    def with_version(version: str) -> str:
        return fingerprint(np.sum, lambda asked: [version], lambda reference: "").digest

    assert with_version("1") != with_version("2")


SCRIPT = """
import dataclasses, numpy, pandas
from nbray.fingerprints import fingerprint
LIMIT = {"a", "b", "c", "dd", "ee"}
@dataclasses.dataclass
class Point:
    x: int
def f(p: Point, q={"k": numpy.arange(3)}):
    return p in LIMIT, pandas.DataFrame
print(fingerprint((f, Point(1), LIMIT), lambda asked: [], lambda reference: "").digest)
"""


@pytest.mark.local
def test_another_process_finds_the_same() -> None:
    def run(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert run("1") == run("2") != ""
