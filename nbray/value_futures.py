"""Futures of the standard library for values that a cluster will have."""

from __future__ import annotations

import concurrent.futures
from typing import Any

from nbray import session
from nbray.backends.backend import Backend
from nbray.completions import Completions
from nbray.engine import task_context
from nbray.ids import ObjectId

OF_REFS = Completions("nbray-future")
"""The thread on which the futures of ObjectRefs get their values."""


class ValueFuture(concurrent.futures.Future[Any]):
    """Gets the value of an object, or its failure.

    Whoever waits in `result` or `exception` receives by itself, which saves two changes of threads, gives the CPU of its task
    back meanwhile, and cannot be held up by what callbacks of other futures do. All else comes by the completions' thread.
    """

    def __init__(self, completions: Completions) -> None:
        super().__init__()
        self._completions = completions
        self._place: tuple[Backend, ObjectId] | None = None
        self._keep: object = None
        self._to_settle = [True]
        """Whoever pops its item hands the outcome over: a wait, or the thread of the completions."""
        self._waits: list[bool] = []
        """One item for each thread that waits here and will hand the outcome over: then the completions need not."""
        self._is_there = False
        self._context = task_context.current()
        if session.current.in_worker:
            self._waiters: list[Any] = _Waiters()

    def expect(self, backend: Backend, object_id: ObjectId, keep: object) -> None:
        """From now on it stands for this object, which lives as long as `keep`."""
        self._keep = keep
        self._place = backend, object_id
        backend.on_ready(object_id, self._on_ready)

    @property
    def place(self) -> tuple[Backend, ObjectId] | None:
        """What it stands for, until it is done."""
        return self._place

    def result(self, timeout: float | None = None) -> Any:
        """The value, or its task's exception; waits for at most `timeout` seconds, then raises TimeoutError."""
        return super().result(self._await(timeout))

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The task's exception, or None; waits as `result` does."""
        return super().exception(self._await(timeout))

    def settle(self) -> None:
        """Hand over the outcome, which exists; once, on whichever thread comes first."""
        place = self._place
        if not self.take_turn() or place is None:
            return
        backend, object_id = place
        try:
            value = backend.get((object_id,))[0]
        except KeyboardInterrupt:  # Stop, and not the task's own: somebody else must do it
            self._to_settle.append(True)
            self._completions.call_soon(self.settle, self._context)
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the outcome
            self.fail(error)
        else:
            self.finish(value)

    def take_turn(self) -> bool:
        """Whether the caller is the one that hands over the outcome."""
        try:
            return self._to_settle.pop()
        except IndexError:
            return False

    def finish(self, value: Any) -> None:
        """The outcome is this value."""
        self._let_go()
        if self.set_running_or_notify_cancel():
            self.set_result(value)

    def fail(self, error: BaseException) -> None:
        """The outcome is this exception."""
        self._let_go()
        if self.set_running_or_notify_cancel():
            self.set_exception(error)

    def _let_go(self) -> None:
        self._place = self._keep = None

    def _await(self, timeout: float | None) -> float | None:
        """Wait here until the outcome is in this process; the rest of the timeout for the standard library's own wait."""
        place = self._place
        if place is None or self.done():
            return timeout
        backend, object_id = place
        self._waits.append(True)
        arrived = False
        try:
            arrived = bool(backend.wait((object_id,), 1, timeout))
        finally:
            self._waits.pop()
            if arrived or self._is_there:  # where the wait was broken off, `_on_ready` may have relied on it
                self.settle()
        return None if arrived or self._is_there else 0.0  # another thread may be settling it

    def _on_ready(self) -> None:
        """The outcome is in this process; on the thread that receives.

        It says so first and looks for waits then, while a wait leaves first and looks for the outcome then: one of the two sees
        the other.
        """
        self._is_there = True
        if not self._waits:
            self._completions.call_soon(self.settle, self._context)


class _Waiters(list[Any]):
    """Who waits for a future in a worker through `concurrent.futures.wait` or `as_completed`, which know nothing of clusters.

    While they wait the CPU of the task is free, or a task that waits for tasks of its own could wait for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waits: list[tuple[Any, Any]] = []

    def append(self, waiter: Any) -> None:
        """The wait begins."""
        waiting = session.current_backend().waiting()
        waiting.__enter__()
        super().append(waiter)
        self._waits.append((waiter, waiting))

    def remove(self, waiter: Any) -> None:
        """The wait is over."""
        super().remove(waiter)
        index = next(index for index, (one, _) in enumerate(self._waits) if one is waiter)
        _, waiting = self._waits.pop(index)
        waiting.__exit__(None, None, None)
