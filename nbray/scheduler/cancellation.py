"""How tasks are stopped: by `cancel`, by Stop, by their time limit. First asked, then killed; never anybody else's task.

A task that a worker has not started is taken back and ends at once. The running one gets SIGINT, which its worker turns
into KeyboardInterrupt only if that task still runs; after the grace period, or with `force`, its worker is killed and
forked anew. What else was waiting inside that worker is taken back before, and runs elsewhere.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import msgspec

from nbray.ids import ObjectId
from nbray.scheduler.actions import SetCancelWord, Signal
from nbray.scheduler.actor_calls import ActorCalls
from nbray.scheduler.actor_records import Call, is_restart
from nbray.scheduler.cell_runs import CellRun, Job
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.fairness import Turns
from nbray.scheduler.messages import Answer, Cancel, Failure
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.ownership import Objects
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.states import TaskState, WorkerState, move_task
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_queues import WorkerQueues
from nbray.scheduler.workers import Fleet, Worker

ANSWER_SECONDS = 0.1
"""A cancel is answered when all its tasks have ended, or after so long with some of them still stopping."""


FORCE_SECONDS = 0.2
"""How long a worker may take to say which other tasks it has started, before it is killed with them."""

_UNSTARTED = (TaskState.WAITING, TaskState.QUEUED)


class _Request:
    """A Cancel that has not been answered."""

    __slots__ = ("finished", "process", "request_id", "tasks")

    def __init__(self, process: Process, request_id: int, finished: int, tasks: list[Task]) -> None:
        self.process = process
        self.request_id = request_id
        self.finished = finished
        self.tasks = tasks


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
        self._requests: list[_Request] = []

    # ---------------------------------------------------------------- requests

    def cancel(self, process: Process, job: Job, message: Cancel) -> None:
        """Stop what the message names, and answer with counts."""
        runs = list(job.runs.values()) if message.everything else [
            job.runs[cell_run] for cell_run in message.cell_runs if cell_run in job.runs
        ]  # fmt: skip
        named = [self._objects.entries.get(object_id) for object_id in message.task_ids]
        alone = [entry.task for entry in named if entry is not None and entry.task is not None]
        finished = len(named) - len(alone) + sum(run.ended for run in runs)
        tasks = [task for run in runs for task in self.pending(run) if not is_restart(task)]
        targets = list(dict.fromkeys(alone + tasks))
        if message.unstarted:
            targets = [task for task in targets if task.state in _UNSTARTED]
        self.stop(targets, force=message.force)
        if message.recursive and not message.unstarted:
            self._stop_children(alone, force=message.force)
        self._requests.append(_Request(process, message.request_id, finished, targets))
        if self._is_stopping(targets):
            self._deadlines.after(ANSWER_SECONDS, partial(self._answer, message.request_id, process))

    def has_started(self, object_id: ObjectId) -> bool:
        """Whether a worker has been given the task that makes the object, and it has not ended."""
        entry = self._objects.entries.get(object_id)
        return entry is not None and entry.task is not None and entry.task.state not in _UNSTARTED

    def stop(self, tasks: Iterable[Task], *, force: bool, why: Callable[[Task], Failure] | None = None) -> None:
        """Stop tasks; those that ended meanwhile, because what they needed was stopped, are left alone."""
        why = why or _cancelled
        workers: dict[Worker, None] = {}
        calls: list[Call] = []
        for task in tasks:
            if task.state in _UNSTARTED:
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

    def pending(self, run: CellRun) -> Iterator[Task]:
        """The tasks of a cell run that have not ended."""
        yield from list(run.waiting.values())
        yield from list(run.queued())
        for worker in self._fleet.workers.values():
            yield from [task for task in worker.queue if task.run is run]
        yield from self._calls.pending(run)

    def answer_finished(self) -> None:
        """Answer the requests whose tasks have all ended; called after every event."""
        for request in [request for request in self._requests if not self._is_stopping(request.tasks)]:
            self._answer(request.request_id, request.process)

    @property
    def unanswered(self) -> bool:
        """Whether any request waits for its answer."""
        return bool(self._requests)

    def _answer(self, request_id: int, process: Process) -> None:
        for request in self._requests:
            if request.request_id == request_id and request.process is process:
                self._requests.remove(request)
                break
        else:
            return
        states = [task.state for task in request.tasks]
        stopping = sum(state is TaskState.CANCELLING for state in states)
        cancelled = sum(state is TaskState.CANCELLED for state in states)
        finished = request.finished + len(states) - stopping - cancelled
        body = {"cancelled": cancelled, "finished": finished, "stopping": stopping}
        self._outbox.send(process.process_id, Answer(request_id, msgspec.msgpack.encode(body)))

    @staticmethod
    def _is_stopping(tasks: Iterable[Task]) -> bool:
        return any(task.state is TaskState.CANCELLING for task in tasks)

    def _stop_children(self, parents: list[Task], *, force: bool) -> None:
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
            self._stop_children([task], force=False)

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


def _cancelled(task: Task) -> Failure:
    return Failure("cancelled", f"{task.template.name} was cancelled", task=task.template.name, attempt=task.attempt)
