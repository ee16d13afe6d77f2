"""Further attempts of tasks: at once the first time, then after a wait that doubles."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nbray.scheduler.actor_records import Call
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.fairness import Turns
from nbray.scheduler.states import TaskState, move_task
from nbray.scheduler.tasks import Task

SHORTEST_SECONDS = 0.05
LONGEST_SECONDS = 5.0
_DOUBLINGS = 10
"""Beyond so many the wait has long been the longest one."""


def seconds_before(attempt: int) -> float:
    """How long an attempt waits after the one before has failed: what failed twice is likely to fail again at once.

    >>> [seconds_before(attempt) for attempt in (2, 3, 4, 5, 100)]
    [0.0, 0.05, 0.1, 0.2, 5.0]
    """
    if attempt <= 2:
        return 0.0
    return min(LONGEST_SECONDS, SHORTEST_SECONDS * (1 << min(attempt - 3, _DOUBLINGS)))


class Retries:
    """Brings tasks whose attempt has failed back into their lines."""

    def __init__(self, turns: Turns, deadlines: Deadlines) -> None:
        self._turns = turns
        self._deadlines = deadlines
        self.on_call: Callable[[Call], None] = lambda call: None
        """What to do with a call of an actor that runs again."""
        self.on_again: Callable[[Task], bool] = lambda task: False
        """Whether somebody else says when the wait of a task is over, by `end_wait`."""

    def again(self, task: Task) -> None:
        """One attempt more, which the task has left: now, or after its wait, in which it can be cancelled."""
        task.attempt += 1
        if task.retries > 0:
            task.retries -= 1
        held, wait = self.on_again(task), seconds_before(task.attempt)
        if not wait and not held:
            self.put_back(task)
            return
        move_task(task, TaskState.WAITING)
        task.worker = None
        task.run.waiting[task.task_id] = task
        if not held:
            self._deadlines.after(wait, partial(self.end_wait, task, task.attempt))

    def put_back(self, task: Task) -> None:
        """To the front of its line."""
        move_task(task, TaskState.QUEUED)
        task.worker = None
        if type(task) is Call:
            self.on_call(task)
            return
        self._turns.put_back(task.line, task.template.shape, task)

    def end_wait(self, task: Task, attempt: int) -> None:
        """The wait before this attempt is over, if the task still waits for it."""
        if task.state is TaskState.WAITING and task.attempt == attempt:
            del task.run.waiting[task.task_id]
            self.put_back(task)
