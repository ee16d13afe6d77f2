from __future__ import annotations

from typing import Any

import pytest

from nbray.ids import TaskId
from nbray.scheduler.actions import Signal
from nbray.scheduler.events import MemoryUsed
from tests.scheduler.audit import audit
from tests.scheduler.pretend import Cluster, Driver, Worker
from tests.scheduler.test_actors import created

MB = 1_000_000
TOTAL = 1000 * MB
IDLE = 30 * MB


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=2)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


def sample(cluster: Cluster, *sizes: int, total: int = TOTAL) -> None:
    """So much is taken by each worker, in MB; the rest is free."""
    used = {slot: size * MB for slot, size in enumerate(sizes)}
    cluster.do(MemoryUsed(total - sum(used.values()), total, used))


def run(cluster: Cluster, driver: Driver, count: int = 2, **options: Any) -> list[TaskId]:
    """Tasks in as many workers, after a look at these while they were idle."""
    sample(cluster, 30, 30)
    return driver.submit(driver.template("train", **options), count)


def killed(cluster: Cluster) -> list[Worker]:
    """The workers that were killed."""
    return [cluster.workers[signal.slot] for signal in cluster.taken(Signal) if signal.number == 9]


def where(cluster: Cluster, task: TaskId) -> Worker:
    return next(worker for worker in cluster.workers.values() if task in worker.task_ids)


def test_nothing_happens_while_memory_is_left(cluster: Cluster, driver: Driver) -> None:
    run(cluster, driver)
    sample(cluster, 500, 440)
    assert killed(cluster) == []


def test_the_task_that_grew_most_is_ended_though_another_worker_is_larger(cluster: Cluster, driver: Driver) -> None:
    sample(cluster, 600, 30)  # it was large before
    tasks = driver.submit(driver.template("train"), 2)
    sample(cluster, 610, 30)
    sample(cluster, 650, 320)
    assert killed(cluster) == [cluster.workers[1]]
    assert {task in cluster.workers[1].task_ids for task in tasks} == {True, False}


def test_one_that_ran_alone_fails_by_name_with_the_figures(cluster: Cluster, driver: Driver) -> None:
    (task,) = run(cluster, driver, 1)
    worker = where(cluster, task)
    sizes = [970 if worker.slot == slot else 0 for slot in (0, 1)]
    sample(cluster, *sizes)
    worker.die(task)
    failure = driver.failure(task)
    assert failure.kind == "out_of_memory"
    assert "train was ended because the memory ran out: it had grown by 940 MB, to 970 MB on worker" in failure.message
    assert "of 1,000 MB only 30 MB were left. Give each task less data" in failure.message
    audit(cluster.scheduler)


def test_one_that_ran_beside_others_waits_for_memory_and_runs_again(cluster: Cluster, driver: Driver) -> None:
    tasks = run(cluster, driver)
    sample(cluster, 400, 570)
    (victim,) = killed(cluster)
    assert victim is cluster.workers[1]
    lost = victim.task_ids[0]
    (other,) = set(tasks) - {lost}
    victim.die(lost)
    (successor,) = cluster.start_workers()
    sample(cluster, 400, 30)
    assert successor.given == [], "it would take 540 MB, and 570 are left of which 50 stay free"
    sample(cluster, 30, 30)
    assert [spec.attempt for spec in successor.given] == [2]
    assert successor.task_ids == [lost]
    successor.finish(lost)
    where(cluster, other).finish(other)
    assert driver.values[lost] == b"result"
    audit(cluster.scheduler)


def test_where_nothing_else_runs_it_does_not_wait(cluster: Cluster, driver: Driver) -> None:
    tasks = run(cluster, driver)
    sample(cluster, 400, 570)
    (victim,) = killed(cluster)
    lost = victim.task_ids[0]
    victim.die(lost)
    cluster.start_workers()
    (other,) = set(tasks) - {lost}
    where(cluster, other).finish(other)
    sample(cluster, 600, 30)  # a worker may have kept what its last task took
    given = [(spec.task_id, spec.attempt) for worker in cluster.workers.values() for spec in worker.given]
    assert (lost, 2) in given


def test_it_fails_when_it_has_been_ended_too_often(cluster: Cluster, driver: Driver) -> None:
    tasks = run(cluster, driver)
    lost = cluster.workers[1].task_ids[0]
    (other,) = set(tasks) - {lost}
    for _ in range(4):
        sample(cluster, 30, 30)
        cluster.wait(10)
        assert cluster.workers[1].task_ids[-1] == lost
        sample(cluster, 300, 670)
        cluster.workers[1].die(lost)
        cluster.start_workers()
    assert driver.failure(lost).kind == "out_of_memory"
    where(cluster, other).finish(other)
    audit(cluster.scheduler)


def test_its_own_retries_are_not_used_up(cluster: Cluster, driver: Driver) -> None:
    run(cluster, driver, max_retries=1)
    lost = cluster.workers[1].task_ids[0]
    sample(cluster, 300, 670)
    cluster.workers[1].die(lost)
    cluster.start_workers()
    sample(cluster, 30, 30)
    cluster.workers[1].die(lost)  # of something else
    cluster.start_workers()
    cluster.wait(1)
    assert cluster.workers[1].task_ids == [lost]


def test_one_at_a_time_until_the_memory_is_back(cluster: Cluster, driver: Driver) -> None:
    run(cluster, driver)
    sample(cluster, 480, 500)
    sample(cluster, 480, 500)
    assert len(killed(cluster)) == 1


def test_a_full_machine_is_not_blamed_on_small_tasks(cluster: Cluster, driver: Driver) -> None:
    run(cluster, driver)
    cluster.do(MemoryUsed(0, TOTAL, {0: 31 * MB, 1: 33 * MB}))
    assert killed(cluster) == []


def test_a_task_that_is_cancelled_meanwhile_does_not_run_again(cluster: Cluster, driver: Driver) -> None:
    run(cluster, driver)
    sample(cluster, 300, 670)
    lost = cluster.workers[1].task_ids[0]
    cluster.workers[1].die(lost)
    driver.cancel(lost)
    assert driver.failure(lost).kind == "cancelled"
    cluster.start_workers()
    sample(cluster, 30, 30)
    assert cluster.workers[1].given == []
    audit(cluster.scheduler)


def test_an_actor_goes_after_the_tasks_and_says_why(cluster: Cluster, driver: Driver) -> None:
    host = created(driver, actor_id := driver.actor())
    (call,) = driver.call(actor_id, driver.method())
    (task,) = driver.submit(driver.template("train"))
    other = where(cluster, task)

    def look(hosts: int, others: int) -> None:
        used = {host.slot: hosts * MB, other.slot: others * MB}
        cluster.do(MemoryUsed(TOTAL - sum(used.values()), TOTAL, used))

    look(30, 30)
    look(660, 310)
    assert killed(cluster) == [other]
    other.die(task)
    assert host not in killed(cluster)
    look(970, 0)
    assert host in killed(cluster)
    host.die(call)
    assert "It was killed because the memory ran out; it had 970 MB at the last look" in driver.failure(call).message
    audit(cluster.scheduler)


def test_a_task_whose_worker_had_ended_by_itself_is_not_spared_for_its_memory(cluster: Cluster, driver: Driver) -> None:
    tasks = run(cluster, driver)
    sample(cluster, 30, 30)
    sample(cluster, 30, 950)
    (worker,) = killed(cluster)
    (task,) = set(tasks) & set(worker.task_ids)
    worker.die(task, exit_code=3)
    assert driver.failure(task).kind == "worker_died"
