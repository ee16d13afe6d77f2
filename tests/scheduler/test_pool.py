import pytest

from nbray.resources import CPU, GPU, MEMORY, UNIT
from nbray.scheduler.pool import Pool
from nbray.scheduler.worker_records import Worker


def test_the_same_amounts_are_the_same_shape() -> None:
    pool = Pool({CPU: 2 * UNIT})
    assert pool.shape({CPU: UNIT, "disk": 1}) is pool.shape({"disk": 1, CPU: UNIT})


def test_lease_and_release_leave_nothing_behind() -> None:
    pool = Pool({CPU: 2 * UNIT, GPU: 2 * UNIT})
    shape, worker = pool.shape({CPU: UNIT, GPU: UNIT}), Worker(0, (1,))
    pool.lease(worker, shape)
    assert pool.available == {CPU: UNIT, GPU: UNIT}
    assert pool.devices == [UNIT, 0]
    pool.release(worker)
    pool.release(worker)
    assert pool.available == pool.total
    assert pool.devices == [UNIT, UNIT]


def test_a_blocked_worker_gives_up_its_cpus_and_keeps_the_rest() -> None:
    pool = Pool({CPU: UNIT, MEMORY: 8, GPU: UNIT})
    shape, worker = pool.shape({CPU: UNIT, MEMORY: 8, GPU: UNIT}), Worker(0, (0,))
    pool.lease(worker, shape)
    pool.block(worker)
    assert pool.available == {CPU: UNIT, MEMORY: 0, GPU: 0}
    assert not shape.workers
    other = Worker(1, ())
    pool.lease(other, pool.shape({CPU: UNIT}))
    pool.unblock(worker)
    assert pool.available[CPU] == -UNIT
    pool.release(other)
    pool.release(worker)
    assert pool.available == pool.total


def test_a_worker_that_ends_blocked_returns_everything() -> None:
    pool = Pool({CPU: UNIT})
    worker = Worker(0, ())
    pool.lease(worker, pool.shape({CPU: UNIT}))
    pool.block(worker)
    pool.release(worker)
    assert pool.available == {CPU: UNIT}


def test_how_many_more_leases_fit() -> None:
    pool = Pool({CPU: 3 * UNIT})
    assert pool.how_many(pool.shape({CPU: UNIT // 2}), 10) == 6
    assert pool.how_many(pool.shape({CPU: UNIT // 2}), 4) == 4
    assert pool.how_many(pool.shape({}), 7) == 7
    assert pool.how_many(pool.shape({"disk": 1}), 7) == 0


@pytest.mark.parametrize(
    ("units", "taken", "devices"),
    [
        (UNIT, set(), (0,)),
        (UNIT, {0}, (1,)),
        (2 * UNIT, set(), (0, 1)),
        (2 * UNIT, {0}, None),
        (UNIT // 2, set(), (2,)),  # the one that is in use already, so that whole ones stay whole
    ],
)
def test_devices_for_a_new_worker(units: int, taken: set[int], devices: tuple[int, ...] | None) -> None:
    pool = Pool({GPU: 3 * UNIT})
    pool.lease(Worker(0, (2,)), pool.shape({GPU: UNIT // 2}))
    starting = [Worker(1, (index,)) for index in taken]
    assert pool.free_devices(pool.shape({GPU: units}), starting) == devices


def test_what_can_never_be_met() -> None:
    pool = Pool({CPU: 2 * UNIT, GPU: 4 * UNIT})
    assert pool.impossible({CPU: 2 * UNIT}) == ""
    assert pool.impossible({CPU: 8 * UNIT}) == "CPU: 8 asked, 2 in the cluster"
    assert "whole numbers" in pool.impossible({GPU: UNIT + UNIT // 2})
