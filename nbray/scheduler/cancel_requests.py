"""Cancels that processes have asked for: worked off in slices, counted, answered.

A cancel may name a million tasks, and nobody else shall wait for it. So each slice takes some milliseconds and the next one
waits for the next turn of the loop. What is queued in a cancelled cell run is taken out of its lines at once, so that no worker
starts it meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from nbray.ids import ObjectId
from nbray.scheduler.actor_records import Call, is_restart, outlives_job
from nbray.scheduler.cancellation import UNSTARTED, Cancellation
from nbray.scheduler.cell_runs import CellRun, Job
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.messages import Answer, Cancel
from nbray.scheduler.ownership import Objects
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.states import TaskState
from nbray.scheduler.tasks import Task

ANSWER_SECONDS = 0.1
"""A cancel is answered when all its tasks have ended, or after so long with some of them still stopping."""
NO_REQUEST = 0
"""The number of a request whose answer nobody waits for."""
SLICE = 1024
"""Tasks that are cancelled before others get a turn: some 5 ms."""
SOON = 1e-6
"""Seconds until the next slice; any time at all lets what has arrived meanwhile go first."""


class _Request:
    """A Cancel that has not been answered."""

    __slots__ = ("cancelled", "finished", "keeps", "message", "named", "parents", "process", "stopping", "work")

    def __init__(self, process: Process, message: Cancel) -> None:
        self.process = process
        self.message = message
        self.keeps: Callable[[Task], bool] = is_restart
        """Tasks of its cell runs that go on all the same."""
        self.work: Iterator[Task] | None = None
        """What has not been looked at yet."""
        self.cancelled = 0
        self.finished = 0
        self.stopping: list[Task] = []
        """Those that a worker has to stop first."""
        self.named: set[Task] = set()
        """What could come up a second time."""
        self.parents: list[Task] = []
        """Named tasks that may have submitted others."""


class CancelRequests:
    """All cancels that have not been answered."""

    def __init__(self, objects: Objects, cancellation: Cancellation, outbox: Outbox, deadlines: Deadlines) -> None:
        self._objects = objects
        self._cancellation = cancellation
        self._outbox = outbox
        self._deadlines = deadlines
        self._requests: list[_Request] = []

    @property
    def unanswered(self) -> bool:
        """Whether any request waits for its answer."""
        return bool(self._requests)

    def cancel(self, process: Process, job: Job, message: Cancel) -> None:
        """Stop what the message names, and answer with counts."""
        runs = list(job.runs.values()) if message.everything else [
            job.runs[cell_run] for cell_run in message.cell_runs if cell_run in job.runs
        ]  # fmt: skip
        self._begin(_Request(process, message), runs)

    def end_job(self, process: Process, job: Job) -> None:
        """Nobody waits for the job's tasks any more; actors outlive their calls, and detached ones the job."""
        request = _Request(process, Cancel(NO_REQUEST, everything=True, force=True))
        request.keeps = outlives_job
        self._begin(request, list(job.runs.values()))

    def _begin(self, request: _Request, runs: list[CellRun]) -> None:
        request.finished = sum(run.ended for run in runs)
        now: list[Task] = []
        for run in runs:
            now += [*self._cancellation.started(run), *run.waiting.values()]
            for line in run.lines.values():
                line.doom()
        request.work = self._targets(request, runs, now)
        self._requests.append(request)
        self._advance(request)

    def answer_finished(self) -> None:
        """Answer the requests whose tasks have all ended; called after every event."""
        for request in list(self._requests):
            if request.work is None and not any(task.state is TaskState.CANCELLING for task in request.stopping):
                self._answer(request)

    # ---------------------------------------------------------------- slices

    def _targets(self, request: _Request, runs: list[CellRun], now: list[Task]) -> Iterator[Task]:
        """Every task that is meant, once; what has ended already is only counted.

        `now` are the tasks of the cell runs that are not queued: later they may be, when a worker gives them back.
        """
        for object_id in request.message.task_ids:
            task = self._named(request, object_id, bool(runs))
            if task is not None:
                yield task
        yield from (task for task in now if task not in request.named and not request.keeps(task))
        for line in [line for run in runs for line in run.lines.values()]:
            for task in line.doomed_tasks():
                if request.keeps(task):
                    line.spare(task)
                elif task not in request.named:
                    yield task

    def _named(self, request: _Request, object_id: ObjectId, twice: bool) -> Task | None:
        entry = self._objects.entries.get(object_id)
        task = entry.task if entry is not None else None
        if task is None:
            request.finished += 1
            return None
        if twice or task.task_id != object_id or task.template.template.num_returns != 1:
            if task in request.named:
                return None
            request.named.add(task)
        if task.run.nests:
            request.parents.append(task)
        return task

    def _advance(self, request: _Request) -> None:
        """The next slice; what needs an answer of a worker is waited for after the last one."""
        work, unstarted = request.work, request.message.unstarted
        assert work is not None
        tasks: list[Task] = []
        for task in work:
            if not unstarted or task.state in UNSTARTED:
                tasks.append(task)
                if len(tasks) == SLICE:
                    break
        if request.keeps is outlives_job:  # a worker that hosts an actor is not killed for one call
            self._cancellation.stop([task for task in tasks if type(task) is Call], force=False)
            self._cancellation.stop([task for task in tasks if type(task) is not Call], force=True)
        else:
            self._cancellation.stop(tasks, force=request.message.force)
        for task in tasks:
            if task.state is TaskState.CANCELLED:
                request.cancelled += 1
            else:
                request.stopping.append(task)
        if len(tasks) == SLICE:
            self._deadlines.after(SOON, partial(self._advance, request))
        else:
            self._wait(request)

    def _wait(self, request: _Request) -> None:
        request.work = None
        if request.message.recursive and not request.message.unstarted:
            self._cancellation.stop_children(request.parents, force=request.message.force)
        if request.stopping:
            self._deadlines.after(ANSWER_SECONDS, partial(self._answer, request))

    def _answer(self, request: _Request) -> None:
        if request not in self._requests:
            return
        self._requests.remove(request)
        states = [task.state for task in request.stopping]
        stopping = sum(state is TaskState.CANCELLING for state in states)
        cancelled = sum(state is TaskState.CANCELLED for state in states)
        finished = request.finished + len(states) - stopping - cancelled
        body = {"cancelled": request.cancelled + cancelled, "finished": finished, "stopping": stopping}
        answer = Answer(request.message.request_id, msgspec.msgpack.encode(body))
        self._outbox.send(request.process.process_id, answer)
