"""What is remembered of tasks that have ended: a bounded record for people, which plain tasks pay next to nothing for.

Each worker keeps a short line for each task that it has reported (`Worker.ended`); failures, which are rarer, leave a full
record here. The two are put together when somebody asks.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from heapq import merge
from typing import NamedTuple

from nbray.ids import NO_TASK, ActorId, TaskId
from nbray.scheduler.cell_runs import CellRun
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.messages import Failure
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_records import Worker
from nbray.snapshot import TaskSnapshot

MOST_RECORDS = 10_000
"""Failures, and tasks of workers that are gone, that are remembered; the oldest make room."""
FIRST_LINE = 500
"""Characters of an error's first line."""


class _Failed(NamedTuple):
    """An attempt that has failed or was cancelled."""

    task_id: TaskId
    name: str
    run: CellRun
    worker: str
    attempt: int
    parent: TaskId
    when: float
    failure: Failure
    again: bool
    """Another attempt follows."""


class TaskRecords:
    """The tasks that have ended lately."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._failures: OrderedDict[tuple[TaskId, int], _Failed] = OrderedDict()  # the oldest of a dict is slow to find
        self._of_the_gone: deque[TaskSnapshot] = deque(maxlen=MOST_RECORDS)

    def failed(self, task: Task, failure: Failure, *, again: bool = False) -> None:
        """An attempt has ended without a result."""
        if failure.pickled or failure.traceback:  # up to 1 MiB each, of which only the first line is shown
            failure = Failure(failure.kind, failure.message[:FIRST_LINE], failure.type_name)
        worker = task.worker.name if task.worker is not None else failure.worker
        self._failures[task.task_id, task.attempt] = _Failed(
            task.task_id, task.template.name, task.run, worker, task.attempt, task.parent, self._deadlines.now, failure, again
        )  # fmt: skip
        if len(self._failures) > MOST_RECORDS:
            self._failures.popitem(last=False)

    def keep(self, worker: Worker) -> None:
        """The worker is gone: what it had run is remembered here."""
        self._of_the_gone.extend(list(self._reported(worker))[::-1])
        worker.ended.clear()

    def ended(self, workers: Iterable[Worker]) -> Iterator[TaskSnapshot]:
        """Every remembered attempt, the one that ended last first."""
        reported = [self._reported(worker) for worker in workers]
        unreported = self._unreported({(ended[0], ended[5]) for worker in workers for ended in worker.ended})
        gone = sorted(self._of_the_gone, key=_when, reverse=True)
        return merge(*reported, gone, unreported, key=_when, reverse=True)

    def _reported(self, worker: Worker) -> Iterator[TaskSnapshot]:
        """What a worker has reported, newest first.

        A report comes with the results of several tasks that ran one after the other: each began when the next older one ended.
        """
        name, reported_at, end = worker.name, -1.0, 0.0
        actor, kind = NO_TASK, "NORMAL_TASK"
        if worker.actor is not None:
            actor, kind = worker.actor.actor_id, "ACTOR_TASK"
        side_by_side = worker.actor is not None and worker.actor.spec.concurrency != "sync"
        for task_id, run, task, micros, when, attempt, parent in reversed(worker.ended):
            if when != reported_at or side_by_side:
                reported_at = end = when
            start = end - micros * 1e-6
            failed = self._failures.get((task_id, attempt))
            what = "ACTOR_CREATION_TASK" if task_id == actor else kind
            yield _snapshot(task_id, task, run, name, attempt, start, end, failed, actor, what, parent)
            end = start

    def _unreported(self, reported: set[tuple[TaskId, int]]) -> list[TaskSnapshot]:
        """Failures that no worker has reported: cancelled while queued, lost with their worker, never started."""
        gone = {(each.task_id, each.attempt) for each in self._of_the_gone}
        return [
            _snapshot(each.task_id, each.name, each.run, each.worker, each.attempt, None, each.when, each)
            for key, each in reversed(self._failures.items())
            if key not in reported and key not in gone
        ]


def _when(task: TaskSnapshot) -> float:
    return task.ended or 0.0


def _snapshot(
    task_id: TaskId, name: str, run: CellRun, worker: str, attempt: int, started: float | None, ended: float,
    failed: _Failed | None, actor: ActorId = NO_TASK, kind: str = "NORMAL_TASK",
    parent: TaskId = NO_TASK,
) -> TaskSnapshot:  # fmt: skip
    if failed is None:
        return TaskSnapshot(
            task_id, name, "FINISHED", run.cell_run, run.label, run.job.name, worker, attempt, parent, started, ended,
            actor=actor, kind=kind,
        )  # fmt: skip
    failure = failed.failure
    return TaskSnapshot(
        task_id, name, "CANCELLED" if failure.kind == "cancelled" else "FAILED", run.cell_run, run.label, run.job.name, worker,
        attempt, failed.parent or NO_TASK, started, ended, failure.type_name or failure.kind,
        failure.message.strip().partition("\n")[0][:FIRST_LINE], failed.again, actor, kind,
    )  # fmt: skip
