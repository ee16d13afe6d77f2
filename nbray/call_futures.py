"""The futures of `nbray.Executor`: those of the standard library, whose `cancel` and `running` ask the cluster."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from nbray import session
from nbray.backends.backend import Backend, CallOptions
from nbray.completions import Completions
from nbray.errors import TaskCancelledError
from nbray.ids import ObjectId
from nbray.objects import ObjectRef

Function = Callable[..., Any]


class Owner(Protocol):
    """The executor, as its futures see it."""

    completions: Completions

    @property
    def options(self) -> CallOptions:
        """The options of each call."""

    def ended(self, future: CallFuture) -> None:
        """The future is done."""

    def withdraw_held_back(self, future: CallFuture) -> bool:
        """Take back a call that the cluster has not been given."""

    def mark_broken(self, reason: str) -> None:
        """No call can succeed any more."""


class CallFuture(concurrent.futures.Future[Any]):
    """One call on its way.

    It stays "pending" until its outcome is here: `running()` asks the cluster instead of being told of every start, which
    would cost a message a task. Whoever waits in `result` receives by itself and gives the CPU of its task back meanwhile.
    """

    def __init__(self, owner: Owner, function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        super().__init__()
        self._owner = owner
        self._call: tuple[Function, tuple[Any, ...], Mapping[str, Any]] | None = (function, args, kwargs)
        self._cell_run = session.current_cell_run()
        self._backend: Backend | None = None
        self._ref: ObjectRef | None = None
        self._to_settle = [True]
        """Whoever pops its item hands the outcome over: a wait or the thread of the completions."""
        if session.current.in_worker:
            self._waiters: list[Any] = _Waiters()

    # ---------------------------------------------------------------- what users call

    def cancel(self) -> bool:
        """Cancel the call unless a worker has begun it; asks the cluster."""
        if self.done():
            return self.cancelled()
        if self._owner.withdraw_held_back(self):
            self.give_up()
            return True
        backend, ref = self._backend, self._ref
        if backend is None or ref is None or not backend.withdraw([ref.id]):
            return self.cancelled()
        self._settle()
        with contextlib.suppress(concurrent.futures.CancelledError):
            super().exception()  # another thread may be settling it
        return self.cancelled()

    def running(self) -> bool:
        """Whether a worker has been given the call; asks the cluster."""
        backend, ref = self._backend, self._ref
        return backend is not None and ref is not None and not self.done() and backend.is_started(ref.id)

    def result(self, timeout: float | None = None) -> Any:
        """The value, or the call's exception; waits for at most `timeout` seconds, then raises TimeoutError."""
        return super().result(self._await(timeout))

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The call's exception, or None; waits as `result` does."""
        return super().exception(self._await(timeout))

    # ---------------------------------------------------------------- its life

    @property
    def place(self) -> tuple[Backend, ObjectId] | None:
        """Where the call is, once the cluster has been given it, until it is done."""
        backend, ref = self._backend, self._ref
        return None if backend is None or ref is None else (backend, ref.id)

    @property
    def launched(self) -> bool:
        """Whether it has counted as one that runs."""
        return self._call is None

    def launch(self) -> None:
        """Give the call to the cluster. Raises NotShippable and what else a submission raises."""
        assert self._call is not None
        (function, args, kwargs), self._call = self._call, None
        backend = session.current_backend()
        (object_id,) = backend.submit(function, args, kwargs, self._owner.options, self._cell_run)
        self._ref = ObjectRef(object_id, backend.epoch)
        self._backend = backend
        self._owner.completions.expect(backend, object_id, self._settle)

    def launch_late(self) -> None:
        """The same when its turn comes, far from the caller: what goes wrong is its outcome."""
        try:
            self.launch()
        except Exception as error:  # noqa: BLE001 - submit has returned long ago: the future has to tell
            self._finish(error=error)

    def give_up(self) -> None:
        """It was taken back before the cluster had it."""
        if self._to_settle and self._to_settle.pop():
            self._cancelled_now()

    def _await(self, timeout: float | None) -> float | None:
        """Wait here until the outcome is in this process; the rest of the timeout for the standard library's own wait."""
        place = self.place
        if self.done():
            return timeout
        if place is None:  # its turn has not come
            return timeout
        backend, object_id = place
        if backend.wait((object_id,), 1, timeout):
            self._settle()
            return None
        return 0.0

    def _settle(self) -> None:
        """Hand over the outcome, which is in this process; once, on whichever thread comes first."""
        try:
            self._to_settle.pop()
        except IndexError:
            return
        backend, ref = self._backend, self._ref
        assert backend is not None
        assert ref is not None
        try:
            value = backend.get((ref.id,))[0]
        except TaskCancelledError:
            self._cancelled_now()
        except KeyboardInterrupt:  # Stop, and not the task's own: somebody else must do it
            self._to_settle.append(True)
            self._owner.completions.call_soon(self._settle)
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the outcome
            if isinstance(error, concurrent.futures.BrokenExecutor):
                self._owner.mark_broken(str(error))
            self._finish(error=error)
        else:
            self._finish(value)

    def _finish(self, value: Any = None, error: BaseException | None = None) -> None:
        self._ref = None
        self.set_running_or_notify_cancel()
        if error is None:
            self.set_result(value)
        else:
            self.set_exception(error)
        self._owner.ended(self)

    def _cancelled_now(self) -> None:
        self._ref = None
        super().cancel()
        self.set_running_or_notify_cancel()
        self._owner.ended(self)


class _Waiters(list[Any]):
    """Who waits for a future in a worker through `concurrent.futures.wait` or `as_completed`, which know nothing of clusters.

    While they wait the CPU of the task is free, or a task that waits for tasks of its own could wait for ever.
    """

    def append(self, waiter: Any) -> None:
        """The wait begins."""
        waiting = session.current_backend().waiting()
        waiting.__enter__()
        super().append(waiter)
        self._ends = [*getattr(self, "_ends", ()), (waiter, waiting)]

    def remove(self, waiter: Any) -> None:
        """The wait is over."""
        super().remove(waiter)
        for one, waiting in list(self._ends):
            if one is waiter:
                self._ends.remove((one, waiting))
                waiting.__exit__(None, None, None)


def by_backend(futures: Iterable[CallFuture]) -> dict[Backend, list[ObjectId]]:
    """The ids of the calls that the cluster has and has not ended, by their backends that live."""
    found: dict[Backend, list[ObjectId]] = {}
    for future in futures:
        place = future.place
        if place is not None and not place[0].lost:
            found.setdefault(place[0], []).append(place[1])
    return found
