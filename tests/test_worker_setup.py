"""Initializers of workers."""

from __future__ import annotations

import concurrent.futures

import pytest

from nbray.serialization import dumps, encode, loads
from nbray.worker_setup import Setup, run_after_setup

_ran: list[int] = []


def note(number: int) -> None:
    _ran.append(number)


def test_a_setup_runs_once_also_when_it_travels_twice() -> None:
    frame = encode(dumps(Setup(note, (7,))))
    assert [run_after_setup(pow, loads(frame), 2, n) for n in range(3)] == [1, 2, 4]
    assert _ran == [7]


def test_one_that_fails_is_tried_again_and_says_what_it_was() -> None:
    setup = Setup(int, ("x",))
    for _ in range(2):
        with pytest.raises(concurrent.futures.BrokenExecutor, match="the initializer failed: ValueError: invalid literal"):
            setup.ensure()
