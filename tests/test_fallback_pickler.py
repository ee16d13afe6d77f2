"""What only the fallback can pickle, what it must not, and its trail to the object at fault."""

from __future__ import annotations

import io
import pickle
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from nbray.fallback_pickler import FallbackPickler
from nbray.serialization import dumps, loads


class Base:
    def hello(self) -> str:
        return "base"


class Child(Base):
    def hello(self) -> str:
        return "child"

    def up(self) -> Any:
        return super()


def ignore(buffer: pickle.PickleBuffer) -> None: ...


def through(value: Any) -> Any:
    return loads(dumps(value).stream)


def test_what_only_the_fallback_can_pickle() -> None:
    assert through(Child().up()).hello() == "base"
    assert through(str.join)("-", ["a", "b"]) == "a-b"
    assert through(int.__add__)(1, 2) == 3
    base = Base()
    reference, copied = through((weakref.ref(base), base))
    assert reference() is copied
    assert through(sys.stdout) is sys.stdout


def test_what_would_not_be_the_same_elsewhere_is_refused() -> None:
    with Path(__file__).open() as file:
        for value in (threading.Lock(), threading.RLock(), file, file.buffer, sys._getframe()):
            with pytest.raises(TypeError, match="cannot pickle"):
                FallbackPickler(io.BytesIO(), ignore).dump(value)


def test_the_trail_ends_at_the_object_at_fault() -> None:
    lock = threading.Lock()
    value = {"fine": [1, [2, {3}]], "bad": [0, lock]}
    pickler = FallbackPickler(io.BytesIO(), ignore)
    with pytest.raises(TypeError):
        pickler.dump(value)
    assert pickler.trail == [value, value["bad"], lock]


def test_arrays_and_references_follow_the_same_rules() -> None:
    import numpy as np

    buffers: list[pickle.PickleBuffer] = []
    FallbackPickler(io.BytesIO(), buffers.append).dump([np.arange(3), str.join])
    assert len(buffers) == 1
