"""Lists for people: tasks of every state, and objects with who keeps them alive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import nlargest
from itertools import islice

from nbray.ids import NO_TASK, ActorId, ObjectId, ProcessId
from nbray.scheduler.actor_records import Actor, Call, Creation
from nbray.scheduler.cell_runs import Jobs
from nbray.scheduler.messages import Failure, Inline, Stored, Value
from nbray.scheduler.ownership import ObjectEntry, Objects
from nbray.scheduler.processes import Process
from nbray.scheduler.registry import Registry
from nbray.scheduler.states import TaskState
from nbray.scheduler.task_records import TaskRecords
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_records import Worker
from nbray.scheduler.workers import Fleet
from nbray.snapshot import ObjectSnapshot, TaskSnapshot

MOST_ROWS = 10_000
"""Rows of each state in one answer: the scheduler has other things to do."""

_ENDED = ("FINISHED", "FAILED", "CANCELLED")


class Listings:
    """Reads every table and changes none."""

    def __init__(
        self, jobs: Jobs, fleet: Fleet, objects: Objects, registry: Registry, records: TaskRecords,
        processes: dict[ProcessId, Process], actors: dict[ActorId, Actor],
    ) -> None:  # fmt: skip
        self._jobs = jobs
        self._fleet = fleet
        self._objects = objects
        self._registry = registry
        self._records = records
        self._processes = processes
        self._actors = actors

    # ---------------------------------------------------------------- tasks

    def tasks(self, limit: int, state: str = "") -> list[TaskSnapshot]:
        """Running tasks, those that wait, then those that have ended, newest first: at most `limit` of each state."""
        limit = min(limit, MOST_ROWS)
        groups: dict[str, Callable[[], Iterable[TaskSnapshot]]] = {
            "RUNNING": self._running,
            "SUBMITTED_TO_WORKER": self._prefetched,
            "PENDING_NODE_ASSIGNMENT": self._queued,
            "PENDING_ARGS_AVAIL": self._waiting,
        }
        found: list[TaskSnapshot] = []
        for name, rows in groups.items():
            if state in ("", name):
                found += islice(rows(), limit)
        return found + self._ended([name for name in _ENDED if state in ("", name)], limit)

    def _ended(self, states: list[str], limit: int) -> list[TaskSnapshot]:
        found: dict[str, list[TaskSnapshot]] = {state: [] for state in states}
        for task in self._records.ended(self._fleet.workers.values()) if states else ():
            rows = found.get(task.state)
            if rows is not None and len(rows) < limit:
                rows.append(task)
                if all(len(each) >= limit for each in found.values()):
                    break
        return [task for rows in found.values() for task in rows]

    def _running(self) -> Iterator[TaskSnapshot]:
        for worker in self._fleet.workers.values():
            if worker.head is not None:
                yield _task(worker.head, "RUNNING", worker, worker.head_since)
            elif worker.actor is not None:
                for call in islice(worker.actor.running.values(), _at_once(worker.actor)):
                    yield _task(call, "RUNNING", worker, worker.head_since)

    def _prefetched(self) -> Iterator[TaskSnapshot]:
        for worker in self._fleet.workers.values():
            for task in islice(worker.queue, 1, None):
                yield _task(task, "SUBMITTED_TO_WORKER", worker)
            if worker.actor is not None:
                for call in islice(worker.actor.running.values(), _at_once(worker.actor), None):
                    yield _task(call, "SUBMITTED_TO_WORKER", worker)

    def _queued(self) -> Iterator[TaskSnapshot]:
        for run in self._jobs.runs():
            for task in run.queued():
                yield _task(task, "PENDING_NODE_ASSIGNMENT")
        for call in self._calls():
            if call.state is TaskState.QUEUED:
                yield _task(call, "PENDING_NODE_ASSIGNMENT")

    def _waiting(self) -> Iterator[TaskSnapshot]:
        for run in self._jobs.runs():
            for task in run.waiting.values():
                yield _task(task, "PENDING_ARGS_AVAIL")
        for call in self._calls():
            if call.state is TaskState.WAITING and call.task_id not in call.run.waiting:
                yield _task(call, "PENDING_ARGS_AVAIL")

    def _calls(self) -> Iterator[Call]:
        """Calls of actors that are not in their workers; some have ended already."""
        for actor in self._actors.values():
            for calls in actor.callers.values():
                yield from calls

    # ---------------------------------------------------------------- objects

    def objects(self, limit: int) -> list[ObjectSnapshot]:
        """The largest objects, with who keeps each alive."""
        largest = nlargest(min(limit, MOST_ROWS), self._objects.entries.values(), key=_size)
        holders = self._holders({entry.object_id for entry in largest})
        return [
            ObjectSnapshot(
                entry.object_id, _state(entry.value), _size(entry), _place(entry.value), entry.keepers,
                holders.get(entry.object_id, []), entry.run.label or str(entry.run.cell_run) if entry.run is not None else "",
            )
            for entry in largest
        ]  # fmt: skip

    def _holders(self, wanted: set[ObjectId]) -> dict[ObjectId, list[str]]:
        """By object, in words: processes, tasks that need it, objects and functions that contain it, records of cells."""
        found: dict[ObjectId, list[str]] = {}

        def note(object_ids: Iterable[ObjectId], holder: str) -> None:
            for object_id in wanted.intersection(object_ids):
                found.setdefault(object_id, []).append(holder)

        for process in self._processes.values():
            note(process.held, process.worker.name if process.worker is not None else _driver(process))
        for run in self._jobs.runs():
            note(run.held, f"the record of {run.name}")
        for task in self._live_tasks():
            note((*task.spec.deps, *task.spec.nested), f"task {task.template.name}")
            note(task.returns, f"task {task.template.name}, which makes it")
        for entry in self._objects.entries.values():
            if entry.nested:
                note(entry.nested, f"object {entry.object_id:016x}")
        for function in self._registry.functions():
            note(function.nested, f"function {function.name}")
        return {object_id: _counted(holders) for object_id, holders in found.items()}

    def _live_tasks(self) -> Iterator[Task]:
        for worker in self._fleet.workers.values():
            yield from worker.queue
        for run in self._jobs.runs():
            yield from islice(run.waiting.values(), MOST_ROWS)
            yield from islice(run.queued(), MOST_ROWS)
        for actor in self._actors.values():
            yield from islice(actor.running.values(), MOST_ROWS)
        yield from (call for call in islice(self._calls(), MOST_ROWS) if call.state is TaskState.QUEUED)


def _driver(process: Process) -> str:
    name = process.job.name if process.job is not None else ""
    return f"driver {name}" if name else "driver"


def _counted(holders: list[str]) -> list[str]:
    """Each holder once: "task f (3 x)".

    >>> _counted(["driver", "task f", "task f"])
    ['driver', 'task f (2 x)']
    """
    counts = {holder: holders.count(holder) for holder in dict.fromkeys(holders)}
    return [holder if count == 1 else f"{holder} ({count} x)" for holder, count in counts.items()]


def _task(task: Task, state: str, worker: Worker | None = None, started: float | None = None) -> TaskSnapshot:
    run = task.run
    return TaskSnapshot(
        task.task_id, task.template.name, state, run.cell_run, run.label, run.job.name, worker.name if worker is not None else "",
        task.attempt, task.parent, started, actor=_actor_of(task), kind=_KINDS.get(type(task), "NORMAL_TASK"),
    )  # fmt: skip


_KINDS: dict[type, str] = {Call: "ACTOR_TASK", Creation: "ACTOR_CREATION_TASK"}


def _actor_of(task: Task) -> ActorId:
    actor = task.actor if isinstance(task, (Call, Creation)) else None
    return NO_TASK if actor is None else actor.actor_id


def _at_once(actor: Actor) -> int:
    """How many of the calls in its worker run: the worker starts no more."""
    return 1 if actor.spec.concurrency == "sync" else actor.spec.max_concurrency


def _size(entry: ObjectEntry) -> int:
    value = entry.value
    if type(value) is bytes:
        return len(value)
    if isinstance(value, Inline):
        return len(value.data)
    return getattr(value, "size", 0)


def _state(value: Value | None) -> str:
    return "pending" if value is None else "failed" if isinstance(value, Failure) else "ready"


def _place(value: Value | None) -> str:
    """Where the bytes are."""
    if value is None or isinstance(value, Failure):
        return ""
    if isinstance(value, Stored):
        return "arena"
    return "scheduler" if isinstance(value, (bytes, Inline)) else "disk"
