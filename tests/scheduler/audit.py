"""Recounts a scheduler's tables from scratch and compares: what is kept as a sum must equal what it sums up."""

from __future__ import annotations

from collections import Counter

from nbray.ids import ObjectId
from nbray.resources import GPU, UNIT, take
from nbray.scheduler.actor_records import Actor
from nbray.scheduler.cell_runs import CellRun
from nbray.scheduler.messages import Inline, Spilled, Stored
from nbray.scheduler.places import PlaceState
from nbray.scheduler.scheduler import Scheduler
from nbray.scheduler.states import ActorState, GangState, TaskState, WorkerState
from nbray.scheduler.tasks import CallTemplate, Task


def pending_tasks(scheduler: Scheduler) -> list[Task]:
    """Every task that has not ended."""
    waiting = [task for run in scheduler._jobs.runs() for task in run.waiting.values()]
    queued = [task for line in scheduler._turns.lines() for task in line.tasks()]
    calls: list[Task] = [
        call for actor in scheduler._calls.table.values()
        for inside in (*actor.callers.values(), actor.running.values()) for call in inside
        if call.state in (TaskState.QUEUED, TaskState.ASSIGNED, TaskState.CANCELLING)
    ]  # fmt: skip
    return waiting + queued + calls + [task for worker in scheduler._fleet.workers.values() for task in worker.queue]


def audit(scheduler: Scheduler) -> None:
    """Raise AssertionError where two tables disagree."""
    for each in AUDITS:
        each(scheduler)


def _audit_tasks(scheduler: Scheduler) -> None:
    tasks = pending_tasks(scheduler)
    assert len({task.task_id for task in tasks}) == len(tasks), "a task stands in two places"
    runs: Counter[CellRun] = Counter(task.run for task in tasks)
    templates: Counter[CallTemplate] = Counter(task.template for task in tasks)
    for run in scheduler._jobs.runs():
        assert run.live == runs[run], (run, runs[run])
        for line in run.lines.values():
            assert line.size == len(list(line.tasks())), run
    templates.update(actor.template for actor in scheduler._calls.table.values() if actor.template is not None)
    for template in scheduler._registry.templates.values():
        assert template.live == templates[template], (template.name, template.live, templates[template])
    for worker in scheduler._fleet.workers.values():
        for task in worker.queue:
            assert task.worker is worker, task
            assert task.state in (TaskState.ASSIGNED, TaskState.CANCELLING), task
        assert worker.actor is not None or worker.state is WorkerState.STOPPING or (
            bool(worker.queue) == (worker.state in (WorkerState.BUSY, WorkerState.BLOCKED))
        ), worker  # fmt: skip
        cost = sum(task.charged for task in worker.queue)
        assert abs(worker.backlog - cost) < 1e-6 or worker.state is WorkerState.STOPPING, (worker, worker.backlog, cost)


def _audit_keepers(scheduler: Scheduler) -> None:
    tasks = pending_tasks(scheduler)
    entries = scheduler._objects.entries
    kept: list[ObjectId] = []
    closed = [worker.process for worker in scheduler._fleet.workers.values() if worker.process is not None and worker.left]
    for process in (*scheduler._processes.values(), *closed):
        kept += process.held
    for task in tasks:
        spec = task.spec
        if task.template.template.num_returns == 1:
            kept.append(task.task_id)
            assert entries[task.task_id].task is task
        else:
            kept += task.returns
            assert all(entries[object_id].task is task for object_id in task.returns), task
        kept += spec.deps
        kept += spec.nested
    for function in scheduler._registry._functions.values():
        kept += function.nested
    for run in scheduler._jobs.runs():
        kept += run.held
    for actor in scheduler._calls.table.values():
        kept += actor.pinned
        kept += [actor.actor_id] if actor.unended and actor.actor_id in entries else []
    kept += scheduler._gangs.pending
    for entry in entries.values():
        if entry.nested:
            kept += entry.nested
        if isinstance(entry.value, (Inline, Stored, Spilled)) and entry.value.nested:
            inside = entries.keys() & set(entry.value.nested) - {entry.object_id}
            assert inside <= set(entry.nested or ()), f"{entry} does not keep what it contains"
    keepers = Counter(kept)
    counted = {object_id: entry.keepers for object_id, entry in entries.items()}
    assert counted == keepers, sorted(set(counted.items()) ^ set(keepers.items()))


def _audit_resources(scheduler: Scheduler) -> None:
    pool = scheduler._pool
    available, devices = dict(pool.total), [UNIT] * len(pool.devices)
    held = {pool.cluster: (available, devices)}
    for gang in scheduler._gangs.gangs.values():
        for bundle in gang.bundles:
            reserved = gang.state is GangState.RESERVED
            of_bundle = [0] * len(devices)
            for index in bundle.gpus if reserved else ():
                of_bundle[index] = min(UNIT, bundle.total[GPU])
                devices[index] -= of_bundle[index]
            held[bundle] = (dict(bundle.total) if reserved else dict.fromkeys(bundle.total, 0), of_bundle)
            take(bundle.total if reserved else {}, available)
    for worker in scheduler._fleet.workers.values():
        if worker.shape is None or worker.reservoir is None:
            continue
        amounts = {name: units for name, units in worker.shape.amounts.items() if not (worker.gave_cpus and name == "CPU")}
        home = held[worker.reservoir.home]
        take(amounts, home[0])
        for index in worker.gpus if worker.shape.gpus else ():
            home[1][index] -= min(UNIT, worker.shape.gpus)
    for reservoir, (left, left_devices) in held.items():
        assert left == reservoir.available, (left, reservoir.available)
        assert left_devices == reservoir.devices, (left_devices, reservoir.devices)
        assert all(units >= 0 for name, units in left.items() if name != "CPU"), left
        assert all(units >= 0 for units in left_devices), left_devices


def _audit_store(scheduler: Scheduler) -> None:
    extents = scheduler._extents
    values = [entry.value for entry in scheduler._objects.entries.values()]
    inline = sum(len(value) for value in values if isinstance(value, bytes))
    inline += sum(len(value.data) for value in values if isinstance(value, Inline))
    assert extents.inline == inline, (extents.inline, inline)
    sealed = {value.offset for value in values if isinstance(value, Stored)} | _audit_places(scheduler)
    granted = {offset for grants in extents._granted.values() for offset in grants}
    assert not sealed & granted
    live = getattr(extents._allocator, "_extents")  # noqa: B009
    assert set(live) == sealed | granted, (live, sealed, granted)
    assert extents._allocator.used <= scheduler._config.store_limit + _PAGE * len(live), "the store is over its limit"


def _audit_places(scheduler: Scheduler) -> set[int]:
    """The extents of objects that cannot be read just now."""
    spilling, entries = scheduler._spilling, scheduler._objects.entries
    in_memory = {object_id for object_id, place in spilling.places.items() if place.state is PlaceState.IN_MEMORY}
    assert set(spilling._resident) == in_memory
    for object_id, place in spilling.places.items():
        assert (entries.get(object_id) is place.entry) != (place.state is PlaceState.ENDING), place
        kind = Stored if place.state is PlaceState.IN_MEMORY else Spilled
        assert type(place.entry.value) is kind, place
        assert place.state is not PlaceState.LEAVING or place.asked, f"{place} waits for nobody"
        assert not place.wanted or place.state in _COMING or any(one.place is place for one in spilling._demands), place
    assert {who for who, _ in spilling._letting_go._asked.values()} <= set(scheduler._processes), "the dead are waited for"
    stored = {object_id for object_id, entry in entries.items() if isinstance(entry.value, (Stored, Spilled))}
    assert stored <= set(spilling.places)
    sizes = Counter[PlaceState]()
    for place in spilling.places.values():
        sizes[place.state] += place.size
    assert spilling._leaving == sizes[PlaceState.LEAVING] + sizes[PlaceState.WRITING]
    assert spilling.spilled == sizes[PlaceState.ON_DISK]
    hidden = (PlaceState.LEAVING, PlaceState.WRITING, PlaceState.RESTORING, PlaceState.ENDING)
    return {place.offset for place in spilling.places.values() if place.state in hidden}


_PAGE = 4096
"""Sizes of extents are rounded up to it."""
_COMING = (PlaceState.WRITING, PlaceState.RESTORING)


def _audit_actors(scheduler: Scheduler) -> None:
    assert not scheduler._calls.due
    table = scheduler._calls.table
    watched = {actor_id for actor_id, actor in table.items() if not actor.orphaned}
    assert scheduler._objects.watched == watched <= set(scheduler._objects.entries)
    for actor in table.values():
        _audit_calls(actor)
        worker = actor.worker
        assert (actor.template is None) == (actor.state is ActorState.DEAD), actor
        assert worker is None or (worker.actor is actor and scheduler._fleet.hosts[worker.slot] is worker), actor
        assert worker is not None or actor.state not in (ActorState.ALIVE, ActorState.EXITING), actor
        assert actor.creation is not None or actor.state not in (ActorState.NEW, ActorState.PENDING), actor
        assert (actor.death is not None) >= (actor.state in (ActorState.EXITING, ActorState.DEAD)), actor
        assert not (actor.orphaned and actor.state is ActorState.DEAD), "a dead actor that nobody knows is kept"
        named = scheduler._actors.names.find(actor.namespace, actor.spec.name) is actor
        assert named == (bool(actor.spec.name) and actor.death is None), actor
    fleet = scheduler._fleet
    free = sum(worker.plain and worker.actor is None for worker in fleet.workers.values())
    assert free >= fleet.least, "actors have taken the workers of tasks"
    for worker in scheduler._fleet.hosts.values():
        assert worker.actor is not None, worker
        assert worker.slot in scheduler._fleet.workers, worker
        assert worker.shape is not None, worker
        assert worker.slot not in scheduler._fleet.idle, worker
        assert worker.serving == (worker.slot in fleet.serving) or worker.state is WorkerState.STOPPING, worker
    assert fleet.serving <= set(fleet.hosts)


def _audit_calls(actor: Actor) -> None:
    queued = [call for queue in actor.callers.values() for call in queue if call.state < TaskState.SUCCEEDED]
    assert all(call.state in (TaskState.WAITING, TaskState.QUEUED) for call in queued), actor
    assert all(call.state is TaskState.WAITING for call in actor.waiting.values()), actor
    assert all(call.state in (TaskState.ASSIGNED, TaskState.CANCELLING) for call in actor.running.values()), actor
    assert all(call.worker is actor.worker for call in actor.running.values()), actor
    known = {call.task_id for call in (*queued, *actor.waiting.values(), *actor.running.values())}
    assert len(known) <= actor.unended, actor  # the others wait for their next attempt
    assert len(actor.running) <= actor.window, actor
    stopping = {call.task_id for call in actor.running.values() if call.state is TaskState.CANCELLING}
    assert stopping == actor.cancelling, actor
    full = len(actor.running) >= min(actor.window, actor.few)
    if actor.state is ActorState.ALIVE and actor.worker is not None and actor.worker.state is not WorkerState.STOPPING:
        assert full or not any(queue and queue[0].state is TaskState.QUEUED for queue in actor.callers.values()), actor
    if actor.state is ActorState.DEAD:
        assert not known, actor


AUDITS = _audit_tasks, _audit_keepers, _audit_resources, _audit_store, _audit_actors
"""Each by itself; all of them together are `audit`."""
