"""The functions that the measurements run; in a module of their own, so that each system's workers can import them."""

from __future__ import annotations

import asyncio
import functools
import importlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MIB = 1024 * 1024


def no_op() -> None:
    """Nothing: what is left is the system's own time."""


def increment(value: int) -> int:
    """One more."""
    return value + 1


def first_value(array: Any) -> float:
    """Touch one page of an array."""
    return float(array[0])


@functools.cache
def _made(mebibytes: int) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.ones(mebibytes * MIB // 8)


def block(mebibytes: int) -> np.ndarray[Any, Any]:
    """An array that is made once in each process, so that returning it again costs only its way home."""
    return _made(mebibytes)


def prepared(mebibytes: int) -> None:
    """Make the block; sleep, so that each worker gets one of these."""
    block(mebibytes)
    time.sleep(0.2)


def add(one: Any, other: Any) -> Any:
    """The sum of two arrays."""
    return one + other


def hundred_bytes(count: int) -> list[bytes]:
    """Small values, each different from the others."""
    return [b"%100d" % number for number in range(count)]


def yield_numbers(count: int) -> Iterator[int]:
    """Many small items."""
    for number in range(count):  # noqa: UP028 (a generator of its own: Ray takes no other)
        yield number


def wait_for_file(path: str) -> None:
    """Keep a worker until there is such a file."""
    while not Path(path).exists():
        time.sleep(0.005)


def answer_times(path: str, library: str) -> float:
    """Ask the cluster something again and again until there is such a file; the longest seconds to an answer."""
    api: Any = importlib.import_module(library)
    longest = 0.0
    while not Path(path).exists():
        start = time.perf_counter()
        api.available_resources()
        longest = max(longest, time.perf_counter() - start)
        time.sleep(0.005)
    return longest


class Counter:
    """State, and a method that changes it."""

    def __init__(self) -> None:
        self._count = 0

    def increment(self) -> int:
        self._count += 1
        return self._count


class Meeting:
    """Calls that end together: each waits until as many are there."""

    def __init__(self) -> None:
        self._present = 0
        self._all_there = asyncio.Event()

    async def meet(self, expected: int) -> None:
        self._present += 1
        if self._present < expected:
            await self._all_there.wait()
            return
        self._present = 0
        self._all_there.set()
        self._all_there = asyncio.Event()
