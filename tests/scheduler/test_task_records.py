"""Ended tasks are remembered: which worker, when, which attempt, with which error."""

from __future__ import annotations

import pytest

from nbray.scheduler import task_records
from nbray.scheduler.messages import Failure
from nbray.scheduler.retries import LONGEST_SECONDS
from nbray.snapshot import TaskSnapshot
from tests.scheduler.pretend import Cluster, Driver, Worker

BROKEN = Failure("exception", "no luck\nat all", "ValueError", b"pickled", "traceback", task="f")


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=1)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


@pytest.fixture
def worker(cluster: Cluster) -> Worker:
    return cluster.workers[0]


def ended(cluster: Cluster) -> list[TaskSnapshot]:
    scheduler = cluster.scheduler
    return list(scheduler._outcomes.records.ended(scheduler._fleet.workers.values()))


def test_results_of_one_report_stand_one_after_the_other(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    template = driver.template("f", "cell")
    driver.submit(template)
    worker.finish_all(micros=10)
    tasks = driver.submit(template, 3)
    cluster.wait(1)
    worker.finish(*tasks, micros=1000)
    third, second, first, *_ = ended(cluster)
    assert [each.task_id for each in (first, second, third)] == tasks
    assert third.ended == cluster.now
    assert first.ended is not None
    assert second.started == first.ended
    assert second.ended == third.started == pytest.approx(cluster.now - 0.001)
    assert (first.name, first.state, first.cell_run, first.worker, first.attempt) == (
        "f", "FINISHED", "cell", "worker 0 (pid 1001)", 1
    )  # fmt: skip


def test_failures_keep_their_first_line_and_nothing_large(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    worker.finish(task, value=BROKEN)
    (record,) = ended(cluster)
    assert (record.state, record.error_type, record.error) == ("FAILED", "ValueError", "no luck")
    (kept,) = cluster.scheduler._outcomes.records._failures.values()
    assert kept.failure.pickled == b""
    assert kept.failure.traceback == ""


def test_every_attempt_is_remembered(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template(max_retries=2))
    for _ in range(2):
        worker.finish(task, value=Failure("exception", "again", "OSError", retriable=True))
    cluster.wait(LONGEST_SECONDS)
    worker.finish(task)
    assert [(each.attempt, each.state, each.again) for each in ended(cluster)] == [
        (3, "FINISHED", False), (2, "FAILED", True), (1, "FAILED", True)
    ]  # fmt: skip


def test_what_never_ran_has_no_start(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    _, queued = driver.submit(driver.template(), 2)
    driver.cancel(queued)
    (record,) = ended(cluster)
    assert (record.task_id, record.state, record.started, record.worker) == (queued, "CANCELLED", None, "")
    assert record.ended == cluster.now


def test_tasks_of_a_worker_that_is_gone_are_remembered(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    first, second = driver.submit(driver.template(), 2)
    worker.finish(first)
    cluster.wait(1)
    worker.die(started=second, signal=11)
    lost, done = ended(cluster)
    assert (done.task_id, done.state) == (first, "FINISHED")
    assert (lost.task_id, lost.state, lost.error_type) == (second, "FAILED", "worker_died")
    assert done.worker == lost.worker == "worker 0 (pid 1001)"


def test_only_so_many_are_remembered(
    cluster: Cluster, driver: Driver, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_records, "MOST_RECORDS", 5)
    driver.submit(driver.template())
    tasks = driver.submit(driver.template(), 20)
    driver.cancel(*tasks)
    assert [each.task_id for each in ended(cluster)] == tasks[:14:-1]
