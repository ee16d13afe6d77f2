"""Which task the current thread works for, and where its output goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import NamedTuple

from nbray.ids import NO_TASK, CellRunId, TaskId

Emit = Callable[[TaskId, str, bytes], None]
"""Sends one piece of output of a task: task, stream (see `OutputEvent.stream`), data. Any thread; keeps order."""


class TaskContext(NamedTuple):
    """The task that runs here. Threads that a task starts inherit it, so their output finds the task's cell."""

    task_id: TaskId
    name: str
    cell_run: CellRunId
    attempt: int
    worker: str
    """For example "worker 1 (pid 4711)"."""
    emit_output: Emit
    resources: Mapping[str, int] = {}
    """What it has reserved, in units of 1/10,000."""
    began: float = 0.0
    """`time.perf_counter()` when its worker took it up."""

    def emit(self, stream: str, data: bytes) -> None:
        """Send output of this task to the cell that submitted it."""
        self.emit_output(self.task_id, stream, data)


_current: ContextVar[TaskContext | None] = ContextVar("nbray_task", default=None)


def current() -> TaskContext | None:
    """The running task, or None in a driver."""
    return _current.get()


def current_id() -> TaskId:
    """The running task's id, or NO_TASK."""
    context = _current.get()
    return NO_TASK if context is None else context.task_id


def enter(context: TaskContext | None) -> None:
    """From now on this thread works for that task; called by the worker between tasks, and in inherited threads."""
    _current.set(context)


_endings: dict[TaskId, list[Callable[[], object]]] = {}
"""By the task; used on the thread that runs tasks only."""


def at_end(callback: Callable[[], object]) -> None:
    """Call `callback` when the outcome of the running task has been packed, on the thread that runs it."""
    context = current()
    assert context is not None, "only a task has an end"
    _endings.setdefault(context.task_id, []).append(callback)


def end(task_id: TaskId) -> None:
    """The outcome of the task has been packed."""
    for callback in _endings.pop(task_id, ()):
        callback()
