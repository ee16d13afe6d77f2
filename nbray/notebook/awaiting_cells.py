"""Owns how Stop reaches a cell that awaits: promptly while its loop sleeps, and in its code while that runs.

ipykernel answers an interrupt of such a cell by asking the event loop to cancel it. A loop that sleeps does not notice, and
one that is held up by code without an `await` never comes to it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

HEARTBEAT_SECONDS = 0.1
"""While a cell awaits, its loop wakes so often and looks whether it was asked for something."""


@contextmanager
def interruptible(cell: asyncio.Future[Any], namespace: Mapping[str, Any]) -> Iterator[None]:
    """Let interrupts reach the cell that the running loop awaits; on the main thread, inside ipykernel's own handler.

    Where the user's code runs on the loop, it is torn there: the cell by KeyboardInterrupt as everywhere in Python, a task
    that it has started by CancelledError, since a KeyboardInterrupt there would end the loop, and the kernel with it.
    """
    loop = asyncio.get_running_loop()
    cancel = signal.getsignal(signal.SIGINT)
    assert callable(cancel)

    def hear(number: int, frame: FrameType | None) -> None:
        task = asyncio.current_task(loop)
        if not _is_running(namespace, frame):
            cancel(number, frame)
        elif task is cell:
            signal.default_int_handler(number, frame)
        else:
            cancel(number, frame)
            if task is not None and _is_from(namespace, task):
                raise asyncio.CancelledError("interrupted")

    signal.signal(signal.SIGINT, hear)
    stop_beating = _beat(loop)
    try:
        yield
    finally:
        stop_beating()


def _beat(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Wake the loop regularly; returns what ends that."""
    timer: asyncio.TimerHandle

    def beat() -> None:
        nonlocal timer
        timer = loop.call_later(HEARTBEAT_SECONDS, beat)

    beat()
    return lambda: timer.cancel()


def _is_running(namespace: Mapping[str, Any], frame: FrameType | None) -> bool:
    """Is this code, or what has called it, the user's?"""
    while frame is not None and frame.f_globals is not namespace:
        frame = frame.f_back
    return frame is not None


def _is_from(namespace: Mapping[str, Any], task: asyncio.Task[Any]) -> bool:
    """Was this task made of a coroutine of the user's?"""
    frame = getattr(task.get_coro(), "cr_frame", None)
    return frame is not None and frame.f_globals is namespace
