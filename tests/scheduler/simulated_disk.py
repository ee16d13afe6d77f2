"""A simulated disk, to which objects go and from which they come back, and what processes do about objects that are there."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from nbray.ids import ObjectId
from nbray.scheduler import messages
from nbray.scheduler.actions import RemoveSpilled, Restore, Spill
from nbray.scheduler.events import RestoreDone, RestoreFailed, SpillDone, SpillFailed
from nbray.scheduler.messages import Failure, Spilled, Stored, Value

if TYPE_CHECKING:
    from tests.scheduler.simulated import Simulated
    from tests.scheduler.world import World

FIRST_REQUEST = 1000
"""Fetches are numbered from here on, above what else is asked for."""

Job = Spill | Restore | RemoveSpilled


class SimulatedDisk:
    """What is on it, and what it is to do; sometimes it is full, sometimes it forgets."""

    def __init__(self, world: World) -> None:
        self.jobs: deque[Job] = deque()
        self.copies: dict[ObjectId, int] = {}
        """Which writing of the arena each object's file holds."""
        self.stalled_until = self.full_until = 0.0
        self._world = world

    def step(self) -> bool:
        """Do one thing; False when there is nothing to do."""
        if not self.jobs:
            return False
        job = self.jobs.popleft()
        if isinstance(job, Spill):
            self._spill(job)
        elif isinstance(job, Restore):
            self._restore(job)
        else:
            del self.copies[job.object_id]
        return True

    def _spill(self, job: Spill) -> None:
        world = self._world
        assert job.object_id not in self.copies, "an object is written twice"
        if self._fails(0.1) or world.now < self.full_until:
            world.seen["not written"] += 1
            world.do(SpillFailed(job.object_id, "No space left on device"))
            return
        self.copies[job.object_id] = world.arena.copy(job.object_id, job.offset)
        world.seen["spilled"] += 1
        world.do(SpillDone(job.object_id, self.copies[job.object_id]))

    def _restore(self, job: Restore) -> None:
        world = self._world
        assert job.checksum == self.copies[job.object_id]
        if self._fails(0.1):
            damaged = world.random.random() < 0.5
            world.seen["damaged" if damaged else "not read"] += 1
            world.do(RestoreFailed(job.object_id, "it cannot be read", damaged=damaged))
            return
        world.arena.fill(job.offset, job.size, self.copies[job.object_id])
        world.seen["restored"] += 1
        world.do(RestoreDone(job.object_id))

    def _fails(self, chance: float) -> bool:
        return self._world.faults.on and self._world.random.random() < chance


class Reader:
    """Of one process: how it lets go of objects, and asks for those on disk."""

    def __init__(self, process: Simulated) -> None:
        self._process = process
        self._asked: dict[int, ObjectId] = {}
        self.needed: set[ObjectId] = set()
        """What the running task needs before it goes on."""
        self.failed = False
        """Something of that will not come."""

    def hear(self, message: messages.FromScheduler) -> bool:
        """Take in a message if it is of this kind."""
        if isinstance(message, messages.LetGo):
            self._let_go(message)
        elif isinstance(message, messages.Fetched):
            self._came(self._asked.pop(message.request_id), message.value)
        elif isinstance(message, messages.Refused) and message.request_id >= FIRST_REQUEST:
            assert message.failure.kind == "store_full"
            self._came(self._asked.pop(message.request_id), message.failure)
        else:
            return False
        return True

    def fetch(self, object_id: ObjectId) -> None:
        """Ask for an object, and hold it meanwhile."""
        request = FIRST_REQUEST + self._process.random.randrange(10**9)
        self._asked[request] = object_id
        self._process.say(messages.Held([object_id]))
        self._process.say(messages.Fetch(request, object_id))

    def need(self, deps: list[tuple[ObjectId, Value]]) -> None:
        """The arguments of the task that begins: those on disk must come first."""
        self.failed = any(isinstance(value, Failure) for _, value in deps)
        self.needed = {object_id for object_id, value in deps if isinstance(value, Spilled)}
        for object_id in sorted(self.needed):
            self.fetch(object_id)

    def on_disk(self) -> list[ObjectId]:
        """What it holds and cannot read."""
        return [object_id for object_id, value in sorted(self._process.refs.items()) if isinstance(value, Spilled)]

    def _let_go(self, message: messages.LetGo) -> None:
        refs, draw, world = self._process.refs, self._process.random, self._process.world
        in_use = []
        for object_id in message.object_ids:
            value = refs.get(object_id)
            if isinstance(value, Stored):
                world.arena.read(object_id, value)
                if world.faults.on and draw.random() < 0.2:
                    in_use.append(object_id)
                else:
                    refs[object_id] = Spilled(value.size, value.nested)
        self._process.say(messages.LetGone(message.request_id, in_use))

    def _came(self, object_id: ObjectId, value: Value) -> None:
        refs = self._process.refs
        if object_id in refs or object_id in self.needed:  # else it was released meanwhile, and may be gone
            self._process.world.arena.read(object_id, value)
        if object_id in self.needed:
            self.needed.remove(object_id)
            self.failed = self.failed or isinstance(value, Failure)
        if object_id not in refs:
            self._process.say(messages.Released([object_id]))
        elif not isinstance(value, Failure):
            refs[object_id] = value
