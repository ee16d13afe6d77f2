import pytest

from nbray.scheduler import messages
from nbray.scheduler.actions import Punch
from nbray.scheduler.events import MemoryHeadroom, WorkerExited
from nbray.scheduler.messages import Granted, Refused, Stored
from tests.scheduler.audit import audit
from tests.scheduler.pretend import MEBIBYTE, Cluster, Driver


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=1)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


def used(cluster: Cluster) -> int:
    """Bytes of the store that count."""
    audit(cluster.scheduler)
    return cluster.scheduler.snapshot(cluster.now).store.used


def test_an_extent_lives_with_its_object(cluster: Cluster, driver: Driver) -> None:
    number = driver.put(driver.store(MEBIBYTE))
    assert used(cluster) == MEBIBYTE
    driver.say(messages.Released([number]))
    assert used(cluster) == 0


def test_a_freed_extent_is_warm_for_the_next(driver: Driver) -> None:
    driver.say(messages.Released([driver.put(driver.store(MEBIBYTE))]))
    again = driver.allocate(MEBIBYTE)
    assert isinstance(again, Granted)
    assert again.warm


def test_over_the_limit_is_refused_with_sizes(driver: Driver) -> None:
    driver.put(driver.store(60 * MEBIBYTE))
    reply = driver.allocate(10 * MEBIBYTE)
    assert isinstance(reply, Refused)
    assert reply.failure.kind == "store_full"
    assert "no room for 10 MiB: 60 MiB of 64 MiB are in use" in reply.failure.message


def test_small_values_count_too(cluster: Cluster, driver: Driver) -> None:
    for _ in range(4):
        driver.put(b"x" * MEBIBYTE)
    assert used(cluster) == 4 * MEBIBYTE
    assert isinstance(driver.allocate(61 * MEBIBYTE), Refused)
    assert isinstance(driver.allocate(60 * MEBIBYTE), Granted)
    full = driver.put(b"x" * MEBIBYTE)
    assert driver.failure(full).kind == "store_full"


def test_an_extent_may_be_given_back(cluster: Cluster, driver: Driver) -> None:
    stored = driver.store(MEBIBYTE)
    driver.say(messages.GiveBack(stored.offset))
    driver.say(messages.GiveBack(stored.offset))
    assert used(cluster) == 0


def test_what_a_dead_process_was_writing_is_freed(cluster: Cluster, driver: Driver) -> None:
    worker = cluster.workers[0]
    stored = worker.store(MEBIBYTE)
    worker.leave()
    assert used(cluster) == MEBIBYTE, "it may still be writing"

    cluster.do(WorkerExited(0, None, 9))
    assert used(cluster) == 0
    assert Punch(stored.offset, MEBIBYTE) in cluster.actions


def test_an_extent_of_another_process_is_not_taken_over(cluster: Cluster, driver: Driver) -> None:
    stored = driver.store(MEBIBYTE)
    thief = cluster.driver("b")
    number = thief.put(Stored(stored.offset, stored.size))
    assert thief.failure(number).kind == "lost"
    assert used(cluster) == MEBIBYTE


def test_idle_pages_go_back_to_the_system(cluster: Cluster, driver: Driver) -> None:
    driver.say(messages.Released([driver.put(driver.store(MEBIBYTE))]))
    cluster.wait(cluster.config.idle_return - 1)
    assert not cluster.taken(Punch)
    cluster.wait(2 * cluster.config.idle_return)
    assert sum(punch.size for punch in cluster.taken(Punch)) == MEBIBYTE
    assert cluster.scheduler.next_deadline() is None or cluster.scheduler._extents._allocator.idle == 0


def test_no_more_is_granted_than_the_machine_has_memory_for(cluster: Cluster, driver: Driver) -> None:
    cluster.do(MemoryHeadroom(10 * MEBIBYTE))
    first = driver.allocate(8 * MEBIBYTE)
    assert isinstance(first, Granted)
    second = driver.allocate(8 * MEBIBYTE)
    assert isinstance(second, Refused)
    assert "The machine has no memory for 8 MiB" in second.failure.message
    driver.say(messages.GiveBack(first.offset))
    cluster.do(MemoryHeadroom(10 * MEBIBYTE))
    assert isinstance(driver.allocate(8 * MEBIBYTE), Granted)
