"""What a worker's tasks print: Python's streams go to the task's cell, the rest of fd 1 and 2 to the worker's log.

`sys.stdout` and `sys.stderr` of a worker know the task of the thread that writes, so late prints and prints of threads find
their cell. C code and child processes write to fd 1 and 2, which are a file (a pipe read by a thread of this process would
deadlock once C code fills it while holding the GIL); the scheduler process reads that file.
"""

from __future__ import annotations

import ctypes
import io
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from nbray.engine import forks, task_context
from nbray.engine.overflow import Overflow
from nbray.engine.task_context import TaskContext
from nbray.engine.unsent import UnsentOfWorker
from nbray.ids import NO_TASK, TaskId
from nbray.scheduler.messages import rewrites_line

Post = Callable[[TaskId, str, bytes, bool], None]
"""Sends output: task, stream, data, and whether it must leave at once."""

_libc = ctypes.CDLL(None)
_libc_fflush = _libc.fflush
_libc_fflush.argtypes = [ctypes.c_void_p]


def log_length(log: int) -> int:
    """The length of this worker's log, with what C code still had in its buffers."""
    _libc_fflush(None)
    return os.lseek(log, 0, os.SEEK_END)


class TaskOutput:
    """Collects what tasks print until `flush`; text beyond the limit of a task goes to the descriptor of the log."""

    def __init__(
        self, post: Post, call_at: Callable[[float, Callable[[], None]], None], interval: float, limit: int,
        unsent: UnsentOfWorker, log: int,
    ) -> None:  # fmt: skip
        self._post = post
        self._unsent = unsent
        self._overflow = Overflow(log)
        self._call_at = call_at
        self._interval = interval
        self._last_flush = 0.0
        self._limit = limit
        self._lock = threading.RLock()
        """Reentrant: a finalizer that prints may run while this very thread holds it."""
        self._flushing = threading.RLock()
        """Keeps flushes in order; apart from the other, so that who prints never waits for the connection."""
        self._forked = False
        self._parts: list[tuple[TaskId, str, bytes]] = []
        self._sizes: dict[TaskId, int] = {}
        forks.tell(self)

    def after_fork(self) -> None:
        """What a forked child prints goes to the log, as what any child process prints."""
        self._lock, self._flushing = threading.RLock(), threading.RLock()
        self._overflow.after_fork()
        self._forked = True
        self._parts = []

    def write(self, context: TaskContext | None, stream: str, data: bytes) -> None:
        """Send `data` to the cell of the task; without a task, or beyond its limit, write it to the log."""
        task_id = context.task_id if context is not None else NO_TASK
        sends = context is not None and not self._forked
        rewrites = rewrites_line(data)
        with self._lock:
            size = self._sizes.get(task_id, 0)
            self._sizes[task_id] = size + (0 if rewrites else len(data))
            room = self._limit - size if sends else 0
            data, rest = (data, b"") if len(data) <= room else _cut(data, room)
            first = bool(data) and not self._parts
            fits = True
            if rewrites and data and not first and self._ends_with_rewrite(task_id, stream):
                self._parts[-1] = (task_id, stream, data)
            elif data:
                self._parts.append((task_id, stream, data))
                fits = self._unsent.add(task_id, stream, data)
        if rest:
            self._overflow.write(task_id, rest)
        if not fits:
            self.flush()
        elif first and time.monotonic() - self._last_flush > self._interval:
            self.flush()  # the first line of a burst leaves at once, in case the worker dies of what comes next
        elif first:
            self._call_at(self._last_flush + self._interval, self.flush)

    def _ends_with_rewrite(self, task_id: TaskId, stream: str) -> bool:
        last_task, last_stream, last = self._parts[-1]
        return (last_task, last_stream) == (task_id, stream) and rewrites_line(last)

    def flush(self, *, now: bool = True) -> None:
        """Post what has been collected, joined per task and stream where it follows on; without `now`, with what comes next."""
        with self._flushing:
            self._last_flush = time.monotonic()
            with self._lock:
                parts, self._parts = self._parts, []
                length = self._unsent.length
            for task_id, stream, data in join_parts(parts):
                self._post(task_id, stream, data, now)
            with self._lock:
                self._unsent.drop(length)

    def end_task(self, task_id: TaskId) -> None:
        """The task has ended: forget how much it printed, unless its threads print on."""
        if self._parts:
            self.flush(now=False)
        if len(self._sizes) > 1000:
            with self._lock:
                self._sizes.clear()


def join_parts(parts: Iterable[tuple[TaskId, str, bytes]]) -> list[tuple[TaskId, str, bytes]]:
    """Neighbours of the same task and stream become one.

    >>> join_parts([(1, "stdout", b"a"), (1, "stdout", b"b"), (2, "stdout", b"c")])
    [(1, 'stdout', b'ab'), (2, 'stdout', b'c')]
    """
    joined: list[tuple[TaskId, str, list[bytes]]] = []
    for task_id, stream, data in parts:
        if joined and joined[-1][:2] == (task_id, stream):
            joined[-1][2].append(data)
        else:
            joined.append((task_id, stream, [data]))
    return [(task_id, stream, b"".join(pieces)) for task_id, stream, pieces in joined]


def _cut(data: bytes, room: int) -> tuple[bytes, bytes | memoryview]:
    """Two parts, the first of `room` bytes or a little less: no character is cut."""
    room = max(0, room)
    while room and data[room] & 0xC0 == 0x80:
        room -= 1
    return data[:room], memoryview(data)[room:]


class TaskStream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of a worker."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name: str, descriptor: int, output: TaskOutput) -> None:
        self._name = name
        self._descriptor = descriptor
        self._output = output
        self.buffer = _TaskBuffer(self)

    def write(self, text: str) -> int:
        """Text to the cell of the task that this thread works for."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self.write_bytes(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """The same for bytes, which `sys.stdout.buffer` takes."""
        self._output.write(task_context.current(), self._name, data)

    def writable(self) -> bool:
        """True."""
        return True

    def isatty(self) -> bool:
        """False: progress bars draw themselves plainly."""
        return False

    def fileno(self) -> int:
        """The descriptor that child processes inherit: the worker's log."""
        return self._descriptor

    @property
    def name(self) -> str:
        """ "<stdout>" or "<stderr>"."""
        return f"<{self._name}>"


class _TaskBuffer(io.RawIOBase):
    """`sys.stdout.buffer`: bytes for the same cell."""

    def __init__(self, stream: TaskStream) -> None:
        self._stream = stream

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._stream.write_bytes(raw)
        return len(raw)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()


def inherit_task_in_threads() -> None:
    """Let every thread that a task starts work for that task, so that its prints find the task's cell."""
    start = threading.Thread.start

    def start_for_task(thread: threading.Thread) -> None:
        context, run = task_context.current(), thread.run

        def run_for_task() -> None:
            task_context.enter(context)
            run()

        if context is not None:
            thread.run = run_for_task  # type: ignore[method-assign]
        start(thread)

    threading.Thread.start = start_for_task  # type: ignore[method-assign,assignment]
