"""Recounts a scheduler's tables from scratch and compares: what is kept as a sum must equal what it sums up."""

from __future__ import annotations

from collections import Counter

from nbray.ids import ObjectId
from nbray.resources import UNIT, take
from nbray.scheduler.cell_runs import CellRun
from nbray.scheduler.messages import Inline, Stored
from nbray.scheduler.scheduler import Scheduler
from nbray.scheduler.states import TaskState, WorkerState
from nbray.scheduler.tasks import CallTemplate, Task


def pending_tasks(scheduler: Scheduler) -> list[Task]:
    """Every task that has not ended."""
    waiting = [task for run in scheduler._jobs.runs() for task in run.waiting.values()]
    queued = [task for line in scheduler._turns.lines() for task in line.tasks()]
    return waiting + queued + [task for worker in scheduler._fleet.workers.values() for task in worker.queue]


def audit(scheduler: Scheduler) -> None:
    """Raise AssertionError where two tables disagree."""
    tasks = pending_tasks(scheduler)
    _audit_tasks(scheduler, tasks)
    _audit_keepers(scheduler, tasks)
    _audit_resources(scheduler)
    _audit_store(scheduler)


def _audit_tasks(scheduler: Scheduler, tasks: list[Task]) -> None:
    assert len({task.task_id for task in tasks}) == len(tasks), "a task stands in two places"
    runs: Counter[CellRun] = Counter(task.run for task in tasks)
    templates: Counter[CallTemplate] = Counter(task.template for task in tasks)
    for run in scheduler._jobs.runs():
        assert run.live == runs[run], (run, runs[run])
        assert run.line.size == len(list(run.line.tasks())), run
    for template in scheduler._registry.templates.values():
        assert template.live == templates[template], (template.name, template.live, templates[template])
    for worker in scheduler._fleet.workers.values():
        for task in worker.queue:
            assert task.worker is worker, task
            assert task.state in (TaskState.ASSIGNED, TaskState.CANCELLING), task
        assert bool(worker.queue) == (worker.state in (WorkerState.BUSY, WorkerState.BLOCKED)) or (
            worker.state is WorkerState.STOPPING
        ), worker
        cost = sum(task.charged for task in worker.queue)
        assert abs(worker.backlog - cost) < 1e-6 or worker.state is WorkerState.STOPPING, (worker, worker.backlog, cost)


def _audit_keepers(scheduler: Scheduler, tasks: list[Task]) -> None:
    entries = scheduler._objects.entries
    keepers: Counter[ObjectId] = Counter()
    closed = [worker.process for worker in scheduler._fleet.workers.values() if worker.process is not None and worker.left]
    for process in (*scheduler._processes.values(), *closed):
        keepers.update(process.held)
    for task in tasks:
        keepers.update([*task.returns, *task.spec.deps, *task.spec.nested])
        assert all(entries[object_id].task is task for object_id in task.returns), task
    for function in scheduler._registry._functions.values():
        keepers.update(function.nested)
    for run in scheduler._jobs.runs():
        keepers.update(run.held)
    for entry in entries.values():
        keepers.update(entry.nested or ())
    counted = {object_id: entry.keepers for object_id, entry in entries.items()}
    assert counted == dict(keepers), sorted(set(counted.items()) ^ set(keepers.items()))


def _audit_resources(scheduler: Scheduler) -> None:
    pool = scheduler._pool
    available, devices = dict(pool.total), [UNIT] * len(pool.devices)
    for worker in scheduler._fleet.workers.values():
        if worker.shape is None:
            continue
        amounts = {name: units for name, units in worker.shape.amounts.items() if not (worker.gave_cpus and name == "CPU")}
        take(amounts, available)
        for index in worker.gpus if worker.shape.gpus else ():
            devices[index] -= min(UNIT, worker.shape.gpus)
    assert available == pool.available, (available, pool.available)
    assert devices == pool.devices, (devices, pool.devices)
    assert all(units >= 0 for name, units in available.items() if name != "CPU"), available
    assert all(units >= 0 for units in devices), devices


def _audit_store(scheduler: Scheduler) -> None:
    extents = scheduler._extents
    values = [entry.value for entry in scheduler._objects.entries.values()]
    inline = sum(len(value) for value in values if isinstance(value, bytes))
    inline += sum(len(value.data) for value in values if isinstance(value, Inline))
    assert extents.inline == inline, (extents.inline, inline)
    sealed = {value.offset for value in values if isinstance(value, Stored)}
    granted = {offset for grants in extents._granted.values() for offset in grants}
    assert not sealed & granted
    live = getattr(extents._allocator, "_extents")  # noqa: B009
    assert set(live) == sealed | granted, (live, sealed, granted)
