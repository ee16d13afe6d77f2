from nbray.resources import CPU, GPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.actions import Fork
from nbray.scheduler.room import idle_special
from tests.scheduler.pretend import Cluster


def test_as_many_special_workers_start_as_can_run() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    driver.submit(driver.template("f", profile=b"A"), 10)
    assert [fork.profile for fork in cluster.taken(Fork)] == [b"", b"", b"A", b"A"]


def test_tasks_without_cpus_do_not_fill_the_machine_with_special_workers() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    driver.submit(driver.template("f", cpus=0, profile=b"A"), 1000)
    assert len(cluster.taken(Fork)) == 2 + 34


def test_a_profile_with_gpus_needs_a_worker_of_both() -> None:
    cluster = Cluster(workers=1, resources={CPU: 4 * UNIT, GPU: UNIT})
    driver = cluster.driver()
    driver.submit(driver.template("f", resources={GPU: UNIT}, profile=b"A"))
    (worker,) = cluster.start_workers()
    assert (worker.gpus, worker.profile) == ((0,), b"A")
    worker.finish_all()
    driver.submit(driver.template("g", resources={GPU: UNIT}))
    assert worker.heard(messages.Exit), "it sits on the GPU with another profile"
    (successor,) = cluster.start_workers()
    assert (successor.gpus, successor.profile) == ((0,), b"")


def test_a_worker_with_gpus_is_none_for_tasks_without() -> None:
    cluster = Cluster(workers=1, resources={CPU: 4 * UNIT, GPU: UNIT})
    driver = cluster.driver()
    driver.submit(driver.template("f", resources={GPU: UNIT}, profile=b"A"))
    (worker,) = cluster.start_workers()
    worker.finish_all()
    scheduler = cluster.scheduler
    plain = scheduler._pool.shape({CPU: UNIT}, b"A")
    with_gpu = scheduler._pool.shape({CPU: UNIT, GPU: UNIT}, b"A")
    assert idle_special(scheduler._pool, scheduler._fleet, plain) is None
    found = idle_special(scheduler._pool, scheduler._fleet, with_gpu)
    assert found is not None
    assert found.slot == worker.slot
