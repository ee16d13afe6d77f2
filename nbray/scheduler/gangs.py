"""Gangs: bundles of resources that are set aside all at once or not at all, and which tasks then draw from.

    CreateGang ──> PENDING ──(every bundle fits at once)──> RESERVED ──(RemoveGang, or nobody needs it)──> REMOVED

A gang is an object too: its value is there once it is reserved. Tasks of the gang depend on that object, so they wait for it
and share its failure, and handles are references to it. Gangs are served in the order in which they came.

Others go on while a gang waits. So that it does not wait for ever where they never leave enough at once, it may from time to
time claim what it lacks: nobody else gets that then. Such a claim lasts as long as it has waited before, and so does the
pause after it, so it outlasts any task in the end, and others have at least a third of the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from nbray.ids import ObjectId
from nbray.resources import from_units, shortfall
from nbray.scheduler.bundles import impossible, sum_of
from nbray.scheduler.cell_runs import Job
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.messages import CreateGang, Failure, Template, Value
from nbray.scheduler.ownership import ObjectEntry, Objects
from nbray.scheduler.pool import Pool, Reservoir, Shape
from nbray.scheduler.processes import Contradiction, Process
from nbray.scheduler.states import GangState, State, move_gang
from nbray.scheduler.tasks import Task

FIRST_CLAIM_SECONDS = 1.0
"""After waiting so long a gang claims what it lacks for the first time."""
LOOK_SECONDS = 0.5
"""How often to look whether anything still runs in a gang that nobody holds any more: it means to look through all workers."""


class Claim(NamedTuple):
    """What nobody but `owner` gets at the moment: these resources of these reservoirs."""

    owner: object
    names: frozenset[str]
    reservoirs: tuple[Reservoir, ...]

    def bars(self, shape: Shape) -> bool:
        """Whether tasks of this shape must leave it alone."""
        if shape is self.owner or self.names.isdisjoint(shape.amounts):
            return False
        return not set(self.reservoirs).isdisjoint(shape.reservoirs)


class Gang:
    """One gang, from its creation to its end."""

    __slots__ = ("bundles", "gang_id", "job", "look_at", "message", "since", "state", "trail")

    def __init__(self, message: CreateGang, job: Job, bundles: list[Reservoir], now: float) -> None:
        self.gang_id = message.gang_id
        self.message = message
        self.job = job
        self.bundles = bundles
        self.since = now
        """When it was created."""
        self.look_at = 0.0
        """Nobody holds it, and when to look again whether something still runs in it."""
        self.state: State = GangState.NEW
        self.trail = 0

    def __repr__(self) -> str:
        return f"<gang {self.name} of {len(self.bundles)} bundles, {self.state.name}>"

    @property
    def name(self) -> str:
        """What people read."""
        return repr(self.message.name) if self.message.name else f"{self.gang_id:#x}"


OnRemoved = Callable[[Gang], None]
OnArrived = Callable[[Iterable[Task], Value | None], None]


class Gangs:
    """All gangs that are waiting or reserved."""

    def __init__(self, pool: Pool, objects: Objects, deadlines: Deadlines) -> None:
        self.gangs: dict[ObjectId, Gang] = {}
        self.pending: dict[ObjectId, Gang] = {}
        self._pool = pool
        self._objects = objects
        self._deadlines = deadlines
        self.on_arrived: OnArrived = lambda tasks, value: None
        """Tasks for whose gang the wait is over."""
        self.on_removed: OnRemoved = lambda gang: None
        """End what runs in it."""
        self.is_used: Callable[[Gang], bool] = lambda gang: True
        """Whether anything is queued or runs in it."""

    # ---------------------------------------------------------------- begin

    def create(self, process: Process, job: Job, message: CreateGang) -> None:
        """Take in a gang; the process holds one reference to it."""
        number = message.gang_id
        if number in self._objects.entries:
            raise Contradiction(f"a gang was created as {number:#x}, which exists")
        entry = self._objects.entries[number] = ObjectEntry(number, 2)
        process.held.add(number)
        failure = self._verdict(message)
        if failure is not None:
            self._settle(entry, failure)
            return
        gang = Gang(message, job, [self._pool.bundle(amounts) for amounts in message.bundles], self._deadlines.now)
        move_gang(gang, GangState.PENDING)
        self.gangs[number] = self.pending[number] = gang
        self._deadlines.after(FIRST_CLAIM_SECONDS, lambda: self._look_again(gang))

    def reserve(self) -> None:
        """Set aside the bundles of every gang for which there is enough now."""
        for gang in list(self.pending.values()):
            if self._pool.set_aside(gang.bundles):
                move_gang(gang, GangState.RESERVED)
                del self.pending[gang.gang_id]
                self._settle(self._objects.entries[gang.gang_id], gang.message.value)

    def _verdict(self, message: CreateGang) -> Failure | None:
        """Why there can be no such gang."""
        name = message.name
        if name and any(gang.message.name == name for gang in self.gangs.values()):
            return Failure("refused", f"a placement group named {name!r} exists: choose another name, or remove that one first")
        reason = impossible(message.bundles, message.strategy, self._pool.total)
        return Failure("infeasible", reason) if reason else None

    def _settle(self, entry: ObjectEntry, value: Value) -> None:
        waiters = self._objects.settle(entry, value)
        self.on_arrived(waiters or (), entry.value)

    # ---------------------------------------------------------------- wait

    def claim(self) -> Claim | None:
        """What is to be kept for the gang that has waited longest; None while others have their turn."""
        now = self._deadlines.now
        for gang in self.pending.values():
            waited = now - gang.since
            if waited >= FIRST_CLAIM_SECONDS and _turn(waited) % 2 == 0:
                needed = sum_of(bundle.total for bundle in gang.bundles)
                lacks = [name for name, units in needed.items() if self._pool.available.get(name, 0) < units]
                return Claim(gang, frozenset(lacks or needed), (self._pool.cluster,))
        return None

    def _look_again(self, gang: Gang) -> None:
        """The Tick itself is what is needed, at each beginning and end of a claim."""
        if gang.state is GangState.PENDING:
            waited = self._deadlines.now - gang.since
            next_turn = FIRST_CLAIM_SECONDS * 2.0 ** (_turn(waited) + 1)
            when = gang.since + next_turn
            if when <= self._deadlines.now:  # by a rounding error: what comes at the same time comes for ever
                when += next_turn
            self._deadlines.at(when, lambda: self._look_again(gang))

    # ---------------------------------------------------------------- draw

    def shape(self, template: Template) -> tuple[Shape, str]:
        """What a task of a gang asks for, from which of its bundles, and why it could never have it, if so."""
        nowhere = self._pool.shape(template.resources, template.profile)
        gang = self.gangs.get(template.gang)
        if gang is None:
            return nowhere, f"the placement group of {template.name} has been removed: create another one for it"
        if template.bundle >= len(gang.bundles):
            last = len(gang.bundles) - 1
            return nowhere, (
                f"{template.name} asks for bundle {template.bundle} of a placement group whose last one is {last}: "
                f"write placement_group_bundle_index={last}, or -1 for any"
            )
        bundles = gang.bundles if template.bundle < 0 else [gang.bundles[template.bundle]]
        lacks = [shortfall(template.resources, bundle.total) for bundle in bundles]
        fitting = tuple(bundle for bundle, lack in zip(bundles, lacks, strict=True) if not lack)
        if not fitting:
            return nowhere, (
                f"{template.name} asks for more than {'any' if template.bundle < 0 else 'its'} bundle of its placement group has "
                f"({lacks[0].replace('in the cluster', 'in the bundle')}), so it could never run. Ask for less, for example "
                ".options(num_cpus=0), or make the bundle larger."
            )
        return self._pool.shape(template.resources, template.profile, fitting), ""

    # ---------------------------------------------------------------- end

    def look(self) -> None:
        """Called after every event while there are gangs: those that nobody needs any more end."""
        for gang in list(self.gangs.values()):
            entry = self._objects.entries.get(gang.gang_id)
            held = entry is not None and (gang.state is GangState.RESERVED or entry.keepers > 1)
            if held or gang.message.detached or self._deadlines.now < gang.look_at:
                continue
            if self.is_used(gang):
                gang.look_at = self._deadlines.now + LOOK_SECONDS
                self._deadlines.at(gang.look_at, _nothing)
            else:
                self.remove(gang.gang_id)

    def end_job(self, job: Job) -> None:
        """The job is over: so are its gangs."""
        for gang in [gang for gang in self.gangs.values() if gang.job is job and not gang.message.detached]:
            self.remove(gang.gang_id)

    def remove(self, gang_id: ObjectId) -> None:
        """End a gang and what runs in it; nothing happens where it has ended."""
        gang = self.gangs.pop(gang_id, None)
        if gang is None:
            return
        was_pending = self.pending.pop(gang_id, None) is not None
        move_gang(gang, GangState.REMOVED)
        for bundle in gang.bundles:
            self._pool.take_back(bundle)
        self._pool.forget(gang.bundles)
        if was_pending:
            self._settle(self._objects.entries[gang_id], removed(gang, "the task that waits for it"))
        self.on_removed(gang)

    def named(self, name: str) -> bytes:
        """The value of the gang of this name, empty where there is none."""
        return next((gang.message.value for gang in self.gangs.values() if gang.message.name == name), b"")

    def table(self) -> list[dict[str, object]]:
        """All gangs for people, in the words of Ray's table."""
        return [
            {
                "placement_group_id": gang.gang_id, "name": gang.message.name, "strategy": gang.message.strategy,
                "state": "CREATED" if gang.state is GangState.RESERVED else "PENDING",
                "bundles": {place: from_units(bundle.total) for place, bundle in enumerate(gang.bundles)},
                "available": {place: from_units(bundle.available) for place, bundle in enumerate(gang.bundles)},
            }
            for gang in self.gangs.values()
        ]  # fmt: skip


def removed(gang: Gang, task: str) -> Failure:
    """What a task gets that was in a gang when it ended."""
    return Failure("gang_removed", f"the placement group {gang.name} was removed, and with it {task}", task=task)


def _nothing() -> None:
    """The Tick itself is what is needed: `look` runs after every event."""


def _turn(waited: float) -> int:
    """The number of the present claim (even) or pause (odd): each lasts as long as all before it."""
    return math.frexp(waited / FIRST_CLAIM_SECONDS)[1] - 1
