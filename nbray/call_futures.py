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
from nbray.value_futures import ValueFuture

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


class CallFuture(ValueFuture):
    """One call on its way.

    It stays "pending" until its outcome is here: `running()` asks the cluster instead of being told of every start, which
    would cost a message a task.
    """

    def __init__(self, owner: Owner, function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        super().__init__(owner.completions)
        self._owner = owner
        self._call: tuple[Function, tuple[Any, ...], Mapping[str, Any]] | None = (function, args, kwargs)
        self._cell_run = session.current_cell_run()
        self._backend = session.current_backend()
        """That of the call: when its turn comes late, no other cluster may be started for it."""

    # ---------------------------------------------------------------- what users call

    def cancel(self) -> bool:
        """Cancel the call unless a worker has begun it; asks the cluster."""
        if self.done():
            return self.cancelled()
        if self._owner.withdraw_held_back(self):
            self.give_up()
            return True
        place = self.place
        if place is None or not place[0].withdraw([place[1]]):
            return self.cancelled()
        self.settle()
        with contextlib.suppress(concurrent.futures.CancelledError):
            super().exception()  # another thread may be settling it
        return self.cancelled()

    def running(self) -> bool:
        """Whether a worker has been given the call; asks the cluster."""
        place = self.place
        return place is not None and not self.done() and place[0].is_started(place[1])

    # ---------------------------------------------------------------- its life

    @property
    def launched(self) -> bool:
        """Whether it has counted as one that runs."""
        return self._call is None

    def launch(self) -> None:
        """Give the call to the cluster. Raises NotShippable and what else a submission raises."""
        assert self._call is not None
        (function, args, kwargs), self._call = self._call, None
        backend = self._backend
        (object_id,) = backend.submit(function, args, kwargs, self._owner.options, self._cell_run)
        self.expect(backend, object_id, ObjectRef(object_id, backend.epoch))

    def launch_late(self) -> None:
        """The same when its turn comes, far from the caller: what goes wrong is its outcome."""
        try:
            self.launch()
        except Exception as error:  # noqa: BLE001 - submit has returned long ago: the future has to tell
            self.fail(error)

    def give_up(self) -> None:
        """It was taken back before the cluster had it."""
        if self.take_turn():
            self.fail(TaskCancelledError("it was cancelled before the cluster had it"))

    def finish(self, value: Any) -> None:
        """See `ValueFuture.finish`."""
        super().finish(value)
        self._owner.ended(self)

    def fail(self, error: BaseException) -> None:
        """See `ValueFuture.fail`; that it was cancelled is no exception here but a state."""
        if isinstance(error, TaskCancelledError):
            super(ValueFuture, self).cancel()
        elif isinstance(error, concurrent.futures.BrokenExecutor):
            self._owner.mark_broken(str(error))
        super().fail(error)
        self._owner.ended(self)


def by_backend(futures: Iterable[CallFuture]) -> dict[Backend, list[ObjectId]]:
    """The ids of the calls that the cluster has and has not ended, by their backends that live."""
    found: dict[Backend, list[ObjectId]] = {}
    for future in futures:
        place = future.place
        if place is not None and not place[0].lost:
            found.setdefault(place[0], []).append(place[1])
    return found
