"""Bugs of the store: objects, extents, references, streams and the disk, planted to see that the simulation finds them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nbray.ids import OBJECT_BITS, ObjectId
from nbray.scheduler.actions import RemoveSpilled
from nbray.scheduler.cell_runs import Job
from nbray.scheduler.messages import Value, Yielded
from nbray.scheduler.ownership import ObjectEntry
from nbray.scheduler.places import Place
from nbray.scheduler.processes import Process
from nbray.scheduler.scheduler import Scheduler
from nbray.store.allocator import Allocator
from tests.scheduler.planting import Bug, replace


def objects_go_with_their_first_release(scheduler: Scheduler) -> None:
    """Bytes are freed while another process still reads them."""

    def release(process: Process, object_ids: Iterable[ObjectId]) -> None:
        for object_id in object_ids:
            entry = scheduler._objects.entries.get(object_id)
            if object_id in process.held and entry is not None:
                process.held.remove(object_id)
                entry.keepers -= 1
                if entry.value is not None and not scheduler._registry._functions:
                    scheduler._objects._delete(entry)

    replace(scheduler._objects, "release", release)


def what_is_inside_an_object_is_not_kept(scheduler: Scheduler) -> None:
    """An object goes although another one contains a reference to it."""
    admit = scheduler._objects._admit

    def admit_alone(entry: ObjectEntry, value: Value, maker: Process | None) -> Value:
        admitted = admit(entry, value, maker)
        nested, entry.nested = entry.nested, None
        scheduler._objects.unpin(nested or ())
        return admitted

    replace(scheduler._objects, "_admit", admit_alone)


def heirs_are_not_the_only_owners(scheduler: Scheduler) -> None:
    """A double free: what passed from a lost driver to the records of its cells is released by both."""
    inherit = scheduler._jobs.inherit

    def inherit_and_keep(job: Job, process: Process) -> None:
        held = set(process.held)
        inherit(job, process)
        process.held = held & scheduler._objects.entries.keys()

    replace(scheduler._jobs, "inherit", inherit_and_keep)


def a_held_object_is_counted_twice(scheduler: Scheduler) -> None:
    """A leaked reference: a process that says twice that it holds an object counts twice."""

    def hold(process: Process, object_ids: Iterable[ObjectId]) -> None:
        for object_id in object_ids:
            entry = scheduler._objects.entries.get(object_id)
            if entry is not None:
                process.held.add(object_id)
                entry.keepers += 1

    replace(scheduler._objects, "hold", hold)


def subscribers_are_not_told(scheduler: Scheduler) -> None:
    """Who asks for an object that is not there yet never hears of it."""

    def forget(entry: ObjectEntry, value: Value, creator: Process | None) -> None:
        entry.subscribers = None

    replace(scheduler._objects, "_push_to_subscribers", forget)


def values_are_pushed_twice(scheduler: Scheduler) -> None:
    """Whoever subscribes gets the value again."""
    push = scheduler._outbox.push

    def push_twice(process: Process, object_id: ObjectId, value: Value) -> None:
        push(process, object_id, value)
        push(process, object_id, value)

    replace(scheduler._outbox, "push", push_twice)


# ---------------------------------------------------------------- extents


def extents_of_the_dead_leak(scheduler: Scheduler) -> None:
    """What a process was writing when it died stays taken."""
    replace(scheduler._extents, "forget", lambda process_id: None)


def an_extent_has_two_owners(scheduler: Scheduler) -> None:
    """A double free: an extent that an object has taken over still counts as granted, and goes with its writer too."""
    granted = scheduler._extents._granted
    replace(scheduler._extents, "seal", lambda process, offset: offset in granted.get(process.process_id, {}))


def the_limit_of_the_store_does_not_count(scheduler: Scheduler) -> None:
    """Extents are handed out as long as the arena has room, by the scheduler and by its allocator."""
    allocator = scheduler._extents._allocator
    assert isinstance(allocator, Allocator)
    allocator.limit *= 3
    scheduler._extents._limit *= 3


# ---------------------------------------------------------------- streams


def items_of_another_attempt_are_delivered_again(scheduler: Scheduler) -> None:
    """A consumer gets the same items twice."""
    yielded = scheduler._streams.yielded

    def forgetful(maker: Process, message: Yielded) -> None:
        entry = scheduler._objects.entries.get(message.task_id)
        if entry is not None and entry.task is not None and message.first == 0:
            entry.task.stream = None
        yielded(maker, message)

    replace(scheduler._streams, "yielded", forgetful)


def an_item_is_skipped_after_a_retry(scheduler: Scheduler) -> None:
    """Off by one: one item more than was delivered is taken for known."""
    yielded = scheduler._streams.yielded

    def skip_one_more(maker: Process, message: Yielded) -> None:
        entry = scheduler._objects.entries.get(message.task_id)
        stream = entry.task.stream if entry is not None and entry.task is not None else None
        again = stream is not None and message.first < stream.delivered
        if again and stream is not None:
            stream.delivered += 1
        yielded(maker, message)

    replace(scheduler._streams, "yielded", skip_one_more)


def items_come_in_the_wrong_order(scheduler: Scheduler) -> None:
    """Those of one message are turned round."""
    yielded = scheduler._streams.yielded

    def turned_round(maker: Process, message: Yielded) -> None:
        message.items.reverse()
        yielded(maker, message)

    replace(scheduler._streams, "yielded", turned_round)


def streams_of_the_gone_go_on(scheduler: Scheduler) -> None:
    """A worker waits for a consumer that is gone."""
    replace(scheduler._streams, "forget", lambda consumer: None)


def workers_do_not_hear_of_their_consumers(scheduler: Scheduler) -> None:
    """A dropped acknowledgement: a stream that has paused never goes on."""
    replace(scheduler._streams, "_tell", lambda task, stream: None)


def items_belong_to_nobody(scheduler: Scheduler) -> None:
    """An item goes though its consumer has it."""
    create = scheduler._objects.create

    def create_and_release(holder: Process, object_id: ObjectId, *args: Any) -> Value:
        value = create(holder, object_id, *args)
        if object_id >> OBJECT_BITS != holder.process_id:
            scheduler._objects.release(holder, [object_id])
        return value

    replace(scheduler._objects, "create", create_and_release)


# ---------------------------------------------------------------- the disk


def objects_leave_without_a_word(scheduler: Scheduler) -> None:
    """Their extents are used again while others still read them there."""
    scheduler._spilling._letting_go._processes = {}


def arguments_leave_while_they_are_read(scheduler: Scheduler) -> None:
    """What a task in a worker reads, where that worker holds no reference, may go."""
    replace(scheduler._spilling, "in_use", lambda: ())


def an_object_that_stays_is_freed(scheduler: Scheduler) -> None:
    """What a process reads just now goes all the same."""
    let_gone = scheduler._spilling.let_gone
    replace(scheduler._spilling, "let_gone", lambda process_id, request_id, in_use: let_gone(process_id, request_id, ()))


def the_dead_are_waited_for(scheduler: Scheduler) -> None:
    """An object that is to leave waits for the word of a process that is gone."""
    replace(scheduler._spilling._letting_go, "forget", lambda process_id: None)


def copies_stay_on_the_disk(scheduler: Scheduler) -> None:
    """An object is gone, and its file is not."""
    end = scheduler._spilling._end

    def end_without_removing(place: Place) -> None:
        place.copied = False
        end(place)

    replace(scheduler._spilling, "_end", end_without_removing)


def copies_go_while_they_are_read(scheduler: Scheduler) -> None:
    """The file of an object that comes back is removed, though it counts as there."""
    restore = scheduler._spilling._restore

    def restore_and_remove(place: Place) -> bool:
        begun = restore(place)
        if begun:
            scheduler._outbox.actions.append(RemoveSpilled(place.object_id))
        return begun

    replace(scheduler._spilling, "_restore", restore_and_remove)


def what_comes_back_is_not_announced(scheduler: Scheduler) -> None:
    """Whoever asked for an object that was on disk waits for ever."""

    def forget(place: Place, value: Value) -> None:
        place.wanted = []

    replace(scheduler._spilling, "_tell", forget)


BUGS: list[Bug] = [
    objects_go_with_their_first_release, what_is_inside_an_object_is_not_kept, heirs_are_not_the_only_owners,
    a_held_object_is_counted_twice, subscribers_are_not_told, values_are_pushed_twice, extents_of_the_dead_leak,
    an_extent_has_two_owners, the_limit_of_the_store_does_not_count, items_of_another_attempt_are_delivered_again,
    an_item_is_skipped_after_a_retry, items_come_in_the_wrong_order, streams_of_the_gone_go_on,
    workers_do_not_hear_of_their_consumers, items_belong_to_nobody, objects_leave_without_a_word,
    arguments_leave_while_they_are_read, an_object_that_stays_is_freed, the_dead_are_waited_for, copies_stay_on_the_disk,
    copies_go_while_they_are_read, what_comes_back_is_not_announced,
]  # fmt: skip
