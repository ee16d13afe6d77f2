"""A pin lasts as long as anything that is built over its view, and ends exactly once."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pandas
import pytest

from nbray.ids import ObjectId
from nbray.store.arena import Arena
from nbray.store.pins import Pins

NAME = ObjectId(7)


class Log(list[tuple[str, ObjectId]]):
    """What the pins called, in order."""

    def pins(self) -> Pins:
        return Pins(lambda object_id: self.append(("hold", object_id)), lambda object_id: self.append(("release", object_id)))


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena.create(1 << 30)
    made.write_view(0, 800)[:] = numpy.arange(100.0).tobytes()
    yield made
    made.close()


def as_array(view: memoryview) -> Any:
    return numpy.frombuffer(view)


DERIVED: dict[str, Callable[[memoryview], Any]] = {
    "the view": lambda view: view,
    "a slice of the view": lambda view: view[8:16],
    "a cast of a slice": lambda view: view[8:16].cast("d"),
    "an array": as_array,
    "a slice of an array": lambda view: as_array(view)[10:20],
    "a slice of a slice": lambda view: as_array(view)[10:20][::2],
    "a transposed reshape": lambda view: as_array(view).reshape(10, 10).T,
    "a field of another type": lambda view: as_array(view).view(numpy.uint8)[3:5],
    "an array over a slice of the view": lambda view: numpy.frombuffer(view[80:160]),
    "a view of an array": lambda view: memoryview(as_array(view)[1:]),
    "an iterator": lambda view: iter(as_array(view)),
    "a column of a frame": lambda view: pandas.DataFrame(as_array(view).reshape(10, 10), copy=False)[3],
    "a frame in a cycle": lambda view: cycle(pandas.DataFrame({"a": as_array(view)}, copy=False)),
}


def cycle(value: Any) -> list[Any]:
    made = [value]
    made.append(made)
    return made


@pytest.mark.parametrize("kind", DERIVED)
def test_pin_ends_with_the_last_thing_over_the_view(arena: Arena, kind: str) -> None:
    log = Log()
    derived = DERIVED[kind](log.pins().pin(NAME, arena.read_view(0, 800)))
    gc.collect()
    assert log == [("hold", NAME)]
    del derived
    gc.collect()
    assert log == [("hold", NAME), ("release", NAME)]


def test_each_view_is_a_pin_of_its_own(arena: Arena) -> None:
    log = Log()
    pins = log.pins()
    first, second = (as_array(pins.pin(NAME, arena.read_view(0, 800))) for _ in range(2))
    del first
    assert log == [("hold", NAME), ("hold", NAME), ("release", NAME)]
    del second
    assert log[3:] == [("release", NAME)]


def test_values_are_right_and_read_only(arena: Arena) -> None:
    array = as_array(Log().pins().pin(NAME, arena.read_view(80, 80)))
    assert array.tolist() == list(range(10, 20))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_arrays_outlive_the_arena_and_the_pins(arena: Arena) -> None:
    log = Log()
    array = as_array(log.pins().pin(NAME, arena.read_view(80, 80)))
    arena.close()
    gc.collect()
    assert array.sum() == sum(range(10, 20))
    del array
    assert log == [("hold", NAME), ("release", NAME)]


@pytest.mark.local
def test_a_forked_child_releases_nothing(arena: Arena) -> None:
    log = Log()
    array = as_array(log.pins().pin(NAME, arena.read_view(80, 80)))
    child = os.fork()
    if child == 0:
        right = array.sum() == sum(range(10, 20))
        del array
        gc.collect()
        os._exit(0 if right and log == [("hold", NAME)] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert log == [("hold", NAME)]


EXIT_WITH_PINS = """
import threading, numpy
from nbray.store.arena import Arena
from nbray.store.pins import Pins
arena = Arena.create(1 << 30)
pins = Pins(print, print)
kept = [numpy.frombuffer(pins.pin(number, arena.read_view(0, 800))) for number in (1, 2, 3)]
kept.append(kept)
threading.kept = kept[0][:5]
arena.close()
"""


@pytest.mark.local
def test_interpreter_exits_quietly_while_arrays_live() -> None:
    done = subprocess.run([sys.executable, "-c", EXIT_WITH_PINS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n2\n3\n", "")


def test_what_is_pinned_or_about_to_be_is_known(arena: Arena) -> None:
    pins = Log().pins()
    array = as_array(pins.pin(NAME, arena.read_view(0, 800)))
    with pins.announce(ObjectId(8)):
        assert pins.pinned() == {NAME, ObjectId(8)}
    part = array[5:]
    del array
    assert pins.pinned() == {NAME}
    del part
    assert pins.pinned() == set()
