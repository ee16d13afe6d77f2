"""What code can ask about its cluster: resources, nodes, and lists of tasks, actors, objects and workers."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from nbray import session
from nbray.backends.backend import Backend
from nbray.errors import UsageError
from nbray.resources import from_units
from nbray.snapshot import ActorSnapshot, ObjectSnapshot, TaskSnapshot, WorkerSnapshot
from nbray.tables import Filter, Rows

MOST_ROWS = 10_000
DEFAULT_ROWS = 1000

_TASK_COLUMNS = (
    "task_id", "name", "state", "cell", "worker", "attempt_number", "start_time_ms", "end_time_ms", "duration_s", "type",
    "actor_id", "parent_task_id", "job_id", "error_type", "error_message",
)  # fmt: skip
_ACTOR_COLUMNS = (
    "actor_id", "class_name", "state", "name", "namespace", "pid", "worker", "running", "pending", "restarts", "cell", "job_id",
    "detached", "death_cause",
)  # fmt: skip
_OBJECT_COLUMNS = ("object_id", "state", "object_size", "place", "cell", "references", "holders")
_WORKER_COLUMNS = ("worker_id", "pid", "state", "task", "running_s", "queued", "cpu", "memory")


def cluster_resources() -> dict[str, float]:
    """All that tasks can ask for in this cluster, memory in bytes.

    >>> import nbray
    >>> nbray.cluster_resources()["CPU"] >= 1
    True
    """
    return from_units(session.current_backend().snapshot().resources)


def available_resources() -> dict[str, float]:
    """What no task holds at this moment, memory in bytes."""
    return from_units(session.current_backend().snapshot().available)


def nodes() -> list[dict[str, Any]]:
    """The machines of the cluster, as Ray describes them; nbray's own cluster is always one."""
    snapshot = session.current_backend().snapshot()
    return [
        {
            "NodeID": snapshot.epoch,
            "Alive": True,
            "NodeName": socket.gethostname(),
            "Resources": from_units(snapshot.resources),
            "Workers": [{"slot": each.slot, "pid": each.pid, "state": each.state} for each in snapshot.workers],
        }
    ]


# -------------------------------------------------------------------- lists


def list_tasks(filters: Iterable[Filter] | None = None, *, limit: int = DEFAULT_ROWS, **equal: Any) -> Rows:
    """The tasks of the cluster: running ones, then those that wait, then those that have ended, the last one first.

    `filters` are as Ray has them, `[("state", "=", "RUNNING")]`; `state="RUNNING"` means the same. `limit` is for each state.
    Of ended tasks the last 2,000 of each worker are remembered, each attempt for itself; failures longer.

    >>> import nbray
    >>> nbray.get(nbray.apply_async(abs, (-1,), name="mine"))
    1
    >>> nbray.list_tasks(name="mine")[0].state
    'FINISHED'
    """
    backend = session.current_backend()
    found = _tasks(backend, _most(filters, limit, equal), str(equal.get("state") or ""))
    return _first(Rows(_TASK_COLUMNS, map(_task_row(), found)).where(filters, equal), limit, "state")


def list_actors(filters: Iterable[Filter] | None = None, *, limit: int = DEFAULT_ROWS, **equal: Any) -> Rows:
    """The actors of the cluster, with their state, their worker and how many calls run and wait; dead ones for a while.

    `filters` and keywords are those of `list_tasks`.
    """
    backend = session.current_backend()
    _check_limit(limit)
    found = msgspec.convert(backend.rows("actors", MOST_ROWS), list[ActorSnapshot])
    rows = [
        (
            f"{each.actor_id:016x}", each.class_name, each.state, each.name, each.namespace, each.pid or None,
            f"worker {each.slot}" if each.slot >= 0 else "", each.running, each.pending, each.restarts, str(each.cell_run),
            each.job, each.detached, each.death.partition("\n")[0] or None,
        )
        for each in found
    ]  # fmt: skip
    return _first(Rows(_ACTOR_COLUMNS, rows).where(filters, equal), limit)


def list_objects(filters: Iterable[Filter] | None = None, *, limit: int = DEFAULT_ROWS, **equal: Any) -> Rows:
    """The objects of the cluster, the largest first, each with its size in bytes, where it is and who keeps it alive.

    `filters` and keywords are those of `list_tasks`.
    """
    backend = session.current_backend()
    found = msgspec.convert(backend.rows("objects", _most(filters, limit, equal)), list[ObjectSnapshot])
    return _first(object_rows(found).where(filters, equal), limit)


def object_rows(objects: Iterable[ObjectSnapshot]) -> Rows:
    """Objects as `list_objects` shows them."""
    return Rows(
        _OBJECT_COLUMNS,
        (
            (f"{each.object_id:016x}", each.state, each.size, each.place, each.cell, each.keepers, each.holders)
            for each in objects
        ),
    )


def list_workers(filters: Iterable[Filter] | None = None, *, limit: int = DEFAULT_ROWS, **equal: Any) -> Rows:
    """The worker processes: pid, state, what each runs and for how long, cores and bytes that it uses.

    `filters` and keywords are those of `list_tasks`.
    """
    _check_limit(limit)
    rows = map(_worker_row, session.current_backend().snapshot().workers)
    return _first(Rows(_WORKER_COLUMNS, rows).where(filters, equal), limit)


def tasks_for_timeline() -> list[TaskSnapshot]:
    """Every task that has started, as far as it is remembered."""
    return [task for task in _tasks(session.current_backend(), MOST_ROWS) if task.started is not None]


def wall_clock() -> float:
    """What must be added to a snapshot's time to have seconds since 1970."""
    return time.time() - time.monotonic()


def _tasks(backend: Backend, limit: int, state: str = "") -> list[TaskSnapshot]:
    return msgspec.convert(backend.rows("tasks", limit, state.upper()), list[TaskSnapshot])


def _most(filters: Iterable[Filter] | None, limit: int, equal: dict[str, Any]) -> int:
    """How many rows to ask for: what other filters than the state take away is not known before."""
    _check_limit(limit)
    return MOST_ROWS if filters or set(equal) - {"state"} else limit


def _check_limit(limit: int) -> None:
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST_ROWS:
        raise UsageError(f"limit={limit!r}: expected a whole number from 1 to {MOST_ROWS:,}")


def _first(rows: Rows, limit: int, each: str = "") -> Rows:
    """At most `limit` rows, or so many of each value of a column."""
    counts: dict[Any, int] = {}
    kept = Rows(rows.columns)
    for row in rows:
        key = row[each] if each else None
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= limit:
            kept.append(row)
    return kept


def _task_row() -> Any:
    offset, now = wall_clock(), time.monotonic()

    def milliseconds(when: float | None) -> int | None:
        return None if when is None else round((when + offset) * 1000)

    def row(task: TaskSnapshot) -> tuple[Any, ...]:
        end = now if task.ended is None else task.ended
        return (
            f"{task.task_id:016x}", task.name, task.state, task.cell or str(task.cell_run), task.worker, task.attempt - 1,
            milliseconds(task.started), milliseconds(task.ended), None if task.started is None else round(end - task.started, 6),
            task.kind, f"{task.actor:016x}" if task.actor else None, f"{task.parent:016x}" if task.parent else None, task.job,
            task.error_type or None, task.error or None,
        )  # fmt: skip

    return row


def _worker_row(worker: WorkerSnapshot) -> tuple[Any, ...]:
    return (
        f"worker {worker.slot}", worker.pid, worker.state, worker.task, round(worker.running_for, 3), worker.queued,
        round(worker.cpu, 2), worker.rss,
    )  # fmt: skip
