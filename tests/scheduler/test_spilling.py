"""What leaves the store and comes back, step by step; `test_simulation` has the rest, in any order."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from nbray.ids import NO_TASK, ObjectId
from nbray.scheduler import messages
from nbray.scheduler.actions import RemoveSpilled, Restore, Send, Spill
from nbray.scheduler.events import MemoryHeadroom, RestoreDone, RestoreFailed, SpillDone, SpillFailed
from nbray.scheduler.messages import Failure, Fetched, Granted, LetGo, Refused, Spilled, Stored
from tests.scheduler.audit import audit
from tests.scheduler.pretend import MEBIBYTE, Cluster, Driver, Process
from tests.scheduler.test_actors import created

CHECKSUM = 77


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=1, spill_directory="/disk")


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


def fill(driver: Driver, count: int = 3, size: int = 20 * MEBIBYTE) -> list[ObjectId]:
    """So many objects in a store of 64 MiB."""
    return [driver.put(driver.store(size)) for _ in range(count)]


def ask(process: Process, size: int = 12 * MEBIBYTE, request_id: int = 5) -> None:
    process.say(messages.Allocate(request_id, size))


def let_go(process: Process, in_use: Iterable[ObjectId] = ()) -> list[ObjectId]:
    """Answer every LetGo that is not answered; returns the objects that they named."""
    named: list[ObjectId] = []
    answered: int = getattr(process, "answered", 0)
    for message in process.heard(LetGo)[answered:]:
        process.say(messages.LetGone(message.request_id, list(in_use)))
        named += message.object_ids
        answered += 1
    process.answered = answered  # type: ignore[attr-defined]
    return named


def written(cluster: Cluster) -> list[ObjectId]:
    """Carry out every Spill that was not; returns their objects."""
    done = getattr(cluster, "spills_done", 0)
    spills = cluster.taken(Spill)[done:]
    cluster.spills_done = done + len(spills)  # type: ignore[attr-defined]
    for spill in spills:
        cluster.do(SpillDone(spill.object_id, CHECKSUM))
    return [spill.object_id for spill in spills]


def spill_one(cluster: Cluster, driver: Driver) -> list[ObjectId]:
    """Objects of which the first is on disk."""
    objects = fill(driver)
    ask(driver)
    assert let_go(driver)[0] == objects[0]
    written(cluster)
    assert [granted.request_id for granted in driver.heard(Granted)] == [1, 1, 1, 5]
    driver.say(messages.GiveBack(driver.heard(Granted)[-1].offset))
    audit(cluster.scheduler)
    return objects


def fetch(driver: Process, object_id: ObjectId, request_id: int = 8) -> messages.Value:
    """Ask for an object, and let it come back from disk if need be."""
    before = len(driver.cluster.taken(Restore))
    driver.say(messages.Fetch(request_id, object_id))
    for restore in driver.cluster.taken(Restore)[before:]:
        assert restore.checksum == CHECKSUM
        driver.cluster.do(RestoreDone(restore.object_id))
    reply = driver.heard(Fetched)[-1]
    assert (reply.request_id, reply.object_id) == (request_id, object_id)
    return reply.value


# ---------------------------------------------------------------- out


def test_the_least_recently_used_object_makes_room(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    driver.say(messages.Subscribe([objects[0]]))
    ask(driver)
    assert let_go(driver)[0] == objects[1]
    assert driver.heard(Refused) == []
    assert written(cluster)[0] == objects[1]
    assert driver.heard(Granted)[-1].request_id == 5


def test_nothing_is_freed_before_every_holder_has_let_go_and_the_disk_has_it(cluster: Cluster, driver: Driver) -> None:
    (first, *_) = fill(driver)
    other = cluster.driver("b.ipynb")
    other.say(messages.Held([first]))
    ask(driver)
    let_go(driver)
    assert first not in [spill.object_id for spill in cluster.taken(Spill)]
    let_go(other)
    assert first in [spill.object_id for spill in cluster.taken(Spill)]
    granted = len(driver.heard(Granted))
    cluster.do(SpillDone(first, CHECKSUM))
    assert len(driver.heard(Granted)) == granted + 1


def test_what_a_process_reads_stays_and_another_goes(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    ask(driver)
    assert objects[0] in let_go(driver, in_use=objects[:1])
    let_go(driver)
    assert written(cluster)
    assert isinstance(fetch(driver, objects[0]), Stored)
    assert cluster.taken(Restore) == []


def test_what_a_task_inside_a_worker_needs_stays(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    template = driver.template("f")
    (task,) = driver.submit(template, deps=[objects[0]])
    assert cluster.workers[0].task_ids == [task]
    ask(driver)
    assert objects[0] not in let_go(driver)
    cluster.workers[0].finish(task)


def test_all_in_use_waits_for_a_while_and_is_then_refused_with_the_reason(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    ask(driver)
    for _ in range(30):
        let_go(driver, in_use=objects)
        cluster.wait(0.06)
    (refused,) = driver.heard(Refused)
    assert "60 MiB of 64 MiB are in use. What could be moved to disk is in use by arrays" in refused.failure.message
    audit(cluster.scheduler)


def test_more_than_the_whole_store_is_refused_at_once(driver: Driver) -> None:
    fill(driver)
    ask(driver, 65 * MEBIBYTE)
    assert len(driver.heard(Refused)) == 1


def test_without_a_disk_nothing_leaves_and_the_reason_is_said() -> None:
    cluster = Cluster(workers=1, spill_problem="/home/me is kept in memory (tmpfs)")
    driver = cluster.driver()
    fill(driver)
    ask(driver)
    assert "Nothing can be moved to disk: /home/me is kept in memory (tmpfs)." in driver.heard(Refused)[0].failure.message
    assert driver.heard(LetGo) == []


def test_a_full_disk_loses_nothing_and_is_named(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    ask(driver)
    let_go(driver)
    for spill in cluster.taken(Spill):
        cluster.do(SpillFailed(spill.object_id, "No space left on device"))
    cluster.spills_done = 1  # type: ignore[attr-defined]
    cluster.wait(2)
    assert "Nothing can be moved to disk: No space left on device." in driver.heard(Refused)[0].failure.message
    assert all(isinstance(fetch(driver, object_id), Stored) for object_id in objects)
    cluster.wait(5)
    ask(driver)
    let_go(driver)
    assert written(cluster)


def test_a_full_disk_is_tried_again_without_the_copies_of_what_came_back(cluster: Cluster, driver: Driver) -> None:
    objects = spill_one(cluster, driver)
    assert isinstance(fetch(driver, objects[0]), Stored)
    ask(driver)
    let_go(driver)
    failed = cluster.taken(Spill)[1:]
    assert [spill.object_id for spill in failed] == [objects[1]]
    cluster.do(SpillFailed(objects[1], "No space left on device"))
    assert cluster.taken(RemoveSpilled) == [RemoveSpilled(objects[0])]
    cluster.spills_done = 2  # type: ignore[attr-defined]
    let_go(driver)
    assert written(cluster)
    assert driver.heard(Granted)[-1].request_id == 5
    assert driver.heard(Refused) == []
    audit(cluster.scheduler)


def test_a_process_that_does_not_answer_is_taken_to_read(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    other = cluster.driver("b.ipynb")
    other.say(messages.Held([objects[0]]))
    ask(driver)
    let_go(driver)
    cluster.wait(0.6)
    assert isinstance(fetch(driver, objects[0]), Stored)
    late = other.heard(LetGo)[0]
    other.say(messages.LetGone(late.request_id))
    audit(cluster.scheduler)


def test_a_process_that_leaves_needs_no_asking(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    other = cluster.driver("b.ipynb")
    other.say(messages.Held(objects[:1]))
    ask(driver)
    let_go(driver)
    other.leave()
    assert objects[0] in written(cluster)


def test_where_an_object_is_is_never_told_after_the_news_that_it_goes(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    ask(driver)
    let_go(driver, in_use=objects)
    cluster.now += 0.2
    cluster.actions.clear()
    driver.say(messages.Subscribe(objects))
    kinds = [type(action.message) for action in cluster.taken(Send)]
    assert messages.Ready in kinds
    assert LetGo not in kinds or kinds.index(messages.Ready) < kinds.index(LetGo)


def test_room_is_made_ahead_while_more_is_wanted(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver, 15, 4 * MEBIBYTE)
    ask(driver, 6 * MEBIBYTE)
    let_go(driver)
    gone = written(cluster)
    assert gone == objects[: len(gone)]
    assert len(gone) == 3, "6 MiB are wanted, 4 are free, and 8 are to be kept free ahead"


def test_objects_leave_too_when_the_machine_has_no_memory_for_more(cluster: Cluster, driver: Driver) -> None:
    cluster.do(MemoryHeadroom(30 * MEBIBYTE))
    objects = fill(driver, 1)
    ask(driver, 20 * MEBIBYTE)
    assert let_go(driver) == objects
    assert written(cluster) == objects
    assert driver.heard(Granted)[-1].warm, "the pages of the one that left"
    ask(driver, 40 * MEBIBYTE, request_id=6)
    cluster.wait(2)
    assert driver.heard(Refused)[0].failure.message.startswith("The machine has no memory for 40 MiB more in the store")
    audit(cluster.scheduler)


def test_small_values_may_exceed_the_limit_while_stored_ones_make_way(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    small = [driver.put(b"x" * MEBIBYTE) for _ in range(6)]
    assert driver.heard(messages.Ready) == [], "none was refused"
    assert let_go(driver)[0] == objects[0]
    assert written(cluster)
    assert cluster.scheduler.snapshot(cluster.now).store.used <= 64 * MEBIBYTE
    driver.say(messages.Released(small))
    audit(cluster.scheduler)


# ---------------------------------------------------------------- back


def test_an_object_comes_back_elsewhere_and_its_copy_is_kept(cluster: Cluster, driver: Driver) -> None:
    objects = spill_one(cluster, driver)
    assert cluster.scheduler.snapshot(cluster.now).store.spilled == 20 * MEBIBYTE
    driver.say(messages.Subscribe(objects[:1]))
    assert driver.values[objects[0]] == Spilled(20 * MEBIBYTE), "it exists: who only waits for it need not have it back"
    value = fetch(driver, objects[0])
    assert cluster.scheduler.snapshot(cluster.now).store.spilled == 0
    assert isinstance(value, Stored)
    assert value.restored == 1
    ask(driver, 60 * MEBIBYTE)
    assert set(let_go(driver)) == set(objects)
    assert objects[0] not in written(cluster), "what was written once is good for ever"
    assert driver.heard(Granted)[-1].size == 60 * MEBIBYTE


def test_two_processes_that_want_it_get_it_by_one_reading(cluster: Cluster, driver: Driver) -> None:
    objects = spill_one(cluster, driver)
    other = cluster.driver("b.ipynb")
    other.say(messages.Held(objects[:1]))
    other.say(messages.Fetch(3, objects[0]))
    driver.say(messages.Fetch(8, objects[0]))
    cluster.do(RestoreDone(objects[0]))
    assert other.heard(Fetched)[0].value == driver.heard(Fetched)[0].value
    assert len(cluster.taken(Restore)) == 1


def test_one_that_is_wanted_while_it_leaves_stays(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    ask(driver)
    assert fetch(driver, objects[0]) == Stored(0, 20 * MEBIBYTE)
    let_go(driver)  # the answer to a question that has lost its meaning
    audit(cluster.scheduler)
    assert objects[0] not in [spill.object_id for spill in cluster.taken(Spill)]


def test_one_that_is_wanted_while_it_is_written_comes_back_from_memory(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    ask(driver)
    let_go(driver)
    driver.say(messages.Fetch(8, objects[0]))
    assert driver.heard(Fetched) == []
    written(cluster)
    assert driver.heard(Fetched)[0].value == Stored(0, 20 * MEBIBYTE)
    assert cluster.taken(Restore) == []


def test_an_object_that_comes_back_makes_others_go(cluster: Cluster, driver: Driver) -> None:
    objects = spill_one(cluster, driver)
    driver.put(driver.store(20 * MEBIBYTE))
    driver.say(messages.Fetch(8, objects[0]))
    assert let_go(driver)[0] == objects[1]
    let_go(driver)
    written(cluster)
    (restore,) = cluster.taken(Restore)
    cluster.do(RestoreDone(restore.object_id))
    assert isinstance(driver.heard(Fetched)[0].value, Stored)


def test_one_for_which_no_room_can_be_made_is_refused_and_can_be_asked_for_again(cluster: Cluster, driver: Driver) -> None:
    objects = spill_one(cluster, driver)
    last = driver.put(driver.store(20 * MEBIBYTE))
    driver.say(messages.Fetch(8, objects[0]))
    for _ in range(30):
        let_go(driver, in_use=[*objects, last])
        cluster.wait(0.06)
    (refused,) = driver.heard(Refused)
    assert refused.request_id == 8
    assert refused.failure.kind == "store_full"
    driver.say(messages.Released([last]))
    assert isinstance(fetch(driver, objects[0], 9), Stored)


def test_damage_is_told_by_name_to_everybody_who_asks(cluster: Cluster, driver: Driver) -> None:
    objects = spill_one(cluster, driver)
    driver.say(messages.Fetch(8, objects[0]))
    cluster.do(RestoreFailed(objects[0], "its checksum is not the one with which it was written", damaged=True))
    failure = driver.heard(Fetched)[0].value
    assert isinstance(failure, Failure)
    assert failure.kind == "lost"
    assert "made by nbray.put, 20,971,520 bytes, was moved to disk and cannot be read back: its checksum" in failure.message
    assert cluster.taken(RemoveSpilled) == [RemoveSpilled(objects[0])]
    assert fetch(driver, objects[0], 9) == failure
    audit(cluster.scheduler)


def test_the_result_of_a_task_is_lost_under_the_name_of_the_task(cluster: Cluster, driver: Driver) -> None:
    worker = cluster.workers[0]
    (task,) = driver.submit(driver.template("load_images"))
    worker.finish(task, value=worker.store(20 * MEBIBYTE))
    fill(driver, 2)
    ask(driver)
    let_go(driver)
    written(cluster)
    driver.say(messages.Fetch(8, task))
    cluster.do(RestoreFailed(task, "its file ends after 5 bytes", damaged=True))
    failure = driver.heard(Fetched)[0].value
    assert isinstance(failure, Failure)
    assert failure.task == "load_images"
    assert "made by load_images" in failure.message


def test_a_reading_that_failed_for_want_of_memory_can_be_tried_again(cluster: Cluster, driver: Driver) -> None:
    objects = spill_one(cluster, driver)
    driver.say(messages.Fetch(8, objects[0]))
    cluster.do(RestoreFailed(objects[0], "Cannot allocate memory", damaged=False))
    assert "could not be brought back from disk: Cannot allocate memory" in driver.heard(Refused)[0].failure.message
    audit(cluster.scheduler)
    assert isinstance(fetch(driver, objects[0], 9), Stored)


# ---------------------------------------------------------------- gone


def test_an_object_on_disk_ends_with_its_last_reference(cluster: Cluster, driver: Driver) -> None:
    objects = spill_one(cluster, driver)
    driver.say(messages.Released(objects))
    assert cluster.taken(RemoveSpilled) == [RemoveSpilled(objects[0])]
    audit(cluster.scheduler)


def test_one_that_ends_while_it_is_written_is_freed_and_removed_after_that(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    ask(driver)
    let_go(driver)
    driver.say(messages.Released(objects))
    audit(cluster.scheduler)
    assert cluster.taken(RemoveSpilled) == []
    gone = written(cluster)
    assert [action.object_id for action in cluster.taken(RemoveSpilled)] == gone
    audit(cluster.scheduler)


def test_one_that_ends_while_it_comes_back_is_freed_and_removed_after_that(cluster: Cluster, driver: Driver) -> None:
    objects = spill_one(cluster, driver)
    driver.say(messages.Fetch(8, objects[0]))
    driver.say(messages.Released(objects))
    audit(cluster.scheduler)
    cluster.do(RestoreDone(objects[0]))
    assert cluster.taken(RemoveSpilled) == [RemoveSpilled(objects[0])]
    assert cluster.scheduler.snapshot(cluster.now).store.used == 0


def test_one_that_ends_while_it_leaves_is_freed_at_once(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    ask(driver)
    driver.say(messages.Released(objects))
    assert driver.heard(Granted)[-1].request_id == 5
    let_go(driver)
    audit(cluster.scheduler)
    assert cluster.taken(Spill) == []


# ---------------------------------------------------------------- tasks


def test_a_task_whose_argument_is_on_disk_is_sent_and_fetches_it(cluster: Cluster, driver: Driver) -> None:
    objects = spill_one(cluster, driver)
    worker = cluster.workers[0]
    (task,) = driver.submit(driver.template("f"), deps=objects[:1])
    assert worker.given[0].deps == [(objects[0], Spilled(20 * MEBIBYTE))]
    worker.say(messages.Held(objects[:1]))
    assert isinstance(fetch(worker, objects[0]), Stored)
    worker.finish(task)


def test_a_task_whose_argument_is_just_leaving_keeps_it(cluster: Cluster, driver: Driver) -> None:
    objects = fill(driver)
    ask(driver)
    driver.submit(driver.template("f"), deps=objects[:1])
    assert cluster.workers[0].given[0].deps == [(objects[0], Stored(0, 20 * MEBIBYTE))]


def test_an_actor_gets_few_calls_at_a_time_whose_arguments_are_large(cluster: Cluster, driver: Driver) -> None:
    """What is inside its worker could not make room for what it writes."""
    host = created(driver, actor_id := driver.actor())
    objects = fill(driver, 5, 10 * MEBIBYTE)
    calls = [driver.call(actor_id, driver.method(), deps=[number])[0] for number in objects]
    assert host.task_ids == [actor_id, *calls[:2]]
    ask(driver, 20 * MEBIBYTE)
    assert let_go(driver) == objects[2:4]
    host.finish(calls[0])
    assert host.task_ids == [actor_id, *calls[:3]]
    audit(cluster.scheduler)


def test_a_worker_that_dies_leaves_no_demand(cluster: Cluster, driver: Driver) -> None:
    fill(driver)
    worker = cluster.workers[0]
    ask(worker)
    worker.die(NO_TASK)
    let_go(driver)
    written(cluster)
    audit(cluster.scheduler)
    assert worker.heard(Granted) == []
