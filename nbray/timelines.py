"""The tasks of a cluster over time, as Chrome's trace viewer, Perfetto and speedscope read them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from nbray.introspection import tasks_for_timeline, wall_clock
from nbray.snapshot import TaskSnapshot

_SLOT = re.compile(r"worker (\d+)")


def timeline(filename: str | Path | None = None) -> list[dict[str, Any]] | None:
    """Write what ran when on which worker to a file, or return it: open the file in https://ui.perfetto.dev or chrome://tracing.

    One lane for each worker, one bar for each attempt of a task that is remembered (see `list_tasks`); times in
    microseconds since 1970.

    >>> import nbray
    >>> nbray.get(nbray.apply_async(abs, (-1,), name="mine"))
    1
    >>> [event["ph"] for event in nbray.timeline() if event["name"] == "mine"]
    ['X']
    """
    events = trace(tasks_for_timeline(), wall_clock())
    if filename is None:
        return events
    Path(filename).write_text(json.dumps(events))
    return None


def trace(tasks: list[TaskSnapshot], offset: float) -> list[dict[str, Any]]:
    """The events of Chrome's format; `offset` takes the tasks' times to seconds since 1970."""
    workers = dict.fromkeys(task.worker for task in tasks)
    lanes = {worker: _lane(worker, place) for place, worker in enumerate(sorted(workers))}
    names = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": lane, "args": {"name": worker}} for worker, lane in lanes.items()
    ]
    process = {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "nbray"}}
    return [process, *names, *(_bar(task, lanes[task.worker], offset) for task in tasks)]


def _lane(worker: str, place: int) -> int:
    """The worker's slot, times a thousand so that the workers which followed each other in a slot stand together."""
    slot = _SLOT.match(worker)
    return (int(slot[1]) if slot else 0) * 1000 + place


def _bar(task: TaskSnapshot, lane: int, offset: float) -> dict[str, Any]:
    assert task.started is not None
    facts = {
        "task_id": f"{task.task_id:016x}", "state": task.state, "cell": task.cell or str(task.cell_run),
        "attempt": task.attempt, "error": task.error or None,
    }  # fmt: skip
    bar: dict[str, Any] = {
        "name": task.name, "cat": "task", "ph": "X" if task.ended is not None else "B", "pid": 1, "tid": lane,
        "ts": round((task.started + offset) * 1e6, 1), "args": {name: fact for name, fact in facts.items() if fact is not None},
    }  # fmt: skip
    if task.ended is not None:
        bar["dur"] = round((task.ended - task.started) * 1e6, 1)
    if task.state in ("FAILED", "CANCELLED"):
        bar["cname"] = "terrible"
    return bar
