"""The shared page of words: what each worker has started last, and which task it shall interrupt.

Two words of eight bytes a worker, in memory that zygote, scheduler process and workers share:

    started   written by the worker just before a task begins; read by the scheduler process when the worker has died,
              to tell the running task from those that were only prefetched
    cancel    written by the scheduler process before it sends SIGINT; read by the worker's signal handler, which raises
              only when the task that runs is the one meant

A store of an aligned word is atomic on the machines that Python runs on, so no lock is needed.
"""

from __future__ import annotations

import mmap

from nbray.ids import NO_TASK, ObjectId, TaskId

MAX_WORKERS = 1024


class Words:
    """The page, made by the zygote and inherited by every process that it forks."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, MAX_WORKERS * 16)
        self._words = memoryview(self._map).cast("Q")

    def started(self, slot: int) -> TaskId:
        """The task that the worker of `slot` began last."""
        return ObjectId(self._words[2 * slot])

    def set_started(self, slot: int, task_id: TaskId) -> None:
        """Say that the worker of `slot` begins `task_id`."""
        self._words[2 * slot] = task_id

    def cancelled(self, slot: int) -> TaskId:
        """The task that the worker of `slot` shall interrupt."""
        return ObjectId(self._words[2 * slot + 1])

    def set_cancelled(self, slot: int, task_id: TaskId) -> None:
        """Mark the one task that the next SIGINT to the worker of `slot` means."""
        self._words[2 * slot + 1] = task_id

    def clear(self, slot: int) -> None:
        """Forget both, before a new worker takes the slot."""
        self.set_started(slot, NO_TASK)
        self.set_cancelled(slot, NO_TASK)
