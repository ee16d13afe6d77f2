"""Bugs of who belongs to the cluster, of resources, gangs and cancels, planted to see that the simulation finds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from nbray.ids import ObjectId, ProcessId
from nbray.resources import fits, take
from nbray.scheduler.cell_runs import Job
from nbray.scheduler.events import Received
from nbray.scheduler.messages import CreateGang, Hello
from nbray.scheduler.pool import Reservoir, Shape
from nbray.scheduler.processes import Process
from nbray.scheduler.scheduler import Scheduler
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_records import Worker
from tests.scheduler.planting import Bug, replace

# ---------------------------------------------------------------- membership


def old_epochs_are_let_in(scheduler: Scheduler) -> None:
    """A missing epoch check: whoever belonged to the cluster before this one is taken for a member."""
    membership = scheduler._membership
    join, epoch = membership.join, membership._epoch

    def join_anyhow(process_id: ProcessId, hello: Hello) -> None:
        join(process_id, msgspec.structs.replace(hello, epoch=epoch))

    replace(membership, "join", join_anyhow)


def the_gone_are_listened_to(scheduler: Scheduler) -> None:
    """Messages that come after the end of a connection are handled."""
    known: dict[ProcessId, Process] = {}

    def received(event: Received) -> None:
        known.update(scheduler._processes)
        process = known.get(event.process)
        if process is not None:
            scheduler._on_message[type(event.message)](process, event.message)

    scheduler._on_event[Received] = received


def the_last_words_of_the_dead_are_not_heard(scheduler: Scheduler) -> None:
    """A worker is done with as soon as it is reaped, though what it sent has not been read to the end."""
    membership = scheduler._membership
    end = membership._end_if_complete

    def end_at_once(worker: Worker) -> None:
        worker.left = worker.left or worker.exited is not None
        end(worker)

    replace(membership, "_end_if_complete", end_at_once)


def who_dies_young_is_not_replaced(scheduler: Scheduler) -> None:
    """A worker that ends before it joins has no successor."""
    replace(scheduler._fleet, "_cannot_start", lambda worker: True)


# ---------------------------------------------------------------- resources


def a_dead_worker_keeps_its_lease(scheduler: Scheduler) -> None:
    """A resource leak: a little with each death."""
    release = scheduler._pool.release

    def release_unless_dead(worker: Worker) -> None:
        if worker.exited is None:
            release(worker)

    replace(scheduler._pool, "release", release_unless_dead)


def who_goes_on_takes_no_cpus(scheduler: Scheduler) -> None:
    """The CPUs of a task that was blocked are handed out twice."""
    unblock = scheduler._pool.unblock

    def unblock_for_free(worker: Worker) -> None:
        assert worker.reservoir is not None
        before = dict(worker.reservoir.home.available)
        unblock(worker)
        worker.reservoir.home.available.update(before)

    replace(scheduler._pool, "unblock", unblock_for_free)


def gpus_are_not_looked_at(scheduler: Scheduler) -> None:
    """A worker gets a GPU task though others use its devices."""
    replace(scheduler._pool, "devices_fit", lambda worker, shape: True)


def leases_are_granted_without_looking(scheduler: Scheduler) -> None:
    """More is handed out than there is."""

    def fits_always(shape: Shape) -> bool:
        return True

    replace(scheduler._pool, "fits", fits_always)


# ---------------------------------------------------------------- gangs


def gangs_are_half_placed(scheduler: Scheduler) -> None:
    """A gang counts as reserved with those of its bundles for which there is room."""
    pool = scheduler._pool
    set_aside = pool.set_aside

    def set_some_aside(bundles: Sequence[Reservoir]) -> bool:
        if set_aside(bundles):
            return True
        fitting = [bundle for bundle in bundles if fits(bundle.total, pool.available)]
        return sum(set_aside([bundle]) for bundle in fitting) > 0

    replace(pool, "set_aside", set_some_aside)


def bundles_are_not_taken_from_the_cluster(scheduler: Scheduler) -> None:
    """What is set aside for a gang is there for others too."""
    pool = scheduler._pool
    set_aside = pool.set_aside

    def set_aside_for_free(bundles: Sequence[Reservoir]) -> bool:
        before = dict(pool.available)
        done = set_aside(bundles)
        pool.available.update(before)
        return done

    replace(pool, "set_aside", set_aside_for_free)


def removed_gangs_keep_their_resources(scheduler: Scheduler) -> None:
    """What was set aside stays so."""
    replace(scheduler._pool, "take_back", lambda reservoir: None)


def removed_gangs_leave_their_tasks(scheduler: Scheduler) -> None:
    """What was queued in a gang that is no more waits for ever."""
    replace(scheduler._gangs, "on_removed", lambda gang: None)


def gangs_are_thought_to_be_there(scheduler: Scheduler) -> None:
    """Tasks of a gang run before it is reserved, from what all have."""
    create = scheduler._gangs.create

    def create_and_settle(process: Process, job: Job, message: CreateGang) -> None:
        create(process, job, message)
        gang = scheduler._gangs.pending.pop(message.gang_id, None)
        if gang is not None:
            for bundle in gang.bundles:
                bundle.available.update(bundle.total)
                take({name: units for name, units in bundle.total.items() if name == "disk"}, scheduler._pool.available)
            scheduler._gangs._settle(scheduler._objects.entries[message.gang_id], message.value)

    replace(scheduler._gangs, "create", create_and_settle)


# ---------------------------------------------------------------- cancels


def running_tasks_are_not_interrupted(scheduler: Scheduler) -> None:
    """A lost cancel: what runs runs on."""
    replace(scheduler._cancellation, "look_at", lambda worker: None)


def who_does_not_end_is_not_killed(scheduler: Scheduler) -> None:
    """A task that ignores its cancel runs on for ever."""
    replace(scheduler._cancellation, "_kill_overdue", lambda worker, task: None)


def the_killer_does_not_look(scheduler: Scheduler) -> None:
    """A cancel kills whatever the worker runs by then."""

    def kill(worker: Worker, task: Task) -> None:
        if worker.slot in scheduler._fleet.workers:
            scheduler._fleet.kill(worker)

    replace(scheduler._cancellation, "_kill_overdue", kill)


def doomed_tasks_are_forgotten(scheduler: Scheduler) -> None:
    """What a cancel has taken out of the lines is never ended."""

    def targets(request: object, runs: object, now: list[Task]) -> Iterator[Task]:
        yield from now

    replace(scheduler._cancels, "_targets", targets)


def cancels_count_some_tasks_twice(scheduler: Scheduler) -> None:
    """A task with several returns counts with each."""
    named = scheduler._cancels._named

    def named_again(request: object, object_id: ObjectId, twice: bool) -> Task | None:
        task = named(request, object_id, twice)  # type: ignore[arg-type]
        if task is None:
            scheduler._cancels._requests[-1].finished += 1
        return task

    replace(scheduler._cancels, "_named", named_again)


def cancels_are_not_answered(scheduler: Scheduler) -> None:
    """A dropped acknowledgement: whoever cancelled waits for the answer for ever."""
    replace(scheduler._cancels, "answer_finished", lambda: None)


BUGS: list[Bug] = [
    old_epochs_are_let_in, the_gone_are_listened_to, the_last_words_of_the_dead_are_not_heard, who_dies_young_is_not_replaced,
    a_dead_worker_keeps_its_lease, who_goes_on_takes_no_cpus, gpus_are_not_looked_at, leases_are_granted_without_looking,
    gangs_are_half_placed, bundles_are_not_taken_from_the_cluster, removed_gangs_keep_their_resources,
    removed_gangs_leave_their_tasks, gangs_are_thought_to_be_there, running_tasks_are_not_interrupted,
    who_does_not_end_is_not_killed, the_killer_does_not_look, doomed_tasks_are_forgotten, cancels_count_some_tasks_twice,
    cancels_are_not_answered,
]  # fmt: skip
