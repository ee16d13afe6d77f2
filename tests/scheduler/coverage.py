"""Which states have met which events, and which moves were made: counted while a simulation runs.

An event meets the worker that it comes from or is about, the actor of that worker, and every task, actor, gang and stored object
that it names. `unreachable.py` says which pairs cannot occur, and why; all others must.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from nbray.ids import ObjectId
from nbray.scheduler import messages, states
from nbray.scheduler.events import Event, Joined, Left, MemoryUsed, Received, WorkerExited, WorkerForked
from nbray.scheduler.messages import Failure
from nbray.scheduler.places import PLACE_MOVES, PlaceState
from nbray.scheduler.processes import Process
from nbray.scheduler.scheduler import Scheduler
from nbray.scheduler.states import ActorState, GangState, TaskState, WorkerState
from nbray.scheduler.worker_records import Worker

Pair = tuple[str, str, str]
"""A machine, its state, and an event that it met; or a machine, a state, and the state after that."""

NAMED: dict[type, Callable[[Any], Iterable[int]]] = {
    messages.Finished: lambda message: [result.task_id for result in message.results],
    messages.TakenBack: lambda message: message.task_ids,
    messages.Blocked: lambda message: (message.task_id,),
    messages.Unblocked: lambda message: (message.task_id,),
    messages.Output: lambda message: (message.task_id,),
    messages.Yielded: lambda message: (message.task_id,),
    messages.Consumed: lambda message: (message.task_id,),
    messages.Cancel: lambda message: message.task_ids,
    messages.Held: lambda message: message.object_ids,
    messages.Released: lambda message: message.object_ids,
    messages.Subscribe: lambda message: message.object_ids,
    messages.Fetch: lambda message: (message.object_id,),
    messages.Submit: lambda message: [object_id for task in message.tasks for object_id in (*task.deps, *task.nested)],
    messages.Call: lambda message: [message.actor_id, *(number for task in message.tasks for number in task.deps)],
    messages.CreateActor: lambda message: message.task.deps,
    messages.KillActor: lambda message: (message.actor_id,),
    messages.ExitActor: lambda message: (message.actor_id,),
    messages.RemoveGang: lambda message: (message.gang_id,),
    messages.LetGone: lambda message: message.in_use,
}
"""What a message is about."""

TASK_EVENTS = (
    "Submit", "Call", "CreateActor", "Finished", "TakenBack", "Blocked", "Unblocked", "Output", "Yielded", "Consumed", "Cancel",
    "Held", "Released", "Subscribe", "Left", "WorkerExited",
)  # fmt: skip
WORKER_EVENTS = (
    "Joined", "WorkerForked", "Submit", "Call", "Finished", "TakenBack", "Blocked", "Unblocked", "Output", "Yielded", "Allocate",
    "GiveBack", "Held", "Released", "Subscribe", "Fetch", "LetGone", "ExitActor", "MemoryUsed", "Left", "WorkerExited",
)  # fmt: skip
ACTOR_EVENTS = (
    "Call", "KillActor", "Cancel", "Held", "Released", "Subscribe", "Finished", "TakenBack", "Blocked", "Unblocked", "Yielded",
    "ExitActor", "Left", "WorkerExited",
)  # fmt: skip
GANG_EVENTS = "Released", "Subscribe", "RemoveGang"
PLACE_EVENTS = (
    "Submit", "Call", "Held", "Released", "Subscribe", "Fetch", "LetGone", "SpillDone", "SpillFailed", "RestoreDone",
    "RestoreFailed",
)  # fmt: skip
GONE = "GONE"

MACHINES: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "task": ([*(state.name for state in TaskState), GONE], TASK_EVENTS),
    "worker": ([*(state.name for state in WorkerState)], WORKER_EVENTS),
    "actor": ([*(state.name for state in ActorState)], ACTOR_EVENTS),
    "gang": ([*(state.name for state in GangState)], GANG_EVENTS),
    "place": ([*(state.name for state in PlaceState)], PLACE_EVENTS),
}
TABLES: dict[str, dict[Any, set[Any]]] = {
    "task": states.TASK_MOVES, "worker": states.WORKER_MOVES, "actor": states.ACTOR_MOVES, "gang": states.GANG_MOVES,
    "place": PLACE_MOVES,
}  # fmt: skip


def all_pairs() -> set[Pair]:
    """Every state with every event that concerns its machine."""
    return {(name, state, event) for name, (of_it, events) in MACHINES.items() for state in of_it for event in events}


def all_moves() -> set[Pair]:
    """Every move that the tables allow."""
    return {(name, old.name, new.name) for name, table in TABLES.items() for old, news in table.items() for new in news}


class Coverage:
    """What was met and moved so far, in any number of worlds."""

    def __init__(self) -> None:
        self.met: Counter[Pair] = Counter()
        self.moved: Counter[Pair] = Counter()
        self._scheduler: Scheduler | None = None

    def watch(self, scheduler: Scheduler) -> None:
        """Look at this scheduler from now on."""
        self._scheduler = scheduler

    def add(self, met: Counter[Pair], moved: Counter[Pair]) -> None:
        """What was counted elsewhere."""
        self.met.update(met)
        self.moved.update(moved)

    def event(self, event: Event) -> None:
        """Note what the event meets, before it is handled."""
        scheduler = self._scheduler
        assert scheduler is not None
        kind = type(event)
        if type(event) is Received:
            name = type(event.message).__name__
            process = scheduler._processes.get(event.process)
            if process is None:
                return  # nobody heeds it
            self._sender(process, name)
            named = NAMED.get(type(event.message))
            for object_id in named(event.message) if named is not None else ():
                self._object(ObjectId(object_id), name)
        elif kind in _BY_SLOT:
            self._slot(event.hello.slot if type(event) is Joined else event.slot, kind.__name__)  # type: ignore[union-attr]
        elif kind is Left:
            process = scheduler._processes.get(event.process)  # type: ignore[union-attr]
            if process is not None and process.worker is not None:
                self._worker(process.worker, "Left")
        elif kind is MemoryUsed:
            for worker in scheduler._fleet.workers.values():
                self._meet("worker", worker.state.name, "MemoryUsed")
        elif kind in _OF_THE_DISK:
            self._place(event.object_id, kind.__name__)  # type: ignore[union-attr]

    def _meet(self, machine: str, state: str, event: str) -> None:
        self.met[machine, state, event] += 1

    def _sender(self, process: Process, name: str) -> None:
        worker = process.worker
        if worker is not None:
            self._meet("worker", worker.state.name, name)
            if worker.actor is not None:
                self._meet("actor", worker.actor.state.name, name)

    def _slot(self, slot: int, name: str) -> None:
        assert self._scheduler is not None
        worker = self._scheduler._fleet.workers.get(slot)
        if worker is not None:
            self._worker(worker, name)

    def _worker(self, worker: Worker, name: str) -> None:
        self._meet("worker", worker.state.name, name)
        for task in worker.queue:
            self._meet("task", task.state.name, name)
        if worker.actor is not None:
            self._meet("actor", worker.actor.state.name, name)
            for call in worker.actor.running.values():
                self._meet("task", call.state.name, name)

    def _object(self, object_id: ObjectId, name: str) -> None:
        scheduler = self._scheduler
        assert scheduler is not None
        gang = scheduler._gangs.gangs.get(object_id)
        actor = scheduler._calls.table.get(object_id)
        if gang is not None:
            self._meet("gang", gang.state.name, name)
            return
        if actor is not None:
            self._meet("actor", actor.state.name, name)
        self._place(object_id, name)
        entry = scheduler._objects.entries.get(object_id)
        if entry is None:
            self._meet("task", GONE, name)
        elif entry.task is not None:
            self._meet("task", entry.task.state.name, name)
        elif type(entry.value) is Failure:
            self._meet("task", "CANCELLED" if entry.value.kind == "cancelled" else "FAILED", name)
        else:
            self._meet("task", "SUCCEEDED", name)

    def _place(self, object_id: ObjectId, name: str) -> None:
        assert self._scheduler is not None
        place = self._scheduler._spilling.places.get(object_id)
        if place is not None:
            self._meet("place", place.state.name, name)

    # ---------------------------------------------------------------- moves

    @contextmanager
    def moves(self) -> Iterator[None]:
        """Meanwhile, count the moves that anything in this process makes."""
        rows = {"task": states._TASK_ALLOWED, "worker": states._WORKER_ALLOWED, "actor": states._ACTOR_ALLOWED}
        kinds = {"task": TaskState, "worker": WorkerState, "actor": ActorState}
        before = {machine: list(table) for machine, table in rows.items()}
        sets = {machine: dict(TABLES[machine]) for machine in ("gang", "place")}
        for machine, table in rows.items():
            names = [state.name for state in kinds[machine]]
            table[:] = [_Row(self.moved, machine, old, names, row) for old, row in zip(names, table, strict=True)]
        for machine, moves in sets.items():
            TABLES[machine].update({old: _Set(self.moved, machine, old.name, news) for old, news in moves.items()})
        try:
            yield
        finally:
            for machine, kept in before.items():
                rows[machine][:] = kept
            for machine, moves in sets.items():
                TABLES[machine].update(moves)


class _Row(list[bool]):
    """A line of a table of moves that counts what it is asked."""

    def __init__(self, moved: Counter[Pair], machine: str, old: str, names: list[str], row: list[bool]) -> None:
        super().__init__(row)
        self._moved = moved
        self._pairs = [(machine, old, new) for new in names]

    def __getitem__(self, new: Any) -> Any:
        self._moved[self._pairs[new]] += 1
        return super().__getitem__(new)


class _Set(set[Any]):
    """The same of a table that holds sets."""

    def __init__(self, moved: Counter[Pair], machine: str, old: str, news: set[Any]) -> None:
        super().__init__(news)
        self._moved = moved
        self._start = machine, old

    def __contains__(self, new: Any) -> bool:
        self._moved[(*self._start, new.name)] += 1
        return super().__contains__(new)


_BY_SLOT = {Joined, WorkerForked, WorkerExited}
_OF_THE_DISK = {kind for kind in Event.__args__ if kind.__name__.startswith(("Spill", "Restore"))}


def matrix(machine: str, met: Counter[Pair], unreachable: Callable[[Pair], str]) -> str:
    """A table for people: how often, "." where it cannot be, "MISSING" where it was not."""
    of_it, events = MACHINES[machine]
    width = max(map(len, events)) + 2
    lines = [f"{machine:<{width}}" + "".join(f"{state:>12}" for state in of_it)]
    for event in events:
        cells = []
        for state in of_it:
            count = met[machine, state, event]
            cells.append(f"{count:,}" if count else "." if unreachable((machine, state, event)) else "MISSING")
        lines.append(f"{event:<{width}}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)
