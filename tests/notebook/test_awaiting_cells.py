"""Stop in a cell that awaits, on a loop of this process with an alarm for the button; `test_kernel.py` has the real one."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from nbray.notebook.awaiting_cells import HEARTBEAT_SECONDS, interruptible

CODE = """
import asyncio

async def sleep():
    await asyncio.sleep(20)

async def spin():
    while True:
        pass

async def spin_in_a_task():
    await asyncio.gather(spin(), asyncio.sleep(20))

"""


@pytest.fixture
def names() -> dict[str, Any]:
    """A namespace with the user's functions."""
    namespace: dict[str, Any] = {"__name__": "user"}
    exec(CODE, namespace)
    return namespace


@contextmanager
def as_ipykernel(cell: asyncio.Future[Any]) -> Iterator[None]:
    """Its handler, which asks the loop without waking it."""
    loop = asyncio.get_running_loop()

    def cancel(number: int, frame: FrameType | None) -> None:
        loop.call_soon(cell.cancel)

    before = signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def stopped(cell: Coroutine[Any, Any, Any], names: dict[str, Any]) -> tuple[Any, float]:
    """Run a cell and press Stop after a moment: how it ended, and how soon."""

    async def as_ipython() -> Any:
        try:
            return await cell
        except KeyboardInterrupt as error:  # IPython catches it: it never reaches the loop
            return error

    async def run() -> Any:
        task = asyncio.ensure_future(as_ipython())
        with as_ipykernel(task), interruptible(task, names):
            return (await asyncio.gather(task, return_exceptions=True))[0]

    previous = signal.signal(signal.SIGALRM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    began = time.monotonic()
    try:
        return asyncio.run(run()), time.monotonic() - began - 0.05
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_a_loop_that_sleeps_notices(names: dict[str, Any]) -> None:
    error, seconds = stopped(names["sleep"](), names)
    assert isinstance(error, asyncio.CancelledError)
    assert seconds < HEARTBEAT_SECONDS + 0.2


def test_code_without_await_is_torn(names: dict[str, Any]) -> None:
    error, seconds = stopped(names["spin"](), names)
    assert isinstance(error, KeyboardInterrupt)
    assert seconds < 0.3


def test_a_task_of_the_cell_is_torn_and_the_loop_lives(names: dict[str, Any]) -> None:
    error, seconds = stopped(names["spin_in_a_task"](), names)
    assert isinstance(error, asyncio.CancelledError)
    assert seconds < 0.3
