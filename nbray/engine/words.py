"""The shared page of words: what each worker has started last, and which task it shall interrupt.

Three words of eight bytes a worker, in memory that zygote, scheduler process and workers share:

    log       written by the worker before `started`: the length of its log then, so that what the task before it left there
              unread is not taken for the new one's
    started   written by the worker just before a task begins; read by the scheduler process when the worker has died,
              to tell the running task from those that were only prefetched
    cancel    written by the scheduler process before it sends SIGINT; read by the worker's signal handler, which raises
              only when the task that runs is the one meant

A store of an aligned word is atomic on the machines that Python runs on, so no lock is needed.
"""

from __future__ import annotations

import mmap
import os

from nbray.ids import NO_TASK, ObjectId, TaskId
from nbray.store.arena import open_anonymous_file

MAX_WORKERS = 1024


class Words:
    """The page, made by the zygote and inherited by every process that it starts; one that it execs has only the descriptor."""

    def __init__(self, fd: int = -1) -> None:
        self.fd = open_anonymous_file("nbray-words", MAX_WORKERS * 24) if fd < 0 else fd
        self._map = mmap.mmap(self.fd, MAX_WORKERS * 24)
        self._words = memoryview(self._map).cast("Q")

    def __del__(self) -> None:
        os.close(self.fd)

    def started(self, slot: int) -> TaskId:
        """The task that the worker of `slot` began last."""
        return ObjectId(self._words[3 * slot])

    def log_length(self, slot: int) -> int:
        """How long the log of the worker of `slot` was when that task began."""
        return self._words[3 * slot + 2]

    def start(self, slot: int, task_id: TaskId, log_length: int) -> None:
        """Say that the worker of `slot` begins `task_id`, with a log so long."""
        self._words[3 * slot + 2] = log_length
        self._words[3 * slot] = task_id

    def cancelled(self, slot: int) -> TaskId:
        """The task that the worker of `slot` shall interrupt."""
        return ObjectId(self._words[3 * slot + 1])

    def set_cancelled(self, slot: int, task_id: TaskId) -> None:
        """Mark the one task that the next SIGINT to the worker of `slot` means."""
        self._words[3 * slot + 1] = task_id

    def clear(self, slot: int) -> None:
        """Forget all, before a new worker takes the slot."""
        self.start(slot, NO_TASK, 0)
        self.set_cancelled(slot, NO_TASK)
