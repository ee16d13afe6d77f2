"""Which stored objects are in use by arrays of this process: one pin for each view, gone with the last array over it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

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

    def pin(self, object_id: ObjectId, view: memoryview) -> memoryview:
        """The same view, pinned; its `obj` must be its own, as those of `Arena.read_view` are."""
        self._hold(object_id)
        weakref.finalize(view.obj, self._unpin, object_id).atexit = False
        return view

    def _unpin(self, object_id: ObjectId) -> None:
        if os.getpid() == self._process:
            self._release(object_id)
