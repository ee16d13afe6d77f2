"""ObjectRefGenerator, which gives the refs of what a remote generator yields, one by one as they come."""

from __future__ import annotations

import _thread
import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from nbray import session
from nbray.awaiting import arrival
from nbray.backends.backend import Backend
from nbray.engine.hosted_actor import this_process
from nbray.errors import WrongType
from nbray.ids import ObjectId
from nbray.objects import ObjectRef, Stream, backend_of


class ObjectRefGenerator(Stream):
    """An iterator of ObjectRefs, `for ref in f.remote()` or `async for`; each is there as soon as its item has come.

    Where the generator raises, the last ref is one whose `nbray.get` raises that error. The task ends when nobody has the
    generator any more; items that were taken stay. To be used by one thread at a time.

    >>> import nbray
    >>> @nbray.remote
    ... def count(n):
    ...     yield from range(n)
    >>> [nbray.get(ref) for ref in count.remote(3)]
    [0, 1, 2]
    """

    __slots__ = ("_ahead", "_given_up", "_keeps_running", "epoch", "id", "stream", "task")

    def __init__(self, stream: ObjectId, next_item: ObjectId, backend: Backend, task: str = "") -> None:
        """Takes over the stream that the caller has submitted; `next_item` stands for the arrival of its next item."""
        self.id = next_item
        self.epoch = backend.epoch
        self.task = task
        self.stream = stream
        self._ahead: ObjectRef | None = None
        """Taken already, by who asked after the end whether there is one."""
        self._given_up = False
        self._keeps_running = False

    def __del__(self, current: session.Session = session.current) -> None:  # bound early: globals are gone at exit
        try:
            backend = current.backend
            if backend is not None and backend.epoch == getattr(self, "epoch", ""):  # it may not be complete
                backend.close_stream(self.stream, cancel=not self._keeps_running)
        except KeyboardInterrupt:  # what a finalizer raises is dropped, and a Stop must not be
            _thread.interrupt_main()

    # ---------------------------------------------------------------- iteration

    def __iter__(self) -> Iterator[ObjectRef]:
        return self

    def __next__(self) -> ObjectRef:
        while (ref := self._take()) is None:
            if this_process.runs_loop:
                this_process.refuse_to_block("next", None)
            backend_of(self).wait((self.id,), 1)
        return ref

    def __aiter__(self) -> ObjectRefGenerator:
        return self

    async def __anext__(self) -> ObjectRef:
        try:
            while (ref := self._take()) is None:
                backend = backend_of(self)
                backend.wait((self.id,), 1, 0)  # raises where the cluster is gone
                await arrival(backend, self.id)
        except StopIteration:
            raise StopAsyncIteration from None
        return ref

    def _take(self) -> ObjectRef | None:
        """The next ref if it has come. Raises StopIteration behind the last one."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return ahead
        if self._given_up:
            raise StopIteration
        backend = backend_of(self)
        state = backend.state(self.stream)  # first: items come before the end, so none can come behind it
        item = backend.take_item(self.stream)
        if item is not None:
            return ObjectRef(item, self.epoch, self.task)
        if state == "pending":
            return None
        self._given_up = True
        if state == "failed":
            return self._ending()
        raise StopIteration

    # ---------------------------------------------------------------- state

    def completed(self) -> ObjectRef:
        """A ref that is there when the task has ended: None, or the error that ended it. The task no longer waits for you."""
        self._keeps_running = True
        backend_of(self).run_freely(self.stream)
        return self._ending()

    def next_ready(self) -> bool:
        """Whether `next` would return a ref without waiting."""
        backend = backend_of(self)
        if self._ahead is None and not self._given_up and backend.wait((self.id,), 1, 0):
            if backend.state(self.stream) == "pending":
                return True
            with contextlib.suppress(StopIteration):
                self._ahead = self._take()
        return self._ahead is not None

    def is_finished(self) -> bool:
        """Whether there is nothing more to take."""
        return not self.next_ready() and self._given_up

    def _ending(self) -> ObjectRef:
        backend_of(self).hold(self.stream)
        return ObjectRef(self.stream, self.epoch, self.task)

    def __repr__(self) -> str:
        return f"ObjectRefGenerator({self.task or 'stream'})"

    # ---------------------------------------------------------------- misuse

    def __reduce__(self) -> NoReturn:
        raise WrongType(
            f"{self!r} cannot be sent to another process: its items come to the one that called .remote(). Take refs from it "
            "and pass those on, or let the other task call the generator itself"
        )

    def _refuse(self, *_: object) -> NoReturn:
        raise WrongType(
            f"{self!r} gives refs one by one, as they come: write next(generator), or list(generator) to wait for all of them"
        )

    def _refuse_control(self, *_: object) -> NoReturn:
        raise WrongType(
            f"{self!r} is iterated only, since the generator itself runs elsewhere: nbray.cancel(generator) stops its task"
        )

    __getitem__ = __call__ = _refuse
    send = throw = close = asend = athrow = aclose = _refuse_control


class DynamicObjectRefGenerator(Sequence[ObjectRef]):
    """The refs of all that a task with `num_returns="dynamic"` has yielded."""

    __slots__ = ("_refs",)

    def __init__(self, refs: Sequence[ObjectRef]) -> None:
        self._refs = list(refs)

    def __len__(self) -> int:
        return len(self._refs)

    def __getitem__(self, index: Any) -> Any:
        return self._refs[index]

    def __repr__(self) -> str:
        return f"DynamicObjectRefGenerator({len(self._refs)} refs)"


def bundle(object_ids: Sequence[ObjectId]) -> DynamicObjectRefGenerator:
    """The one value of a task with `num_returns="dynamic"`; takes over a reference to each object."""
    backend = session.current_backend()
    return DynamicObjectRefGenerator([ObjectRef(object_id, backend.epoch) for object_id in object_ids])


Backend.bundle = staticmethod(bundle)


def yields(function: Callable[..., Any]) -> bool:
    """Whether a call of the function gives items rather than a value."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
