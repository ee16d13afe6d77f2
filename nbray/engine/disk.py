"""The two threads of the scheduler process that wait for the disk, so that its loop never does.

    loop    carry_out(Spill | Restore | RemoveSpilled) ──> queues ──> writer, reader ──> take() ──> SpillDone, RestoreFailed, ...

What goes to disk and what comes back have a thread each: an object that somebody waits for is not held up by others that
leave. `fileno()` is readable while there is something to take.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from nbray.engine.injection import Trouble
from nbray.errors import StoreFull
from nbray.scheduler.actions import RemoveSpilled, Restore, Spill
from nbray.scheduler.events import RestoreDone, RestoreFailed, SpillDone, SpillFailed
from nbray.store.spill_files import Damaged, SpillFiles

DiskAction = Spill | Restore | RemoveSpilled
DiskEvent = SpillDone | SpillFailed | RestoreDone | RestoreFailed


class Disk:
    """Owns the threads, which start when they are needed first; the loop's thread calls everything here."""

    def __init__(self, files: SpillFiles) -> None:
        self._files = files
        self._writes: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._reads: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._events: deque[DiskEvent] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._threads: list[threading.Thread] = []
        self.troubles: tuple[Trouble, ...] = ()
        """What `nbray.chaos` has asked for; the threads read it, and nobody changes one of them."""

    def fileno(self) -> int:
        """What becomes readable."""
        return self._wake_read

    def carry_out(self, action: DiskAction) -> None:
        """Do it, in time; a RemoveSpilled is not answered."""
        if isinstance(action, Spill):
            self.write(lambda: self._tell(self._spill(action)))
        elif isinstance(action, Restore):
            self._start()
            self._reads.put(lambda: self._tell(self._restore(action)))
        else:
            self.write(lambda: self._remove(action))

    def write(self, job: Callable[[], None]) -> None:
        """Do this after all that was to be written before."""
        self._start()
        self._writes.put(job)

    def take(self) -> list[DiskEvent]:
        """What has been done."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        return [self._events.popleft() for _ in range(len(self._events))]

    def close(self) -> None:
        """End the threads after what they are doing just now."""
        for queue in (self._writes, self._reads):
            while not queue.empty():
                queue.get()
            queue.put(None)
        for thread in self._threads:
            thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _start(self) -> None:
        if not self._threads:
            named = (("nbray-disk-writer", self._writes), ("nbray-disk-reader", self._reads))
            self._threads = [threading.Thread(target=_run, args=(queue,), name=name, daemon=True) for name, queue in named]
            for thread in self._threads:
                thread.start()

    def _tell(self, event: DiskEvent) -> None:
        self._events.append(event)
        with contextlib.suppress(BlockingIOError):  # full means that the loop is about to wake anyway
            os.write(self._wake_write, b"\0")

    def _spill(self, action: Spill) -> DiskEvent:
        try:
            for trouble in self.troubles:
                trouble.write()
            return SpillDone(action.object_id, self._files.write(action.object_id, action.offset, action.size))
        except OSError as error:
            return SpillFailed(action.object_id, error.strerror or str(error))

    def _restore(self, action: Restore) -> DiskEvent:
        try:
            for trouble in self.troubles:
                trouble.read()
            self._files.read(action.object_id, action.offset, action.size, action.checksum, action.warm)
        except Damaged as error:
            return RestoreFailed(action.object_id, str(error), damaged=True)
        except StoreFull as error:
            return RestoreFailed(action.object_id, str(error), damaged=False)
        return RestoreDone(action.object_id)

    def _remove(self, action: RemoveSpilled) -> None:
        try:
            self._files.remove(action.object_id)
        except OSError as error:
            sys.stderr.write(f"the copy of {action.object_id:#x} on disk cannot be removed: {error}\n")


def _run(queue: SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := queue.get()) is not None:
        job()
