"""Which stored objects are in use by arrays of this process: one pin for each view, gone with the last array over it."""

from __future__ import annotations

import contextlib
import itertools
import os
import weakref
from collections.abc import Callable, Iterator

from nbray.ids import ObjectId


class Pins:
    """Calls `hold` when a view of an object is pinned and `release`, once, when nothing is built over it any more.

    `release` runs in a finalizer: on any thread, at any point of any code, so it may take no lock. It never runs at
    interpreter exit, where the process's references all end together, nor in a child that user code forked, which has
    copies of the arrays but no references of its own.
    """

    def __init__(self, hold: Callable[[ObjectId], None], release: Callable[[ObjectId], None]) -> None:
        self._hold = hold
        self._release = release
        self._process = os.getpid()
        self._numbers = itertools.count()
        self._pinned: dict[int, ObjectId] = {}
        """The object of each pin; changed by single operations on the dict only, which need no lock."""

    def pin(self, object_id: ObjectId, view: memoryview) -> memoryview:
        """The same view, pinned; its `obj` must be its own, as those of `Arena.read_view` are."""
        self._hold(object_id)
        number = next(self._numbers)
        self._pinned[number] = object_id
        weakref.finalize(view.obj, self._unpin, object_id, number).atexit = False
        return view

    def pinned(self) -> set[ObjectId]:
        """The objects that are pinned now."""
        now = list(self._pinned.values())  # made in one go, whatever other threads and finalizers do
        return set(now)

    @contextlib.contextmanager
    def announce(self, object_id: ObjectId) -> Iterator[None]:
        """Count the object as pinned while it is about to be."""
        number = next(self._numbers)
        self._pinned[number] = object_id
        try:
            yield
        finally:
            del self._pinned[number]

    def _unpin(self, object_id: ObjectId, number: int) -> None:
        self._pinned.pop(number, None)
        if os.getpid() == self._process:
            self._release(object_id)
