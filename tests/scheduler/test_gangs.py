from collections.abc import Callable

import msgspec
import pytest

from nbray.ids import NO_TASK, ObjectId
from nbray.resources import CPU, GPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.actions import Fork, Signal
from tests.scheduler.pretend import Cluster, Driver, Process

ONE = {CPU: UNIT}
TWO = {CPU: 2 * UNIT}


def create(process: Process, *bundles: dict[str, int], **options: object) -> ObjectId:
    """A gang whose value is b"ready"."""
    gang = process.new_object()
    fields = {"gang_id": gang, "bundles": list(bundles), "value": b"ready"} | options
    process.say(messages.CreateGang(**fields))  # type: ignore[arg-type]
    return gang


def table(driver: Driver) -> list[dict[str, object]]:
    """What the scheduler says of its gangs."""
    driver.say(messages.Ask(7, "gangs"))
    return msgspec.msgpack.decode(driver.heard(messages.Answer)[-1].body, type=list[dict[str, object]], strict=False)


def test_bundles_are_set_aside_at_once_where_all_fit() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    gang = create(driver, ONE, ONE)
    assert driver.values[gang] == b"ready"
    assert cluster.scheduler.snapshot(cluster.now).available == {CPU: 0}
    assert [row["state"] for row in table(driver)] == ["CREATED"]


def test_a_gang_is_set_aside_all_or_not_at_all() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    (task,) = driver.submit(driver.template())
    gang = create(driver, ONE, ONE)
    assert gang not in driver.values
    assert cluster.scheduler.snapshot(cluster.now).available == ONE
    next(worker for worker in cluster.workers.values() if worker.task_ids == [task]).finish_all()
    assert driver.values[gang] == b"ready"


def test_what_can_never_be_set_aside_is_refused_at_once() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    gang = create(driver, TWO, ONE)
    assert driver.failure(gang).kind == "infeasible"
    assert "CPU: 3 asked, 2 in the cluster" in driver.failure(gang).message


def test_tasks_draw_from_their_bundle_and_others_from_the_rest() -> None:
    cluster = Cluster(workers=3)
    driver = cluster.driver()
    gang = create(driver, ONE, ONE)
    inside = driver.template("inside", gang=gang, bundle=1)
    driver.submit(inside, 3)
    driver.submit(driver.template("outside"), 3)
    names = sorted(name for worker in cluster.workers.values() for name in map(name_of(cluster), worker.task_ids))
    assert names == ["inside", "outside"]


def name_of(cluster: Cluster) -> Callable[[ObjectId], str]:
    return lambda task_id: cluster.scheduler._objects.entries[task_id].task.template.name  # type: ignore[union-attr]


def test_without_an_index_any_bundle_will_do() -> None:
    cluster = Cluster(workers=3)
    driver = cluster.driver()
    gang = create(driver, ONE, ONE)
    driver.submit(driver.template("inside", gang=gang), 5)
    assert sorted(len(worker.given) for worker in cluster.workers.values()) == [0, 1, 1]


def test_tasks_wait_for_their_gang() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    driver.submit(driver.template("first", cpus=2))
    gang = create(driver, ONE)
    (task,) = driver.submit(driver.template("inside", cpus=0, gang=gang))
    assert not any(task in worker.task_ids for worker in cluster.workers.values())
    for worker in cluster.workers.values():
        worker.finish_all()
    assert any(task in worker.task_ids for worker in cluster.workers.values())


def test_tasks_share_the_failure_of_their_gang() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    driver.submit(driver.template("first", cpus=2))
    gang = create(driver, ONE)
    (task,) = driver.submit(driver.template("inside", gang=gang))
    driver.say(messages.RemoveGang(gang))
    assert driver.failure(task).kind == "gang_removed"
    assert driver.failure(gang).kind == "gang_removed"


@pytest.mark.parametrize(("cpus", "bundle", "said"), [(2.0, -1, "any bundle"), (2.0, 0, "its bundle"), (1.0, 3, "last one is 0")])
def test_a_task_that_fits_no_bundle_is_told(cpus: float, bundle: int, said: str) -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    gang = create(driver, ONE)
    (task,) = driver.submit(driver.template("inside", cpus=cpus, gang=gang, bundle=bundle))
    assert said in driver.failure(task).message


def test_removal_ends_what_is_queued_and_what_runs() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    gang = create(driver, ONE)
    running, queued = driver.submit(driver.template("inside", gang=gang), 2)
    worker = next(worker for worker in cluster.workers.values() if worker.given)
    driver.say(messages.RemoveGang(gang))
    assert driver.failure(queued).kind == "gang_removed"
    assert Signal(worker.slot, 9) in cluster.actions
    worker.die(running)
    assert driver.failure(running).kind == "gang_removed"
    assert cluster.scheduler.snapshot(cluster.now).available == TWO
    (late,) = driver.submit(driver.template("late", gang=gang))
    assert "has been removed" in driver.failure(late).message


def test_a_gang_that_nobody_holds_ends_when_nothing_runs_in_it() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    gang = create(driver, ONE)
    driver.submit(driver.template("inside", gang=gang))
    driver.say(messages.Released([gang]))
    assert table(driver)
    for worker in cluster.workers.values():
        worker.finish_all()
    cluster.wait(1)
    assert not table(driver)
    assert cluster.scheduler.snapshot(cluster.now).available == TWO


def test_a_pending_gang_that_nobody_holds_is_given_up() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    driver.submit(driver.template("first", cpus=2))
    driver.say(messages.Released([create(driver, ONE)]))
    assert not table(driver)


def test_a_detached_gang_stays() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    driver.say(messages.Released([create(driver, ONE, detached=True, name="kept")]))
    assert [row["name"] for row in table(driver)] == ["kept"]
    driver.say(messages.Ask(8, "gang", text="kept"))
    assert msgspec.msgpack.decode(driver.heard(messages.Answer)[-1].body, type=bytes) == b"ready"


def test_a_name_that_is_taken_is_refused() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    create(driver, ONE, name="pair")
    assert "'pair' exists" in driver.failure(create(driver, ONE, name="pair")).message


def test_the_gangs_of_a_job_end_with_it() -> None:
    cluster = Cluster(workers=2)
    driver, other = cluster.driver("a"), cluster.driver("b")
    create(driver, ONE)
    driver.say(messages.Goodbye(stop=True))
    assert not table(other)


def busy_cluster() -> tuple[Cluster, Driver, ObjectId]:
    """Two CPUs that a stream of tasks never leaves free at the same time, and a gang that needs both."""
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    template = driver.template("stream")
    driver.submit(template, 200)
    return cluster, driver, create(driver, ONE, ONE)


def test_a_gang_is_not_starved_by_a_stream_of_tasks() -> None:
    cluster, driver, gang = busy_cluster()
    for _ in range(12):
        for worker in cluster.workers.values():
            cluster.wait(0.3)
            worker.finish_all(micros=600_000)
    assert driver.values[gang] == b"ready"


def test_others_go_on_while_a_gang_waits_for_a_long_task() -> None:
    """Worker 0 never ends its task; the gang's claims pause, and worker 1 works in the pauses."""
    cluster, driver, gang = busy_cluster()
    done = 0
    for _ in range(64):
        cluster.wait(0.5)
        done += cluster.workers[1].finish_all(micros=500_000)
    assert gang not in driver.values
    assert 16 <= done <= 44


def test_a_bundle_has_gpus_of_its_own() -> None:
    cluster = Cluster(workers=1, resources={CPU: 8 * UNIT, GPU: 2 * UNIT})
    driver = cluster.driver()
    gang = create(driver, {CPU: UNIT, GPU: UNIT})
    driver.submit(driver.template("outside", resources={GPU: UNIT}))
    driver.submit(driver.template("inside", resources={GPU: UNIT}, gang=gang))
    assert {fork.gpus for fork in cluster.taken(Fork) if fork.gpus} == {(0,), (1,)}
    driver.submit(driver.template("more", resources={GPU: UNIT}))
    assert len(cluster.taken(Fork)) == 3


def test_no_task_is_no_gang() -> None:
    assert messages.Template(1, b"", "f", "", {}).gang == NO_TASK  # type: ignore[arg-type]
