"""What tasks and actors do in a storm: they note each attempt in the ledger, take their time, and hash what they were given."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

import nbray
from tests.storm import mix
from tests.storm.ledger import WITHIN, Line, written

Words = npt.NDArray[np.uint64]

_files: dict[str, int] = {}
"""Open ledgers of this process."""
PIECE_WORDS = 1 << 16
"""An array is looked at piece by piece: what is computed of one stays in the processor's cache."""
BURN_SECONDS = 0.0005


def note(ledger: str, kind: str, subject: int, number: int) -> None:
    """Append a line; it is there when this returns, whatever happens to the process then."""
    if ledger not in _files:
        _files[ledger] = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.write(_files[ledger], written(Line(kind, subject, number, os.getpid(), time.monotonic())))


def close_ledgers() -> None:
    """Close the files of this process."""
    while _files:
        os.close(_files.popitem()[1])


@contextlib.contextmanager
def attempt(ledger: str, node: int, talks: bool, within: int = 0) -> Iterator[int]:
    """One attempt at a task, with its begin and its end in the ledger; `within` is the attempt of the task that called it."""
    number = nbray.get_runtime_context().attempt + WITHIN * within
    if talks:
        print(f"begin of {node}")
    note(ledger, "b", node, number)
    end = "x"
    try:
        yield number
        end = "d"
    finally:
        note(ledger, end, node, number)


def spend(seconds: float) -> None:
    """Work a little, wait the rest: a storm shall fit on two cores."""
    until = time.perf_counter() + min(BURN_SECONDS, seconds / 10)
    while time.perf_counter() < until:
        sum(range(100))
    time.sleep(seconds * 0.8)


def task(ledger: str, node: int, token: int, seconds: float, talks: bool, *inputs: int, within: int = 0) -> int:
    """A node of a graph, or a task alone."""
    with attempt(ledger, node, talks, within):
        spend(seconds)
        return mix.digest(node, token, *inputs)


def nested(ledger: str, nodes: list[int], tokens: list[int], seconds: float, retries: int) -> int:
    """A task that calls others and waits for them; the last node is its own."""
    *children, own = nodes
    with attempt(ledger, own, False) as mine:
        remote = nbray.remote(task).options(max_retries=retries)
        refs = [
            remote.remote(ledger, node, token, seconds, False, within=mine)
            for node, token in zip(children, tokens[:-1], strict=True)
        ]
        return mix.digest(own, tokens[-1], *nbray.get(refs))


def array_of(number: int, size: int) -> Words:
    """An array whose every element says whose it is and where it stands."""
    first = mix.element(number, 0)
    return np.arange(first, first + size // 8, dtype=np.uint64)


def look(array: Words, number: int) -> int:
    """What an array of that number shows; another value than `mix.object_answer` if any element is not its own."""
    words = len(array)
    pieces = (array[start : start + PIECE_WORDS] for start in range(0, words, PIECE_WORDS - 1))  # each begins where one ended
    whole = all(bool((piece[1:] - piece[:-1] == 1).all()) for piece in pieces)
    return mix.digest(number, words, *(int(array[place]) for place in mix.places(words))) if whole else -1


def make(ledger: str, node: int, number: int, size: int) -> Words:
    """A large result."""
    with attempt(ledger, node, False):
        return array_of(number, size)


def inspect(ledger: str, node: int, number: int, array: Words) -> int:
    """Look at a large argument."""
    with attempt(ledger, node, False):
        return look(array, number)


class Counter:
    """An actor that notes its calls."""

    def __init__(self, ledger: str, actor: int) -> None:
        self._ledger = ledger
        self._actor = actor

    def call(self, number: int, job: int, index: int, seconds: float) -> int:
        """Call `number` of its caller."""
        note(self._ledger, "c", self._actor, number)
        try:
            spend(seconds)
            return mix.digest(job, index)
        finally:
            note(self._ledger, "e", self._actor, number)


# ---------------------------------------------------------------- odd ones


class Unpicklable(Exception):
    """An error that cannot be sent."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("this error stays where it is")


def odd(ledger: str, node: int, token: int, seconds: float, how: str) -> Any:
    """A task that fails, prints or returns something in its own way."""
    with attempt(ledger, node, how == "prints") as number:
        if how == "raises":
            raise ValueError(f"odd {node}")
        if how == "unpicklable_error":
            raise Unpicklable(f"odd {node}")
        if how == "flaky" and number == 1:
            raise OSError(f"odd {node}")
        if how == "prints":
            print("x" * 2000)
            os.write(2, b"from below\n")
        if how == "cancelled":
            time.sleep(seconds)
        spend(min(seconds, mix.LONGEST_SECONDS))
        return threading.Lock() if how == "unpicklable_result" else mix.digest(node, token)
