"""Makes room in the arena: which objects go to disk, when they come back, and who waits for room meanwhile.

    Allocate, Fetch ──> demands ──> _meet: there is room              ──> Granted, or Restore ──> Fetched
                           └──────> _make_room: least recently used   ──> LetGo ──> LetGone ──> Spill, or room at once
                           └──────> nothing moves any more            ──> Refused (StoreFull)

Objects that a task inside a worker needs stay, and those that a process says it reads.
The disk is the business of the process around: here are only `Spill`, `Restore`, `RemoveSpilled`, and the events that follow.

Invariants: `_resident` holds the places IN_MEMORY, the least recently used first; `_leaving` is the sum of those LEAVING and
WRITING; demands are met in order, but for one that nothing here can help.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import NamedTuple

from nbray.ids import ObjectId, ProcessId
from nbray.scheduler.actions import RemoveSpilled, Restore, Spill
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.extents import Extents
from nbray.scheduler.letting_go import LettingGo
from nbray.scheduler.messages import Failure, Fetched, Refused, Stored, Value
from nbray.scheduler.ownership import ObjectEntry, lost
from nbray.scheduler.places import Place, PlaceState
from nbray.scheduler.processes import Outbox, Process

PATIENCE_SECONDS = 1.0
"""How long a demand waits while all that could make room is in use: tasks end, and arrays are collected."""
POLL_SECONDS = 0.05
"""After how long processes are asked again about an object that they were reading."""
DISK_SECONDS = 5.0
"""After how long a disk that was full is tried again."""
PRESSED_SECONDS = 1.0
"""For how long after a demand had to wait room is made ahead of the next one."""
AHEAD_SHARE = 8
"""At most one part in so many of the store is kept free ahead."""
MOST_DOUBT = 64
"""At most so many times what is needed is asked for at once, where much is in use."""
OVERSHOOT = 64 << 20
"""How far small values may exceed the limit while stored ones make way for them."""


class Demand(NamedTuple):
    """Somebody needs room: a process for a new value, or an object to be restored."""

    size: int
    since: float
    process_id: ProcessId
    request_id: int
    place: Place | None = None


class Spilling:
    """All stored objects' places; `serve` is called once after every event while somebody waits."""

    def __init__(
        self, enabled: bool, problem: str, extents: Extents, processes: dict[ProcessId, Process], outbox: Outbox,
        deadlines: Deadlines,
    ) -> None:  # fmt: skip
        self.places: dict[ObjectId, Place] = {}
        self.in_use: Callable[[], Collection[ObjectId]] = lambda: ()
        """The objects that tasks inside workers need."""
        self.on_pressed: Callable[[], None] = lambda: None
        """Nothing can go: what can be taken back from workers might help."""
        self.waiting = False
        """Somebody needs room."""
        self._enabled = enabled
        self._extents = extents
        self._processes = processes
        self._outbox = outbox
        self._deadlines = deadlines
        self._resident: dict[ObjectId, Place] = {}
        self._demands: deque[Demand] = deque()
        self._leaving = 0
        self._writing = 0
        """Objects that are WRITING."""
        self._progress_at = 0.0
        """When room was made last."""
        self._letting_go = LettingGo(processes, outbox, deadlines, self._left, self._is_read)
        self._polling = False
        self._doubt = 1
        """How many times as much to ask for, since much of what was asked for was in use."""
        self._pressed_until = 0.0
        self._useless_until = 0.0
        """Until then nothing new can be found that could go."""
        self._trouble = problem
        """Why the disk takes nothing."""
        self._trouble_until = 0.0
        self.spilled = 0
        """Bytes of objects that are on disk only."""

    # ---------------------------------------------------------------- objects come, are used, and go

    def add(self, entry: ObjectEntry, value: Stored, name: str) -> None:
        """An object has taken over an extent; `name` says what made it."""
        place = Place(entry, value.offset, value.size, name)
        self.places[entry.object_id] = self._resident[entry.object_id] = place
        self._useless_until = 0.0

    def touch(self, object_id: ObjectId) -> None:
        """It is used now: it goes last."""
        place = self._resident.pop(object_id, None)
        if place is not None:
            self._resident[object_id] = place

    def recall(self, entry: ObjectEntry) -> Value:
        """The value of an object that is Spilled: where it is after all, if it has not left yet."""
        place = self.places[entry.object_id]
        if place.state is PlaceState.LEAVING:
            self._stay(place)
        value = entry.value
        assert value is not None
        return value

    def drop(self, entry: ObjectEntry) -> None:
        """The object is gone, and its bytes with it, in memory and on disk."""
        place = self.places[entry.object_id]
        self._tell(place, lost(place.object_id))
        if place.state in (PlaceState.WRITING, PlaceState.RESTORING):
            if place.state is PlaceState.WRITING:
                self._leaving -= place.size
            place.move(PlaceState.ENDING)
            return
        if place.state is PlaceState.ON_DISK:
            self.spilled -= place.size
        else:
            self._leaving -= place.size if place.state is PlaceState.LEAVING else 0
            self._extents.free(place.offset)
        self._end(place)

    def _end(self, place: Place) -> None:
        place.move(PlaceState.GONE)
        place.asked.clear()
        self._resident.pop(place.object_id, None)
        del self.places[place.object_id]
        if place.copied:
            self._outbox.actions.append(RemoveSpilled(place.object_id))

    # ---------------------------------------------------------------- demands

    def allocate(self, process: Process, request_id: int, size: int) -> None:
        """Answer a request for an extent, now or when there is room: Granted or Refused."""
        if not self._demands and self._extents.grant(process, request_id, size):
            if self._deadlines.now < self._pressed_until:
                self._make_room(self._ahead(size))
        elif not self._enabled or size > self._extents.most:
            self._outbox.send(process.process_id, Refused(request_id, self._extents.refusal(size, self._why())))
        else:
            self._demand(Demand(size, self._deadlines.now, process.process_id, request_id))

    def fetch(self, process: Process, request_id: int, entry: ObjectEntry) -> None:
        """Answer a request for an object that is Spilled, when its bytes are back: Fetched or Refused."""
        place = self.places[entry.object_id]
        place.wanted.append((process.process_id, request_id))
        if place.state is PlaceState.LEAVING:
            self._stay(place)
        elif place.state is PlaceState.ON_DISK and all(demand.place is not place for demand in self._demands):
            self._demand(Demand(place.size, self._deadlines.now, process.process_id, request_id, place))

    def make_way(self) -> bool:
        """Small values have outgrown the room beside the stored ones, which make way if they can; False if they cannot."""
        over = self._extents.excess
        if not self._enabled or not (self._resident or self._leaving):
            return False
        self.waiting = True
        return over <= max(OVERSHOOT, self._extents.most // 4) and over <= self._extents.used - self._extents.inline

    def forget(self, process_id: ProcessId) -> None:
        """The process is gone: it reads nothing and waits for nothing."""
        self._letting_go.forget(process_id)
        self._demands = deque(one for one in self._demands if one.place is not None or one.process_id != process_id)
        for place in self.places.values():
            if place.wanted:
                place.wanted = [who for who in place.wanted if who[0] != process_id]

    def _demand(self, demand: Demand) -> None:
        self._demands.append(demand)
        self.waiting = True

    # ---------------------------------------------------------------- serving

    def serve(self) -> None:
        """Meet demands as far as there is room, make room for the rest, and refuse what cannot be helped."""
        self._meet()
        while self._demands:
            sizes = [demand.size for demand in self._demands]
            helped = self._make_room(sum(sizes) + self._ahead(max(sizes)))
            if helped:
                self._meet()
            if self._writing or (self._leaving and self._is_patient()) or not (helped or self._lose_hope()):
                break
        if not self._demands and self._extents.excess > 0:
            self._make_room(0)
        self.waiting = bool(self._demands)

    def _ahead(self, size: int) -> int:
        return min(2 * size, self._extents.most // AHEAD_SHARE)

    def _meet(self) -> None:
        """Meet demands in order, up to the first for which there is no room."""
        while self._demands and self._try(self._demands[0]):
            self._demands.popleft()
            self._progress_at = self._deadlines.now

    def _is_patient(self) -> bool:
        """Whether something was freed, or asked for, not long ago."""
        return not self._demands or self._deadlines.now - max(self._demands[0].since, self._progress_at) < PATIENCE_SECONDS

    def _try(self, demand: Demand) -> bool:
        """Whether the demand is met, or has lost its reason."""
        if demand.place is not None:
            return demand.place.state is not PlaceState.ON_DISK or self._restore(demand.place)
        process = self._processes.get(demand.process_id)
        return process is None or self._extents.grant(process, demand.request_id, demand.size)

    def _restore(self, place: Place) -> bool:
        extent = self._extents.take(place.size)
        if extent is None:
            return False
        place.offset = extent.offset
        place.move(PlaceState.RESTORING)
        self.spilled -= place.size
        self._outbox.actions.append(Restore(place.object_id, extent.offset, place.size, place.checksum, extent.warm))
        return True

    def _make_room(self, size: int) -> bool:
        """Let the least recently used objects go until so many bytes are free, as far as that is possible; whether any go."""
        most, now = self._extents.most, self._deadlines.now
        missing = min(most, size) + self._extents.excess - self._leaving
        if missing <= 0 and self._extents.lacks_memory and not self._leaving:
            missing = size
        if missing <= 0 or now < self._useless_until:
            return False
        self._pressed_until = now + PRESSED_SECONDS
        victims = self._victims(missing * self._doubt)
        if victims:
            self._let_go(victims)
        else:
            self._useless_until = now + POLL_SECONDS
        return bool(victims)

    def _victims(self, missing: int) -> list[Place]:
        """Objects of so many bytes in all that nobody is known to read; those that somebody reads go last in line."""
        now, in_use, victims = self._deadlines.now, set(self.in_use()), list[Place]()
        disk = self._trouble_until <= now
        for object_id, place in list(self._resident.items()):
            if missing <= 0:
                break
            if object_id in in_use:
                self.touch(object_id)
            elif place.not_before <= now and (disk or place.copied):
                victims.append(place)
                missing -= place.size
        return victims

    def _lose_hope(self) -> bool:
        """The first demand cannot be met now, and nothing is on its way out: wait, let the others try, or refuse it.

        Whether it was refused.
        """
        first = self._demands[0]
        if (self._resident or self._leaving or self._extents.granted) and self._is_patient():
            self._demands = deque([first, *(demand for demand in list(self._demands)[1:] if not self._try(demand))])
            self.on_pressed()
            self._poll()
            return False
        self._demands.popleft()
        self._refuse(first)
        self._meet()
        return True

    def _refuse(self, demand: Demand) -> None:
        failure = self._extents.refusal(demand.size, self._why())
        if demand.place is not None:
            self._refuse_wanted(demand.place, failure)
        elif demand.process_id in self._processes:
            self._outbox.send(demand.process_id, Refused(demand.request_id, failure))

    def _refuse_wanted(self, place: Place, failure: Failure) -> None:
        wanted, place.wanted = place.wanted, []
        for process_id, request_id in wanted:
            self._outbox.send(process_id, Refused(request_id, failure))

    def _why(self) -> str:
        """Why objects do not make room."""
        if self._trouble and (not self._enabled or self._trouble_until > self._deadlines.now):
            return f"Nothing can be moved to disk: {self._trouble}. "
        if not self._enabled or not self.places:
            return ""
        return "What could be moved to disk is in use by arrays and running tasks. "

    def _poll(self) -> None:
        if not self._polling:
            self._polling = True
            self._deadlines.after(POLL_SECONDS, self._polled)

    def _polled(self) -> None:
        self._polling = False
        self.waiting = bool(self._demands)

    # ---------------------------------------------------------------- out

    def _let_go(self, places: list[Place]) -> None:
        for place in places:
            place.move(PlaceState.LEAVING)
            del self._resident[place.object_id]
            self._leaving += place.size
        self._letting_go.ask(places)

    def let_gone(self, process_id: ProcessId, request_id: int, in_use: Collection[ObjectId]) -> None:
        """A process has let go of what it was asked to, but for what it reads."""
        self._letting_go.answered(process_id, request_id, in_use)
        self.waiting = bool(self._demands)

    def _is_read(self, place: Place) -> None:
        """It was read when it was asked for."""
        self._doubt = min(2 * self._doubt, MOST_DOUBT)
        place.not_before = self._deadlines.now + POLL_SECONDS
        self._stay(place)

    def _left(self, place: Place) -> None:
        """Nobody knows where it is."""
        self._doubt = 1
        if place.copied:
            self._vacate(place)
        else:
            place.move(PlaceState.WRITING)
            self._writing += 1
            self._outbox.actions.append(Spill(place.object_id, place.offset, place.size))

    def _vacate(self, place: Place) -> None:
        place.move(PlaceState.ON_DISK)
        self._progress_at = self._deadlines.now
        self._leaving -= place.size
        self.spilled += place.size
        self._extents.free(place.offset)
        self.waiting = bool(self._demands)

    def _stay(self, place: Place) -> None:
        """Its bytes can be read again where they are."""
        if place.state in (PlaceState.LEAVING, PlaceState.WRITING):
            self._leaving -= place.size
        place.asked.clear()
        place.move(PlaceState.IN_MEMORY)
        self._resident[place.object_id] = place
        value = place.entry.value
        assert value is not None
        self._tell(place, value)

    def _tell(self, place: Place, value: Value) -> None:
        wanted, place.wanted = place.wanted, []
        for process_id, request_id in wanted:
            self._outbox.send(process_id, Fetched(request_id, place.object_id, value))

    # ---------------------------------------------------------------- what the disk says

    def spill_done(self, object_id: ObjectId, checksum: int) -> None:
        """The object's bytes are on disk."""
        place = self.places[object_id]
        self._writing -= 1
        place.copied, place.checksum = True, checksum
        if place.state is PlaceState.ENDING:
            self._extents.free(place.offset)
            self._end(place)
        elif place.wanted:
            self._stay(place)
        else:
            self._vacate(place)

    def spill_failed(self, object_id: ObjectId, reason: str) -> None:
        """The disk did not take it, and nothing of it is left there: it stays in memory."""
        place = self.places[object_id]
        self._writing -= 1
        self._trouble = reason
        self._trouble_until = self._deadlines.now + (0.0 if self._remove_spare_copies() else DISK_SECONDS)
        if place.state is PlaceState.ENDING:
            self._extents.free(place.offset)
            self._end(place)
        else:
            self._stay(place)
        self.waiting = bool(self._demands)

    def _remove_spare_copies(self) -> bool:
        """Objects that are back in memory need their copies only for speed; whether there were any."""
        spare = [place for place in self._resident.values() if place.copied]
        for place in spare:
            place.copied = False
            self._outbox.actions.append(RemoveSpilled(place.object_id))
        return bool(spare)

    def restore_done(self, object_id: ObjectId) -> None:
        """The object's bytes are in its extent, and are what they were."""
        place = self.places[object_id]
        if place.state is PlaceState.ENDING:
            self._extents.free(place.offset)
            self._end(place)
        else:
            self._stay(place)

    def restore_failed(self, object_id: ObjectId, reason: str, *, damaged: bool) -> None:
        """The object's bytes did not come back; `damaged` ones never will."""
        place = self.places[object_id]
        self._extents.abandon(place.offset)
        self.waiting = bool(self._demands)
        if place.state is PlaceState.ENDING:
            self._end(place)
        elif damaged:
            failure = _damaged(place, reason)
            self._tell(place, failure)
            self._end(place)
            place.entry.value = failure
        else:
            place.move(PlaceState.ON_DISK)
            self.spilled += place.size
            self._refuse_wanted(place, Failure("store_full", f"{place.name} could not be brought back from disk: {reason}"))


def _damaged(place: Place, reason: str) -> Failure:
    return Failure(
        "lost",
        f"Object {place.object_id:#x}, made by {place.name}, {place.size:,} bytes, was moved to disk and cannot be read back: "
        f"{reason}. Make it again: run its task again, or put it again. Check that disk before you trust it with more.",
        task=place.name,
    )

