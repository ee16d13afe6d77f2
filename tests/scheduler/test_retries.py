"""Further attempts wait longer and longer, and can be cancelled meanwhile."""

from __future__ import annotations

import pytest

from nbray.scheduler.messages import Failure
from nbray.scheduler.retries import LONGEST_SECONDS, seconds_before
from tests.scheduler.pretend import Cluster, Driver, Worker

AGAIN = Failure("exception", "try again", retriable=True)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=1)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


@pytest.fixture
def worker(cluster: Cluster) -> Worker:
    return cluster.workers[0]


def test_waits_double_up_to_the_longest() -> None:
    waits = [seconds_before(attempt) for attempt in range(2, 50)]
    assert waits[:4] == [0.0, 0.05, 0.1, 0.2]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_SECONDS == seconds_before(10**9)


def test_the_first_retry_comes_at_once_the_next_after_a_wait(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template(max_retries=2))
    worker.finish(task, value=AGAIN)
    assert [spec.attempt for spec in worker.given] == [1, 2]
    worker.finish(task, value=AGAIN)
    assert [spec.attempt for spec in worker.given] == [1, 2]
    cluster.wait(0.04)
    assert len(worker.given) == 2
    cluster.wait(0.02)
    assert [spec.attempt for spec in worker.given] == [1, 2, 3]
    worker.finish(task, value=b"made it")
    assert driver.values == {task: b"made it"}


def test_other_tasks_run_while_one_waits_for_its_attempt(driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template(max_retries=2))
    worker.finish(task, value=AGAIN)
    worker.finish(task, value=AGAIN)
    (other,) = driver.submit(driver.template("g"))
    assert worker.task_ids[-1] == other


def test_a_task_that_waits_for_its_attempt_can_be_cancelled(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template(max_retries=5))
    worker.finish(task, value=AGAIN)
    worker.finish(task, value=AGAIN)
    driver.cancel(task)
    assert driver.counts["cancelled"] == 1
    assert driver.failure(task).kind == "cancelled"
    cluster.wait(10)
    assert len(worker.given) == 2


def test_a_task_that_killed_its_worker_twice_waits_too(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template(max_retries=2))
    worker.die(started=task)
    (second,) = cluster.start_workers()
    assert second.given[0].attempt == 2
    second.die(started=task)
    (third,) = cluster.start_workers()
    assert third.given == []
    cluster.wait(0.06)
    assert third.given[0].attempt == 3
