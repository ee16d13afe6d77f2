"""The weight of values: right for arrays and frames, near for containers, and never by calling the value's own code."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbray.notebook.weights import UNKNOWN, weigh


@pytest.mark.parametrize(
    "value",
    [
        b"x" * 5000, "text" * 1000, list(range(1000)), {str(i): i * 1.5 for i in range(500)}, ["some text"] * 300,
        np.zeros(1000), np.zeros((30, 40), dtype="int16"), pd.DataFrame({"a": range(1000), "b": [1.5] * 1000}),
        pd.DataFrame({"a": ["some text"] * 1000}, dtype=object), [[1.5 + row] * 20 for row in range(20)], np.float64(3.5),
    ],
)  # fmt: skip
def test_it_is_near_what_a_pickle_takes(value: Any) -> None:
    size = len(pickle.dumps(value, 5))
    assert 0.2 * size - 200 < weigh(value).size < 5 * size + 200


class Sly:
    __slots__ = ()
    nbytes = property(lambda self: pytest.fail("its own code was called"))

    def __len__(self) -> int:
        pytest.fail("its own code was called")

    def __iter__(self) -> Any:
        pytest.fail("its own code was called")


@pytest.mark.parametrize("value", [Sly(), [Sly()], {"a": Sly()}, object(), [[[[[1]]]]], type("Lists", (list,), {})([1])])
def test_what_would_have_to_be_asked_is_unknown(value: Any) -> None:
    assert weigh(value) == UNKNOWN


class Settings:
    def __init__(self) -> None:
        self.rates = [0.1] * 1000


class Reduced(Settings):
    def __reduce__(self) -> Any:
        pytest.fail("its own code was called")


def test_plain_objects_weigh_what_they_hold() -> None:
    assert weigh(Settings()).size > 9000
    assert weigh(Settings()).parts > 1000
    assert weigh(Reduced()) == UNKNOWN


LARGE = np.zeros(10_000)


def test_functions_weigh_what_they_use() -> None:
    space: dict[str, Any] = {"__name__": "__main__", "LARGE": LARGE, "np": np}
    exec("def f(x, y=[1]): return np.sum(LARGE) + x", space)
    exec("class Light:\n    def m(self): return 3\n", space)
    exec("class Heavy:\n    def m(self): return LARGE\n", space)
    exec("def again(n): return again(n - 1)", space)
    assert weigh(space["f"]).size == pytest.approx(80_000, abs=100)
    assert weigh(space["Light"]).size < 100
    assert weigh(space["Heavy"]).size > 80_000
    assert 0 < weigh(space["again"]).parts < 1000
    assert weigh(np.sum).parts == 10


def test_parts_are_what_a_walk_would_meet() -> None:
    assert weigh([1] * 10_000).parts == 10_001
    assert weigh(np.zeros(1_000_000)).parts < 100
    assert weigh(np.array([None] * 5000)).parts == 5000
    assert weigh([]).parts == weigh({}).parts == 1
    assert weigh(pd.DataFrame()) == UNKNOWN
    assert weigh(np.zeros(1000).view(np.matrix)).size == 8000
    assert weigh(np.ma.masked_array(np.zeros(1000))) == UNKNOWN
    assert weigh(pd.DataFrame(np.zeros((3, 500)))) == (12_000, -1)
    assert weigh(pd.Series(["a"] * 1000, dtype="category")).parts >= 300
    assert weigh(pd.DataFrame([[1, 2]], columns=["a", "a"])) == UNKNOWN
