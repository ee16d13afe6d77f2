"""Every object and who keeps it alive: processes, pending tasks, containing objects, functions, records of cell runs.

An entry counts its keepers. A process is one, however many ObjectRefs it has (it counts those itself). A task is one
of each of its returns until it ends, and of each object among its arguments. An entry without keepers is deleted at once:
its extent is freed, and what it contained loses a keeper in turn. Objects that contain each other in a circle (a task
that returns a reference to a task that returns a reference to it) stay until the cluster ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from nbray.ids import OBJECT_BITS, ObjectId, ProcessId
from nbray.scheduler.extents import Extents
from nbray.scheduler.messages import Failure, Inline, Spilled, Stored, Value
from nbray.scheduler.processes import Outbox, Process

if TYPE_CHECKING:
    from nbray.scheduler.cell_runs import CellRun
    from nbray.scheduler.spilling import Spilling
    from nbray.scheduler.tasks import Task


class ObjectEntry(msgspec.Struct, gc=False, eq=False):
    """One object, from the submission of its task or its put on."""

    object_id: ObjectId
    keepers: int
    run: CellRun | None = None
    """The cell run that it came from."""
    task: Task | None = None
    """The task that will make it; None once it is there."""
    value: Value | None = None
    nested: list[ObjectId] | None = None
    """Objects that this one keeps alive."""
    waiters: list[Task] | None = None
    """Tasks that need it."""
    subscribers: list[ProcessId] | None = None
    """Processes that asked for its value, beside its creator."""

    def __repr__(self) -> str:
        return f"<object {self.object_id:#x}: {'pending' if self.value is None else 'there'}, {self.keepers} keepers>"


class Objects:
    """The table of objects."""

    def __init__(self, extents: Extents, spilling: Spilling, processes: dict[ProcessId, Process], outbox: Outbox) -> None:
        self.entries: dict[ObjectId, ObjectEntry] = {}
        self.watched: set[ObjectId] = set()
        """Objects that stand for actors; their values are not bare bytes, which are deleted on a shorter way."""
        self.on_gone: Callable[[ObjectId], None] = lambda object_id: None
        """What else to do when one of these is deleted."""
        self._extents = extents
        self._spilling = spilling
        self._processes = processes
        self._outbox = outbox

    @property
    def crowded(self) -> bool:
        """Whether somebody waits for room in the store: what waits inside a worker would keep its arguments there."""
        return self._spilling.waiting

    @property
    def spilled(self) -> int:
        """Bytes that are on disk only."""
        return self._spilling.spilled

    # ---------------------------------------------------------------- keepers

    def hold(self, process: Process, object_ids: Iterable[ObjectId]) -> None:
        """References to these now live in the process; those of objects that are gone come too late."""
        for object_id in object_ids:
            entry = self.entries.get(object_id)
            if entry is not None and object_id not in process.held:
                process.held.add(object_id)
                entry.keepers += 1

    def release(self, process: Process, object_ids: Iterable[ObjectId]) -> None:
        """The last reference of the process to each of these is gone."""
        held, entries = process.held, self.entries
        for object_id in object_ids:
            if object_id in held:
                held.remove(object_id)
                entry = entries[object_id]
                entry.keepers -= 1
                if not entry.keepers:
                    self._delete(entry)

    def pin(self, object_ids: Iterable[ObjectId]) -> list[ObjectId]:
        """One keeper more for each; returns those that exist, which must be unpinned in the end."""
        pinned = [object_id for object_id in object_ids if object_id in self.entries]
        for object_id in pinned:
            self.entries[object_id].keepers += 1
        return pinned

    def unpin(self, object_ids: Iterable[ObjectId]) -> None:
        """One keeper less for each."""
        for object_id in object_ids:
            entry = self.entries[object_id]
            entry.keepers -= 1
            if not entry.keepers:
                self._delete(entry)

    # ---------------------------------------------------------------- values

    def put(self, process: Process, object_id: ObjectId, value: Value, run: CellRun | None) -> None:
        """An object that its creator made; the creator holds one reference."""
        if object_id in self.entries or object_id >> OBJECT_BITS != process.process_id:
            self.reject(process, value)
            return
        admitted = self.create(process, object_id, value, run, process)
        if type(admitted) is Failure:
            self._outbox.push(process, object_id, admitted)

    def create(self, holder: Process, object_id: ObjectId, value: Value, run: CellRun | None, maker: Process) -> Value:
        """An object that is there from birth and that `holder` has the one reference of; returns its value or a Failure."""
        entry = self.entries[object_id] = ObjectEntry(object_id, 1, run)
        holder.held.add(object_id)
        entry.value = admitted = self._admit(entry, value, maker)
        return admitted

    def settle(self, entry: ObjectEntry, value: Value, maker: Process | None = None) -> list[Task] | None:
        """The object's task has ended with this value: push it, drop the task's own hold, return the tasks that need it."""
        if type(value) is bytes:
            extents = self._extents
            extents.inline += len(value)
            if extents.inline > extents.room and not self._spilling.make_way():
                extents.inline -= len(value)
                value = extents.full(len(value))
        elif type(value) is not Failure:
            value = self._admit(entry, value, maker)
        object_id = entry.object_id
        entry.value = value
        entry.task = None
        creator = self._processes.get(ProcessId(object_id >> OBJECT_BITS))
        if creator is not None and object_id in creator.held:
            if not creator.ready:
                self._outbox.readied.append(creator)
            creator.ready.append((object_id, value))
        if entry.subscribers is not None:
            self._push_to_subscribers(entry, value, creator)
        waiters, entry.waiters = entry.waiters, None
        entry.keepers -= 1
        if not entry.keepers:
            self._delete(entry)
        return waiters

    def reject(self, maker: Process, value: Value) -> None:
        """Nobody wants this value."""
        if type(value) is Stored:
            self._extents.give_back(maker, value.offset)

    def subscribe(self, process: Process, object_ids: Iterable[ObjectId]) -> None:
        """Push these values, now or when they are there."""
        for object_id in object_ids:
            entry = self.entries.get(object_id)
            if entry is None:
                self._outbox.push(process, object_id, lost(object_id))
            elif entry.value is not None:
                if type(entry.value) is Stored:
                    self._spilling.touch(object_id)
                self._outbox.push(process, object_id, entry.value)
            elif entry.subscribers is None:
                entry.subscribers = [process.process_id]
            elif process.process_id not in entry.subscribers:
                entry.subscribers.append(process.process_id)

    def values(self, object_ids: Iterable[ObjectId]) -> list[tuple[ObjectId, Value]]:
        """The values of objects that are there and kept."""
        return list(self._known(object_ids))

    def any_large(self, object_ids: Iterable[ObjectId]) -> bool:
        """Whether one of these takes room in the arena, or will."""
        entries = self.entries
        return any(type(entries[object_id].value) in (Stored, Spilled) for object_id in object_ids)

    def _known(self, object_ids: Iterable[ObjectId]) -> Iterator[tuple[ObjectId, Value]]:
        for object_id in object_ids:
            entry = self.entries[object_id]
            value = entry.value
            assert value is not None
            if type(value) is Stored:
                self._spilling.touch(object_id)
            elif type(value) is Spilled:
                value = self._spilling.recall(entry)
            yield object_id, value

    # ---------------------------------------------------------------- inside

    def _admit(self, entry: ObjectEntry, value: Value, maker: Process | None) -> Value:
        """Take a value in: count it, take over its extent, keep what it contains."""
        extents = self._extents
        if isinstance(value, Stored):
            if maker is None or not extents.seal(maker, value.offset):
                return Failure("lost", f"object {entry.object_id:#x} names an extent that its maker was not granted: report this")
            self._spilling.add(entry, value, entry.task.template.name if entry.task is not None else "nbray.put")
        elif isinstance(value, Spilled):
            return Failure("lost", f"object {entry.object_id:#x} is on disk, says its maker, who cannot know: report this")
        else:
            size = _inline_size(value)
            extents.inline += size
            if extents.inline > extents.room and not self._spilling.make_way():
                extents.inline -= size
                return extents.full(size)
        if isinstance(value, (Stored, Inline)) and value.nested:
            entry.nested = self.pin(object_id for object_id in value.nested if object_id != entry.object_id)
        return value

    def _push_to_subscribers(self, entry: ObjectEntry, value: Value, creator: Process | None) -> None:
        for process_id in entry.subscribers or ():
            process = self._processes.get(process_id)
            if process is not None and not (process is creator and entry.object_id in process.held):
                self._outbox.push(process, entry.object_id, value)
        entry.subscribers = None

    def _delete(self, first: ObjectEntry) -> None:
        """Delete an entry and what only it kept alive; a loop, since chains of objects may be long."""
        value = first.value
        if type(value) is bytes:
            del self.entries[first.object_id]
            self._extents.inline -= len(value)
            return
        doomed = [first]
        while doomed:
            entry = doomed.pop()
            del self.entries[entry.object_id]
            if entry.object_id in self.watched:
                self.on_gone(entry.object_id)
            if isinstance(entry.value, (Stored, Spilled)):
                self._spilling.drop(entry)
            elif entry.value is not None:
                self._extents.inline -= _inline_size(entry.value)
            for object_id in entry.nested or ():
                nested = self.entries[object_id]
                nested.keepers -= 1
                if not nested.keepers:
                    doomed.append(nested)


def _inline_size(value: Value) -> int:
    if isinstance(value, Inline):
        return len(value.data)
    return len(value) if isinstance(value, bytes) else 0


def lost(object_id: ObjectId) -> Failure:
    """The value of an object that is not there."""
    return Failure(
        "lost",
        f"Object {object_id:#x} is not in the cluster: nobody held a reference to it any more, or the process that held it has "
        "ended. Keep the ObjectRef in a variable as long as its value is needed, or run the task again.",
    )
