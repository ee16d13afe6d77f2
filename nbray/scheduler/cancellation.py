"""How tasks are stopped: by `cancel`, by Stop, by their time limit. First asked, then killed; never anybody else's task.

A task that a worker has not started is taken back and ends at once. The running one gets SIGINT, which its worker turns
into KeyboardInterrupt only if that task still runs; after the grace period, or with `force`, its worker is killed and
forked anew. What else was waiting inside that worker is taken back before, and runs elsewhere.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from nbray.ids import ObjectId
from nbray.scheduler.actions import SetCancelWord, Signal
from nbray.scheduler.actor_calls import ActorCalls
from nbray.scheduler.actor_records import Call
from nbray.scheduler.cell_runs import CellRun
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.fairness import Turns
from nbray.scheduler.messages import Failure
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.ownership import Objects
from nbray.scheduler.processes import Outbox
from nbray.scheduler.states import TaskState, WorkerState, move_task
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_queues import WorkerQueues
from nbray.scheduler.worker_records import Worker
from nbray.scheduler.workers import Fleet

FORCE_SECONDS = 0.2
"""How long a worker may take to say which other tasks it has started, before it is killed with them."""

MOST_VERDICTS = 1000
"""Records of cancelled tasks that are kept for the next ones of their name."""

UNSTARTED = (TaskState.WAITING, TaskState.QUEUED)


class Cancellation:
    """Stops tasks."""

    def __init__(
        self, objects: Objects, turns: Turns, fleet: Fleet, worker_queues: WorkerQueues, outcomes: Outcomes, calls: ActorCalls,
        outbox: Outbox, deadlines: Deadlines, grace: float,
    ) -> None:  # fmt: skip
        self._objects = objects
        self._turns = turns
        self._fleet = fleet
        self._worker_queues = worker_queues
        self._outcomes = outcomes
        self._calls = calls
        self._outbox = outbox
        self._deadlines = deadlines
        self._grace = grace
        self._verdicts: dict[tuple[str, int], Failure] = {}
        """Tasks of one name share the record of how they ended: a million may be cancelled at once."""

    def has_started(self, object_id: ObjectId) -> bool:
        """Whether a worker has been given the task that makes the object, and it has not ended."""
        entry = self._objects.entries.get(object_id)
        return entry is not None and entry.task is not None and entry.task.state not in UNSTARTED

    def stop_one(self, task: Task) -> None:
        """Stop one task."""
        self.stop((task,), force=False)

    def stop(self, tasks: Iterable[Task], *, force: bool, why: Callable[[Task], Failure] | None = None) -> None:
        """Stop tasks; those that ended meanwhile, because what they needed was stopped, are left alone."""
        why = why or self._cancelled
        workers: dict[Worker, None] = {}
        calls: list[Call] = []
        for task in tasks:
            if task.state in UNSTARTED:
                self._outcomes.fail_queued(task, why(task))
            elif type(task) is Call:
                calls.append(task)
            elif task.state in (TaskState.ASSIGNED, TaskState.CANCELLING):
                assert task.worker is not None
                self._mark(task, why(task), force=force)
                workers[task.worker] = None
        for worker in workers:
            self._empty(worker)
        if calls:
            self._calls.stop(calls, why, force=force)

    def _cancelled(self, task: Task) -> Failure:
        key = task.template.name, task.attempt
        verdict = self._verdicts.get(key)
        if verdict is None:
            if len(self._verdicts) >= MOST_VERDICTS:
                self._verdicts.clear()
            verdict = self._verdicts[key] = Failure("cancelled", f"{key[0]} was cancelled", task=key[0], attempt=key[1])
        return verdict

    def pending(self, run: CellRun) -> Iterator[Task]:
        """The tasks of a cell run that have not ended."""
        yield from list(run.waiting.values())
        yield from list(run.queued())
        yield from self.started(run)

    def started(self, run: CellRun) -> Iterator[Task]:
        """Those of them that are in workers, and calls of actors."""
        for worker in self._fleet.workers.values():
            yield from [task for task in worker.queue if task.run is run]
        yield from self._calls.pending(run)

    def stop_children(self, parents: list[Task], *, force: bool) -> None:
        """What running tasks have submitted goes with them, and what that has submitted."""
        family = {task.task_id for task in parents if task.run.nests}
        runs = dict.fromkeys(task.run for task in parents if task.run.nests)
        grown = bool(family)
        while grown:
            children = [
                task for run in runs for task in self.pending(run)
                if task.parent in family and task.task_id not in family
            ]  # fmt: skip
            family.update(task.task_id for task in children)
            self.stop(children, force=force)
            grown = bool(children)

    # ---------------------------------------------------------------- one worker

    def time_out(self, task: Task, attempt: int) -> None:
        """The task's time is up, if it still is in that attempt."""
        if task.state is TaskState.ASSIGNED and task.attempt == attempt:
            worker, template = task.worker, task.template.template
            assert worker is not None
            failure = Failure(
                "timeout",
                f"{template.name} ran longer than its timeout={template.timeout:g} s on {worker.name} and was ended. "
                "Give it more with .options(timeout=...), or 0 for no limit.",
                task=template.name, worker=worker.name, attempt=attempt,
            )  # fmt: skip
            self._mark(task, failure, force=False)
            self._empty(worker)
            self.stop_children([task], force=False)

    def look_at(self, worker: Worker) -> None:
        """The first task of the worker may be one that must stop."""
        head = worker.head
        if head is None or head.state is not TaskState.CANCELLING or worker.state is WorkerState.STOPPING:
            return
        if head.force and len(worker.queue) == 1:
            self._fleet.kill(worker)
        elif head.force:  # as soon as it is certain that no other task runs there
            self._deadlines.after(FORCE_SECONDS, partial(self._kill_overdue, worker, head))
        elif not head.interrupted:
            head.interrupted = True
            self._outbox.actions.append(SetCancelWord(worker.slot, head.task_id))
            self._outbox.actions.append(Signal(worker.slot, signal.SIGINT))
            self._deadlines.after(self._grace, partial(self._kill_overdue, worker, head))

    def _mark(self, task: Task, failure: Failure, *, force: bool) -> None:
        if task.state is TaskState.ASSIGNED:
            move_task(task, TaskState.CANCELLING)
            task.verdict = failure
        task.force = task.force or force

    def _empty(self, worker: Worker) -> None:
        """Get back all that the worker has not started, let nothing new come, and stop what it runs if that is to stop."""
        self._worker_queues.close(worker)
        self._worker_queues.ask_back(worker, worker.queue)
        self.look_at(worker)

    def _kill_overdue(self, worker: Worker, task: Task) -> None:
        """The task had its time to end.

        Where others stand behind it although all were asked for and the worker has answered, they have started, so the
        task has ended, and its report is on the way.
        """
        if worker.head is task and worker.state is not WorkerState.STOPPING and (len(worker.queue) == 1 or worker.asked):
            self._fleet.kill(worker)
