"""The pickler's rules: arrays out of band, references noted on the way, nothing heavy loaded for plain data."""

from __future__ import annotations

import operator
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbray.ids import ObjectId
from nbray.pickler import FastPickler, ReferenceCollector, note_reference, pickle_fast

ROOT = Path(__file__).parent.parent


def ignore(buffer: pickle.PickleBuffer) -> None: ...


class Reference:
    """Stands in for an ObjectRef: notes its id while it is pickled."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        note_reference(ObjectId(self.number))
        return Reference, (self.number,)


class PicklesInside:
    """Pickles something else while it is being pickled."""

    def __reduce__(self) -> Any:
        with ReferenceCollector() as nested:
            pickle_fast([Reference(99)], ignore)
        assert nested == [99]
        return PicklesInside, ()


class StartsThread:
    """Pickles in another thread while it is being pickled."""

    def __init__(self) -> None:
        self.seen: list[ObjectId] = []

    def __reduce__(self) -> Any:
        thread = threading.Thread(target=self.pickle_there)
        thread.start()
        thread.join()
        return int, ()

    def pickle_there(self) -> None:
        with ReferenceCollector() as nested:
            pickle_fast([Reference(3)], ignore)
        self.seen = nested


def test_collecting_nests_and_is_per_thread() -> None:
    thread = StartsThread()
    with ReferenceCollector() as nested:
        pickle_fast([Reference(1), PicklesInside(), thread, Reference(2)], ignore)
    assert nested == [1, 2]
    assert thread.seen == [3]


def test_outside_a_collector_a_reference_is_not_noted() -> None:
    note_reference(ObjectId(1))
    with ReferenceCollector() as nested:
        pass
    note_reference(ObjectId(2))
    assert nested == []


@pytest.mark.parametrize("dtype", ["f8", "?", "c16", "M8[us]", "m8[s]", ">u2", "U3", "V5"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("step", [1, 2])
def test_every_kind_of_array_goes_out_of_band_once(dtype: str, order: Any, step: int) -> None:
    array = np.zeros((4, 6), dtype, order)[::step]
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle_fast([array, array], buffers.append)
    assert sum(buffer.raw().nbytes for buffer in buffers) == array.nbytes
    first, second = pickle.loads(stream, buffers=[buffer.raw().toreadonly() for buffer in buffers])
    assert first is second
    assert first.dtype == array.dtype
    assert first.flags.f_contiguous == (order == "F" and step == 1)
    assert np.array_equal(first, array)
    assert not first.flags.writeable


def test_the_rules_are_those_of_a_c_pickler() -> None:
    assert issubclass(FastPickler, pickle.Pickler)


LIGHT = """
import sys
from nbray.serialization import dumps, encode, loads
for value in [1, {"a": [1, (2, 3)]}, ValueError, len, sys.exc_info]:
    assert loads(encode(dumps(value))) == value
heavy = {"numpy", "cloudpickle", "dill", "msgspec"} & sys.modules.keys()
assert not heavy, heavy
def f(): ...
dumps(f)
heavy = {"numpy", "dill"} & sys.modules.keys()
assert not heavy, heavy
"""


@pytest.mark.local
def test_plain_data_loads_neither_cloudpickle_nor_dill_nor_numpy() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True, cwd=ROOT)


FIGURE = """
import pickle
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from nbray.pickler import pickle_fast

def picture(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return bytes(canvas.buffer_rgba())

figure = Figure()
left, right = figure.subplots(1, 2)
left.plot(np.arange(1000.0))
right.imshow(np.arange(400.0).reshape(20, 20))
buffers = []
stream = pickle_fast([figure, left], buffers.append)
arrived, its_left = pickle.loads(stream, buffers=[memoryview(buffer).toreadonly() for buffer in buffers])
assert its_left is arrived.axes[0]
assert picture(arrived) == picture(figure)
"""


@pytest.mark.local
def test_a_figure_can_be_drawn_where_it_arrives() -> None:
    """Matplotlib changes arrays of a figure in place while it draws; they would arrive read-only, and no figure be shown."""
    subprocess.run([sys.executable, "-c", FIGURE], check=True, cwd=ROOT)


CHANGES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "a cell": lambda frame: operator.setitem(frame.loc, (0, "a"), 5.0),
    "by a mask": lambda frame: operator.setitem(frame.loc, (frame.a > 1, "a"), 0.0),
    "a time": lambda frame: operator.setitem(frame.loc, (0, "time"), pd.Timestamp("2021")),
    "a category": lambda frame: operator.setitem(frame.loc, (0, "kind"), "y"),
    "an integer that may be missing": lambda frame: operator.setitem(frame.loc, (0, "maybe"), 7),
    "what is missing": lambda frame: frame.fillna({"b": 9.0}, inplace=True),
    "a column": lambda frame: operator.setitem(frame, "a", frame.a * 2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_frame_can_be_changed_where_it_arrives_and_what_it_lies_in_stays(change: Callable[[pd.DataFrame], Any]) -> None:
    frame = pd.DataFrame({"a": np.arange(4.0), "b": [1.0, np.nan, 3.0, 4.0], "name": list("pqrs")})
    frame["time"], frame["kind"] = pd.Timestamp("2020"), pd.Categorical(list("xyxy"))
    frame["maybe"] = pd.array([1, None, 3, 4], dtype="Int64")
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle_fast(frame, buffers.append)
    lies_in = [bytes(buffer.raw()) for buffer in buffers]

    def arrive() -> pd.DataFrame:
        arrived: pd.DataFrame = pickle.loads(stream, buffers=[memoryview(part) for part in lies_in])
        return arrived

    first = arrive()
    pd.testing.assert_frame_equal(first, frame)
    change(first)
    pd.testing.assert_frame_equal(arrive(), frame)
    change(frame)
    pd.testing.assert_frame_equal(first, frame)


def test_a_frame_that_arrived_is_pickled_as_any_other() -> None:
    series = pd.Series(np.arange(3.0), name="s")
    once = pickle_fast(series, lambda buffer: True)
    again = pickle_fast(pickle.loads(once), lambda buffer: True)
    assert (len(again), pickle.loads(again).equals(series)) == (len(once), True)
