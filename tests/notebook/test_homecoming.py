"""What comes home: writable, sharing what it shared, reading the notebook's globals."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nbray import serialization
from nbray.errors import UsageError
from nbray.notebook import homecoming
from nbray.notebook.remote_cell import CellOutcome
from nbray.notebook.values import ModuleName

CODE = """
k = 1
def scaled(v, by=2):
    "Twice."
    return v * by * k
class Point:
    def __init__(self, v): self.v = v
    def up(self): return self.v + k
    @staticmethod
    def fixed(): return k
    @classmethod
    def made(cls): return cls(k)
    @property
    def both(self): return self.up() + k
"""


def shell(**names: Any) -> Any:
    """As much of an IPython shell as homecoming uses."""
    namespace = {"__name__": "__main__", **names}
    return SimpleNamespace(user_ns=namespace, push=namespace.update)


def arrive(at: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Bring values home over the wire; returns the notebook's names."""
    homecoming.assign(at, CellOutcome(serialization.loads(serialization.encode(serialization.dumps(values))), {}))
    names: dict[str, Any] = at.user_ns
    return names


def defined(*names: str) -> dict[str, Any]:
    """What a cell on a worker has defined."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(CODE, namespace)
    return {name: namespace[name] for name in names}


def test_small_arrays_may_be_written() -> None:
    names = arrive(shell(), {"x": np.zeros(3)})
    names["x"][0] = 1
    assert names["x"].tolist() == [1, 0, 0]


def test_names_that_shared_an_object_still_do() -> None:
    row = [1]
    names = arrive(shell(), {"a": row, "b": {"row": row}})
    names["a"].append(2)
    assert names["b"] == {"row": [1, 2]}


def test_functions_read_the_globals_of_the_notebook() -> None:
    names = arrive(shell(), defined("scaled", "k"))
    assert names["scaled"](3) == 6
    names["k"] = 10
    assert names["scaled"](3) == 60
    assert names["scaled"].__doc__ == "Twice."


def test_methods_read_the_globals_of_the_notebook() -> None:
    names = arrive(shell(), defined("Point", "k"))
    names["k"] = 10
    point = names["Point"](1)
    assert (point.up(), point.fixed(), names["Point"].made().v, point.both) == (11, 10, 10, 21)


def test_a_function_whose_names_stay_behind_keeps_its_own() -> None:
    names = arrive(shell(), defined("scaled"))
    assert names["scaled"](3) == 6
    assert "k" not in names


def test_modules_are_imported_by_name() -> None:
    assert arrive(shell(), {"path": ModuleName("os.path")})["path"] is os.path


def test_what_was_asked_for_and_is_missing_is_named() -> None:
    outcome = CellOutcome({"a": 1}, {"f": "it is an open file"})
    homecoming.require(outcome, ["a", "f"])
    with pytest.raises(UsageError, match=r"-o b: .*did not assign b"):
        homecoming.require(outcome, ["a", "b"])


def test_what_cannot_travel_is_told_with_the_reason() -> None:
    assert homecoming.warning(CellOutcome({}, {"f": "it is an open file"})) == "nbray: f stays behind: it is an open file\n"
