"""What is said about values that cannot be sent: the path to the culprit, what it is, what to do."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import queue
import socket
import sqlite3
import subprocess
import sys
import threading
import traceback
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbray.errors import NotShippable
from nbray.functions import FunctionPickler
from nbray.ids import ObjectId
from nbray.serialization import dumps, dumps_arguments, loads

NOTEBOOK = """
import functools, threading, numpy as np

class Model:
    def __init__(self, **fields):
        self.__dict__.update(fields)

class Slotted:
    __slots__ = ("inner",)
    def __init__(self, inner):
        self.inner = inner

class HasLock:
    def __init__(self):
        self._lock = threading.Lock()

class BadState:
    def __getstate__(self):
        return {}["nothing"]

class BadReduce:
    def __reduce__(self):
        raise ValueError("not me")

class Registry:
    lock = threading.Lock()
    def use(self):
        return self.lock

model = HasLock()
nested = {"a": [1, Model(inner=model)]}
slotted = Slotted(model)
bad_state, bad_reduce = BadState(), BadReduce()
registry = Registry()
objects = np.array([1, model, None], dtype=object)

def train(): return model
def helper(): return nested
def calls_helper(): return helper()
def uses_slots(): return slotted
def uses_bad_state(): return bad_state
def uses_bad_reduce(): return bad_reduce
def uses_class(): return registry
def uses_objects(): return objects
def default(x=1, y=model): return y
def keyword(*, lock=model._lock): return lock
class Secretive:
    def __reduce__(self):
        return dict, ([threading.Lock()],)
secretive = Secretive()
def uses_secretive(): return secretive
def make_closure():
    inner = model
    return lambda: inner
closure = make_closure()
bound = functools.partial(len, [model])
def recursive(): return deep
deep = []
for _ in range(100_000):
    deep = [deep]
"""

CASES = {
    "train": "train cannot be sent: train -> model -> _lock: a thread lock. Make it inside the function",
    "calls_helper": "calls_helper -> helper -> nested -> ['a'] -> [1] -> inner -> _lock: a thread lock",
    "uses_slots": "uses_slots -> slotted -> inner -> _lock: a thread lock",
    "uses_bad_state": "uses_bad_state -> bad_state: its __getstate__ raised KeyError: 'nothing'",
    "uses_bad_reduce": "uses_bad_reduce -> bad_reduce: its __reduce__ raised ValueError: not me",
    "uses_class": "uses_class -> registry -> class Registry -> lock: a thread lock",
    "uses_secretive": "uses_secretive -> secretive -> ...: a thread lock",
    "uses_objects": "uses_objects -> objects -> [1] -> _lock: a thread lock",
    "default": "default -> y -> _lock: a thread lock",
    "keyword": "keyword -> lock: a thread lock",
    "closure": "<lambda> -> inner -> _lock: a thread lock",
    "bound": "len -> argument 1 -> [0] -> _lock: a thread lock",
    "recursive": "recursive cannot be sent: it is nested too deeply",
}


@pytest.fixture(scope="module")
def notebook() -> Iterator[dict[str, Any]]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(NOTEBOOK, "cell", "exec"), namespace)
    yield namespace
    del namespace["deep"]


def lift(data: bytes | memoryview) -> ObjectId:
    return ObjectId(1)


@pytest.mark.parametrize("name", CASES)
def test_the_path_to_what_a_function_captured(notebook: dict[str, Any], name: str) -> None:
    with pytest.raises(NotShippable) as caught:
        FunctionPickler(lift).pickle(notebook[name])
    assert CASES[name] in str(caught.value)


def test_the_function_given_to_nbray_s_own_is_what_is_named(notebook: dict[str, Any]) -> None:
    with pytest.raises(NotShippable, match=r"^train cannot be sent: train -> model -> _lock: a thread lock"):
        FunctionPickler(lift).pickle(functools.partial(loads, notebook["train"]))


async def coroutine_function() -> None: ...


@contextlib.contextmanager
def culprits() -> Iterator[dict[str, Any]]:
    coroutine = coroutine_function()
    process = subprocess.Popen([sys.executable, "-c", ""])
    loop = asyncio.new_event_loop()
    with (
        Path(__file__).open() as file,
        Path(__file__).open("rb") as binary,
        socket.socket() as a_socket,
        contextlib.closing(sqlite3.connect(":memory:")) as connection,
    ):
        yield {
            "a thread lock": threading.RLock(),
            f"the open file '{__file__}'": file,
            f"the open file '{__file__}'.": binary,
            "a generator": (number for number in [1]),
            "a running coroutine": coroutine,
            "a socket": a_socket,
            "a threading.local": threading.local(),
            "a threading.Event": threading.Event(),
            "a queue.Queue": queue.Queue(),
            "a running frame": sys._getframe(),
            "a database connection": connection,
            "a database cursor": connection.cursor(),
            "a running process": process,
            "an event loop": loop,
            "an asyncio future": loop.create_future(),
        }
    coroutine.close()
    loop.close()
    process.wait()


@pytest.mark.local
def test_what_each_culprit_is_called() -> None:
    with culprits() as found:
        for text, value in found.items():
            with pytest.raises(NotShippable) as caught:
                dumps(value)
            assert f"cannot be sent: it is {text}" in str(caught.value)
            with pytest.raises(NotShippable) as caught:
                dumps({"key": [value]}, "the result of f")
            assert f"the result of f cannot be sent: the result of f -> ['key'] -> [0]: {text}" in str(caught.value)


def test_only_frames_of_the_value_s_own_code_are_shown(notebook: dict[str, Any]) -> None:
    with pytest.raises(NotShippable) as caught:
        dumps(threading.Lock())
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    with pytest.raises(NotShippable) as caught:
        FunctionPickler(lift).pickle(notebook["uses_bad_state"])
    text = "".join(traceback.format_exception(caught.value.__cause__))
    assert "in __getstate__" in text
    assert "pickle.py" not in text


def test_an_argument_is_named() -> None:
    lock = threading.Lock()
    with pytest.raises(NotShippable, match=r"^argument 2 of train cannot be sent: it is a thread lock\. Make it"):
        dumps_arguments((1, lock), {}, "train")
    with pytest.raises(NotShippable, match=r"argument model= of train -> \['a'\]: a thread lock"):
        dumps_arguments((1,), {"model": {"a": lock}}, "train")


def test_a_class_that_lies_about_its_module_is_named() -> None:
    obj = types.SimpleNamespace(a=io.StringIO, b=type(sys.flags))
    obj.c = sys.flags
    with pytest.raises(NotShippable, match=r"the SimpleNamespace -> b: a type, which cannot be pickled \("):
        dumps(obj)


def test_a_long_path_is_cut_in_the_middle() -> None:
    value: Any = threading.Lock()
    for _ in range(30):
        value = [value]
    with pytest.raises(NotShippable) as caught:
        dumps(value)
    assert str(caught.value).count("->") == 10
    assert "-> ... ->" in str(caught.value)


class Restless:
    """Changes what it is in, each time it is pickled: as another thread may."""

    def __init__(self, change: Any) -> None:
        self.change = change

    def __reduce__(self) -> Any:
        self.change()
        return int, (0,)


@pytest.mark.parametrize(
    ("kind", "text"),
    [(dict, "a dict that changed while it was read to be sent (dictionary"), (set, "a set that changed while it")],
)
def test_what_changes_meanwhile_is_not_blamed_on_its_class(kind: type, text: str) -> None:
    value: Any = kind()
    grow = (lambda: value.update({object(): 1})) if kind is dict else (lambda: value.add(len(value)))
    items = [Restless(grow) for _ in range(3000)]  # small ones are read at once
    value.update({item: item for item in items} if kind is dict else items)
    with pytest.raises(NotShippable) as caught:
        dumps({"busy": value})
    said = str(caught.value)
    assert text in said, said
    assert "['busy']" in said
    assert said.endswith("Another thread writes to it meanwhile: let that wait, under a lock that you hold here too, or send a "
                         "copy that was made so.")  # fmt: skip
