"""Every backend with processes: what a finalizer may call, which Python's garbage collector runs in the middle of anything."""

from __future__ import annotations

import functools
import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import nbray

pytestmark = pytest.mark.usefixtures("real_backend")


class Circle:
    """Garbage that only the collector finds; its end calls something."""

    def __init__(self, at_end: Callable[[], Any]) -> None:
        self.itself = self
        self.at_end = at_end

    def __del__(self) -> None:
        self.at_end()


@pytest.fixture(autouse=True)
def stop_still_works() -> Iterator[None]:
    """A shield against interrupts that was left up would swallow every Stop from then on."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    left = signal.signal(signal.SIGINT, handler)
    assert left is handler


@contextmanager
def collections_anywhere() -> Iterator[Callable[[int], None]]:
    """Gives what is to be called with 0, 1, 2, ...: each time the collector comes a little later, so that it meets every step."""
    before = gc.get_threshold()
    try:
        yield lambda number: gc.set_threshold(1 + number % 61)
    finally:
        gc.set_threshold(*before)


@nbray.remote
def echo(value: Any) -> Any:
    return value


class PlainBox:
    def __init__(self) -> None:
        self.notes: list[int] = []

    def note(self, number: int) -> None:
        self.notes.append(number)

    def all(self) -> list[int]:
        return self.notes


Box: Any = nbray.remote(PlainBox)


def call_until_it_fails(box: Any) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        nbray.get(box.all.remote())


def rounds(box: Any, most: int) -> int:
    """Calls, puts and tasks, with garbage in between that calls too; returns how much of it there was."""
    ended: list[int] = []

    def end(number: int) -> None:
        ended.append(number)
        echo.remote(number)
        nbray.put(number)
        box.note.remote(number)

    with collections_anywhere() as later:
        for number in range(most):
            later(number)
            Circle(functools.partial(end, number))
            assert nbray.get(echo.remote(number)) == number
            nbray.get([echo.remote(nbray.put(number)), box.all.remote()])
    gc.collect()
    assert sorted(ended) == list(range(most))
    return len(ended)


def test_it_may_submit_put_and_call_in_the_driver() -> None:
    box = Box.remote()
    assert rounds(box, 244) == 244
    assert sorted(nbray.get(box.all.remote())) == list(range(244))


def test_it_may_in_a_task() -> None:
    box = Box.remote()
    assert nbray.get(nbray.remote(rounds).remote(box, 122)) == 122
    assert sorted(nbray.get(box.all.remote())) == list(range(122))


def test_an_actor_may_end_with_who_has_it() -> None:
    """What users write: an object that owns an actor and kills it in `__del__`."""
    boxes = [Box.options(num_cpus=0).remote() for _ in range(4)]
    nbray.get([box.all.remote() for box in boxes])
    with collections_anywhere() as later:
        for place, box in enumerate(boxes):
            later(7 * place)
            Circle(functools.partial(nbray.kill, box))
            for number in range(20):
                nbray.get(echo.remote(number))
    gc.collect()
    for box in boxes:
        with pytest.raises(nbray.errors.ActorDied):
            call_until_it_fails(box)
