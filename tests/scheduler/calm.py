"""The second phase of a simulation: nothing goes wrong any more, so everything must end, and in the end nothing may be left."""

from __future__ import annotations

from nbray.scheduler import messages
from nbray.scheduler.events import Tick
from nbray.scheduler.gangs import LOOK_SECONDS
from nbray.scheduler.states import GangState
from tests.scheduler.audit import pending_tasks
from tests.scheduler.world import JOBS, World

MOST_STEPS = 100_000
LONG_QUIET = 16
"""Deadlines that pass without anything being done: somebody holds what others wait for."""


class Calm:
    """Lets a world come to rest, and looks at what is left of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._scheduler = world.scheduler

    def come(self) -> None:
        """All of it, to the end of the cluster."""
        world = self._world
        world.faults.calm()
        for job in JOBS:
            if job not in [driver.job for driver in world.drivers]:
                world.join_driver(job)
        for process in (*world.drivers, *world.workers.values()):
            process.streams.catch_up()
        self._settle()
        self._check_all_ended()
        for process in (*world.drivers, *world.workers.values()):
            process.leave_tidily()
        self._settle()
        self._check_nothing_left()
        self._check_end()

    def _settle(self) -> None:
        """Go on until nothing moves and nothing is pending."""
        world, quiet = self._world, 0
        for _ in range(MOST_STEPS):
            if world.move():
                quiet = 0
                continue
            if self._reply():
                continue
            quiet += 1
            if quiet % LONG_QUIET == 0 and (self._kill_actor() or self._remove_gang()):
                continue
            busy = any(not worker.idle() for worker in world.workers.values()) or any(one.writing for one in world.drivers)
            if not busy and not pending_tasks(self._scheduler) and not self._scheduler._gangs.pending:
                return
            if not world.pass_time() and not self._remove_gang() and not self._kill_actor():
                break
        raise AssertionError(f"I7: these never end: {pending_tasks(self._scheduler)}, {self._scheduler._gangs.pending}")

    def _reply(self) -> bool:
        """A person answers what tasks ask; False when none does."""
        waiting = [task_id for task_id in self._scheduler._prompts._open if self._scheduler._prompts.waits(task_id)]
        for task_id in waiting:
            self._world.drivers[0].reply(task_id)
        return bool(waiting)

    def _kill_actor(self) -> bool:
        """What others wait for may be an actor's for as long as somebody has a handle; False when no actor has any.

        One that is to end after its calls counts: these may wait for tasks that need what it holds.
        """
        for worker in self._scheduler._fleet.hosts.values():
            actor = worker.actor
            lives_on = actor is not None and (actor.death is None or actor.draining)
            if actor is not None and lives_on and worker.shape is not None and worker.shape.amounts:
                self._world.drivers[0].say(messages.KillActor(actor.actor_id))
                return True
        return False

    def _remove_gang(self) -> bool:
        """What others wait for may be set aside, and whoever did that removes it in the end; False when nothing is."""
        reserved = [gang.gang_id for gang in self._scheduler._gangs.gangs.values() if gang.state is GangState.RESERVED]
        if reserved:
            self._world.drivers[0].say(messages.RemoveGang(reserved[0]))
        return bool(reserved)

    def _check_all_ended(self) -> None:
        self._world.audit()
        for driver in self._world.drivers:
            unknown = [object_id for object_id, value in driver.refs.items() if value is None]
            assert not unknown, f"I1: process {driver.process_id} was never told of {unknown}"
            assert not driver.requests, "a cancel was never answered"

    def _check_nothing_left(self) -> None:
        """I4 and I5 once every reference is gone; those of lost drivers live in the records of their cell runs."""
        scheduler, world = self._scheduler, self._world
        for run in list(scheduler._jobs.runs()):
            scheduler._jobs.release(run)
        self._end_actors()
        world.now += LOOK_SECONDS
        world.do(Tick())  # by then every gang was looked at that nobody holds
        assert not scheduler._gangs.gangs, "gangs are left that nobody holds"
        world.audit()
        self._check_only_circles()
        assert scheduler._spilling.places or not (world.disk.copies or world.disk.jobs), "files are left on the disk"
        assert scheduler._pool.available == scheduler._pool.total, "I4: resources are left"
        assert not any(process.held for process in scheduler._processes.values())
        assert scheduler._registry.counts() == (0, 0), "functions or templates are left"
        assert not scheduler._cancels.unanswered

    def _end_actors(self) -> None:
        """Without handles only detached actors are left, and those that are in circles or among arguments for restarts."""
        self._world.do(Tick())
        self._settle()
        contained = {object_id for entry in self._scheduler._objects.entries.values() for object_id in entry.nested or ()}
        contained |= {object_id for actor in self._scheduler._calls.table.values() for object_id in actor.pinned}
        for actor in list(self._scheduler._calls.table.values()):
            assert actor.spec.detached or actor.actor_id in contained, f"nobody has a handle of {actor}"
            self._world.drivers[0].say(messages.KillActor(actor.actor_id))
        self._settle()
        assert not self._scheduler._fleet.hosts, "workers still host actors"
        assert self._scheduler._fleet.active() >= self._scheduler._fleet.least, "workers are missing"

    def _check_only_circles(self) -> None:
        """I5: what counting references cannot free, objects that contain each other, is all that may be left."""
        entries = self._scheduler._objects.entries
        contained = {object_id for entry in entries.values() for object_id in entry.nested or ()}
        assert set(entries) <= contained, f"I5: objects are left: {[entries[number] for number in set(entries) - contained]}"
        assert entries or self._scheduler._extents.used == 0, "I5: bytes are left"
        self._world.seen["circles"] += bool(entries)

    def _check_end(self) -> None:
        """The last driver leaves: the cluster lingers, then ends."""
        world = self._world
        while world.drivers:
            world.end(world.drivers[0], exit_code=0)
        while world.move():
            assert not world.stopped
        left = world.now
        while not world.stopped:
            assert world.pass_time(), "the cluster does not end"
        assert world.now >= left + 29, world.stopped
