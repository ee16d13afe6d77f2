"""Functions: pickled once, rebinding seen at once, changes in place with the next cell, large values lifted once."""

from __future__ import annotations

import functools
import linecache
import pickle
import sys
import threading
import traceback
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nbray import functions
from nbray.errors import NotShippable, ObjectLost, StoreFull
from nbray.functions import FunctionPickler, load_function
from nbray.ids import ObjectId
from nbray.serialization import dumps, encode, loads, note_reference

CELL = """
import numpy as np
large = np.arange(100_000.0)
small = np.arange(3.0)
text = "x" * 200_000
def helper(x): return x + offset
def f(x): return helper(x)
def summed(): return large.sum() + small.sum() + len(text)
def flags(): return large.flags.writeable, small.flags.writeable
offset = 1
settings = {"k": 1}
def reads_settings(): return settings["k"]
def fails(): return 1 / small[5]
"""


class Store:
    """What the engine does with lifted values: one object for each content."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.known: dict[bytes, ObjectId] = {}

    def lift(self, data: bytes | memoryview) -> ObjectId:
        content = bytes(data)
        if content not in self.known:
            self.known[content] = ObjectId(len(self.frames))
            self.frames.append(encode(dumps(pickle.PickleBuffer(data))))
        return self.known[content]

    def resolve(self, object_id: ObjectId) -> Any:
        return loads(self.frames[object_id])


class Notebook:
    def __init__(self) -> None:
        self.module = types.ModuleType("__main__")
        self.store = Store()
        self.pickler = FunctionPickler(self.store.lift)

    def run(self, cell: str = CELL) -> None:
        self.pickler.new_cell()
        linecache.cache["cell.py"] = (len(cell), None, cell.splitlines(keepends=True), "cell.py")
        exec(compile(cell, "cell.py", "exec"), self.module.__dict__)

    def __getitem__(self, name: str) -> Any:
        return self.module.__dict__[name]

    def pickle(self, name: str) -> functions.PickledFunction:
        return self.pickler.pickle(self[name])

    def load(self, name: str) -> Any:
        return load_function(self.pickle(name).blob, self.store.resolve)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    made = Notebook()
    monkeypatch.setitem(sys.modules, "__main__", made.module)
    made.run()
    yield made
    linecache.cache.pop("cell.py", None)


def test_an_unchanged_function_is_pickled_once(notebook: Notebook) -> None:
    assert notebook.pickle("f") is notebook.pickle("f")
    before = notebook.pickle("f")
    notebook.pickler.new_cell()
    assert notebook.pickle("f") == before


def test_rebinding_is_seen_at_once(notebook: Notebook) -> None:
    assert notebook.load("f")(1) == 2
    key = notebook.pickle("f").key
    notebook.module.__dict__["offset"] = 10  # a global of a helper
    assert notebook.load("f")(1) == 11
    exec("def helper(x): return -x", notebook.module.__dict__)
    assert notebook.load("f")(1) == -1
    notebook["helper"].__code__ = (lambda x: x * 100).__code__
    assert notebook.load("f")(1) == 100
    notebook["f"].__defaults__ = (5,)
    assert notebook.load("f")() == 500
    assert notebook.pickle("f").key != key


def test_a_global_that_comes_to_be_is_seen(notebook: Notebook) -> None:
    notebook.run("def g(): return later")
    with pytest.raises(NameError):
        notebook.load("g")()
    notebook.module.__dict__["later"] = 3
    assert notebook.load("g")() == 3
    del notebook.module.__dict__["later"]
    with pytest.raises(NameError):
        notebook.load("g")()


def test_a_changed_closure_is_seen(notebook: Notebook) -> None:
    notebook.run(
        "def make():\n    n = 1\n    def get(): return n\n    def put(v):\n        nonlocal n\n        n = v\n"
        "    return get, put\nget, put = make()"
    )
    assert notebook.load("get")() == 1
    notebook["put"](7)
    assert notebook.load("get")() == 7


def test_a_change_in_place_is_seen_in_the_next_cell(notebook: Notebook) -> None:
    assert notebook.load("reads_settings")() == 1
    notebook["settings"]["k"] = 2
    assert notebook.load("reads_settings")() == 1
    notebook.pickler.new_cell()
    assert notebook.load("reads_settings")() == 2


def test_running_a_cell_twice_lifts_its_large_values_once(notebook: Notebook) -> None:
    first = notebook.pickle("summed")
    assert [len(frame) for frame in notebook.store.frames] == [800_064, 200_064]
    assert len(first.blob) < 3000
    array = notebook["large"]
    notebook.run()
    second = notebook.pickle("summed")
    assert notebook["large"] is not array
    assert len(notebook.store.frames) == 2
    assert second == first
    assert sorted(first.nested) == [0, 1]


def test_lifted_values_arrive_equal_and_read_only(notebook: Notebook) -> None:
    assert notebook.load("summed")() == notebook["summed"]()
    assert notebook.load("flags")() == (False, False)


def test_a_changed_large_value_is_lifted_anew(notebook: Notebook) -> None:
    notebook.pickle("summed")
    notebook["large"][0] = 5
    notebook.pickler.new_cell()
    assert notebook.load("summed")() == notebook["summed"]()
    assert len(notebook.store.frames) == 3


def test_a_large_stream_is_lifted_too(notebook: Notebook) -> None:
    notebook.run("words = [str(n) for n in range(100_000)]\ndef f(): return words[7]")
    assert len(notebook.pickle("f").blob) < 1000
    assert notebook.load("f")() == "7"


def test_equal_but_distinct_buffers_stay_distinct(notebook: Notebook) -> None:
    notebook.run(
        "a, b = bytearray(100_000), bytearray(100_000)\nc = a\ndef f():\n    a[0] = 1\n    return b[0], c[0], a is c, a is b"
    )
    assert notebook.load("f")() == (0, 1, True, False)


def test_pandas_frames_are_lifted_by_their_buffers(notebook: Notebook) -> None:
    notebook.run("import pandas as pd\n")
    notebook.run("df = pd.DataFrame({'a': np.arange(50_000.0), 'b': 'x'})\ndef f(): return df.a.sum(), df.b[3]")
    assert notebook.load("f")() == (np.arange(50_000.0).sum(), "x")
    assert len(notebook.pickle("f").blob) < 5000


def test_references_inside_are_nested(notebook: Notebook) -> None:
    class Reference:
        def __reduce__(self) -> Any:
            note_reference(ObjectId(77))
            return int, ()

    notebook.module.__dict__["ref"] = Reference()
    notebook.run("def f(): return ref, large")
    assert notebook.pickle("f").nested == [77, 0]


def test_the_lines_of_the_cell_travel_along(notebook: Notebook) -> None:
    blob = notebook.pickle("fails").blob
    del linecache.cache["cell.py"]
    with pytest.raises(IndexError) as caught:
        load_function(blob, notebook.store.resolve)()
    assert "def fails(): return 1 / small[5]\n" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("function", "name"), [(len, "len"), (functools.partial(np.mean, axis=0), "mean"), (str.upper, "upper")]
)
def test_other_callables(notebook: Notebook, function: Any, name: str) -> None:
    pickled = notebook.pickler.pickle(function)
    assert pickled.name == name
    assert notebook.pickler.pickle(function) is pickled
    assert len(pickled.blob) < 300
    assert callable(load_function(pickled.blob, notebook.store.resolve))


def test_a_method_made_anew_at_each_call_is_not_mistaken_for_another(notebook: Notebook) -> None:
    notebook.run("class A:\n    def __init__(self, x): self.x = x\n    def get(self): return self.x")
    for number in range(600):
        pickled = notebook.pickler.pickle(notebook["A"](number).get)
        assert load_function(pickled.blob, notebook.store.resolve)() == number


def test_a_full_store_is_said_as_it_is(notebook: Notebook) -> None:
    def lift(data: bytes | memoryview) -> ObjectId:
        raise StoreFull("full")

    with pytest.raises(StoreFull):
        FunctionPickler(lift).pickle(notebook["summed"])


def test_a_function_that_needs_a_missing_module_says_so(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "only_here_xyz", types.ModuleType("only_here_xyz"))
    monkeypatch.setattr("nbray.by_value.is_importable_module", lambda name: True)
    notebook.run("import only_here_xyz\ndef f(): return only_here_xyz")
    blob = notebook.pickle("f").blob
    monkeypatch.delitem(sys.modules, "only_here_xyz")
    with pytest.raises(NotShippable, match=r"function f: .* No module named 'only_here_xyz'"):
        load_function(blob, notebook.store.resolve)


def test_a_lifted_value_that_is_gone_is_said_as_it_is(notebook: Notebook) -> None:
    def resolve(object_id: ObjectId) -> Any:
        raise ObjectLost("gone")

    with pytest.raises(ObjectLost, match="gone"):
        load_function(notebook.pickle("summed").blob, resolve)


def test_many_threads_meet_a_new_function(notebook: Notebook) -> None:
    found = []
    threads = [threading.Thread(target=lambda: found.append(notebook.pickle("summed").key)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
