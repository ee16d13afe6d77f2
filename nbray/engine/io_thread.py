"""The one background thread of a driver or worker: it waits for descriptors and due times, and calls back."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import os
import selectors
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from nbray.engine import forks

Callback = Callable[[], None]


class IoThread:
    """Starts at `start`, ends at `stop`; callbacks run on it one at a time and must not block."""

    def __init__(self, name: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._watch_lock = threading.RLock()
        self._soon: deque[Callback] = deque()
        self._timers: list[tuple[float, int, Callback]] = []
        self._timer_lock = threading.RLock()
        """Reentrant, like the other: a finalizer that runs inside may come back here."""
        self._sleeps_until = 0.0
        """When the thread wakes by itself; 0 while it is awake and will look at the timers before it sleeps."""
        self._order = itertools.count()
        self._stopping = False
        self._closed = False
        self._wake_lock = threading.RLock()
        """Without it a wake could write into a descriptor that was closed and given to somebody else."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        forks.tell(self)

    def start(self) -> None:
        """Begin; `register` what it shall watch before or after."""
        self._thread.start()

    def on_this_thread(self) -> bool:
        """Whether the caller runs on the I/O thread."""
        return threading.current_thread() is self._thread

    def call_soon(self, callback: Callback) -> None:
        """Call back on the I/O thread at once; any thread."""
        self._soon.append(callback)
        self._wake()

    def call_at(self, when: float, callback: Callback) -> None:
        """Call back on the I/O thread at `when` (time.monotonic); any thread. Wakes it only if it would sleep past that."""
        with self._timer_lock:
            heapq.heappush(self._timers, (when, next(self._order), callback))
            oversleeps = when < self._sleeps_until
        if oversleeps:
            self._wake()

    def watch(self, descriptor: int, *, read: Callback | None = None, write: Callback | None = None) -> None:
        """Call back, on the I/O thread, whenever the descriptor is readable or writable; neither ends the watch.

        Any thread, but none that an exception can interrupt: selectors would lose count of what they watch.
        """
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        with self._watch_lock:
            if self._closed:
                return
            if descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)
            if events:
                self._selector.register(descriptor, events, (read, write))

    def unwatch(self, descriptor: int) -> None:
        """Watch it no more; before it is closed. Any thread."""
        self.watch(descriptor)

    def stop(self) -> None:
        """End the thread and wait for it, unless this is it; idempotent."""
        self._stopping = True
        if self._thread.is_alive():
            self._wake()
            if not self.on_this_thread():
                self._thread.join()
        elif self._thread.ident is None:
            self._close()

    def _wake(self) -> None:
        with self._wake_lock, contextlib.suppress(BlockingIOError):  # full means that it is about to wake anyway
            if not self._closed:
                os.write(self._wake_write, b"\0")

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._step()
            while self._soon:  # what was asked for before the stop
                call_reporting(self._soon.popleft())
        finally:
            self._close()

    def _step(self) -> None:
        for key, events in self._selector.select(self._timeout()):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
                continue
            on_readable, on_writable = key.data
            if events & selectors.EVENT_WRITE and on_writable:
                call_reporting(on_writable)
            if events & selectors.EVENT_READ and on_readable:
                call_reporting(on_readable)
        self._sleeps_until = 0.0
        while self._soon:
            call_reporting(self._soon.popleft())
        if self._timers:
            for callback in self._due(time.monotonic()):
                call_reporting(callback)

    def _timeout(self) -> float | None:
        with self._timer_lock:
            if self._soon:
                return 0.0
            self._sleeps_until = self._timers[0][0] if self._timers else math.inf
            return max(0.0, self._sleeps_until - time.monotonic()) if self._timers else None

    def _due(self, now: float) -> list[Callback]:
        due = []
        with self._timer_lock:
            while self._timers and self._timers[0][0] <= now:
                due.append(heapq.heappop(self._timers)[2])
        return due

    def after_fork(self) -> None:
        """The child has no such thread: nothing wakes the parent's, and no lock that it held is waited for."""
        self._wake_lock, self._timer_lock = threading.RLock(), threading.RLock()
        self._stopping = True
        self._close()

    def _close(self) -> None:
        with self._wake_lock, self._watch_lock:
            if self._closed:
                return
            self._closed = True
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)


def call_reporting(callback: Callback) -> None:
    """One callback's bug must not end the thread that all others need."""
    try:
        callback()
    except Exception:  # noqa: BLE001 - reported the way Python reports errors of threads
        threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
