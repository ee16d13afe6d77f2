"""Lists of tasks by state, and of objects by who keeps them alive."""

from __future__ import annotations

import pytest

from nbray.scheduler.listings import Listings
from nbray.scheduler.messages import Failure, Inline, Put
from tests.scheduler.pretend import MEBIBYTE, Cluster, Driver, Worker


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=1)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


@pytest.fixture
def worker(cluster: Cluster) -> Worker:
    return cluster.workers[0]


@pytest.fixture
def listings(cluster: Cluster) -> Listings:
    return cluster.scheduler._listings


def test_tasks_of_every_state(cluster: Cluster, driver: Driver, worker: Worker, listings: Listings) -> None:
    template = driver.template("f", "cell")
    done, failed = driver.submit(template, 2)
    worker.finish(done, micros=10)
    worker.finish(failed, value=Failure("exception", "no", "ValueError"), micros=10)
    (long,) = driver.submit(driver.template("long", timeout=60.0))
    (queued,) = driver.submit(driver.template("queued"))
    (waiting,) = driver.submit(template, deps=[queued])
    states = {task.task_id: task.state for task in listings.tasks(100)}
    assert states == {
        long: "RUNNING", queued: "PENDING_NODE_ASSIGNMENT", waiting: "PENDING_ARGS_AVAIL", done: "FINISHED", failed: "FAILED"
    }  # fmt: skip
    (running,) = listings.tasks(100, "RUNNING")
    assert (running.name, running.worker, running.started) == ("long", "worker 0 (pid 1001)", cluster.now)


def test_at_most_so_many_of_each_state(driver: Driver, worker: Worker, listings: Listings) -> None:
    driver.submit(driver.template("long", timeout=60.0))
    driver.submit(driver.template("queued"), 50)
    assert [task.state for task in listings.tasks(3)] == ["RUNNING", *["PENDING_NODE_ASSIGNMENT"] * 3]
    assert listings.tasks(3, "FINISHED") == []


def test_what_a_worker_has_in_advance(driver: Driver, worker: Worker, listings: Listings) -> None:
    template = driver.template()
    driver.submit(template)
    worker.finish_all(micros=10)
    _, *rest = driver.submit(template, 3)
    assert {task.task_id: task.state for task in listings.tasks(9, "SUBMITTED_TO_WORKER")} == dict.fromkeys(
        rest, "SUBMITTED_TO_WORKER"
    )


def test_objects_the_largest_first_with_their_holders(driver: Driver, worker: Worker, listings: Listings) -> None:
    large = driver.put(driver.store(MEBIBYTE))
    small = driver.put(b"12345")
    driver.say(Put(driver.new_object(), Inline(b"box", [small])))
    driver.template("uses", nested=[large])
    driver.submit(driver.template("long", timeout=60.0))
    driver.submit(driver.template("later"), 2, deps=[large])
    rows = {each.object_id: each for each in listings.objects(100)}
    assert listings.objects(1) == [rows[large]]
    assert (rows[large].size, rows[large].place, rows[large].state) == (MEBIBYTE, "arena", "ready")
    assert rows[large].holders == ["driver a.ipynb", "task later (2 x)", "function uses"]
    assert rows[small].holders[0] == "driver a.ipynb"
    assert rows[small].holders[1].startswith("object ")
    assert (rows[small].place, rows[small].size) == ("scheduler", 5)
    pending = [each for each in rows.values() if each.state == "pending"]
    assert [each.holders for each in pending] == [["driver a.ipynb", f"task {name}, which makes it"] for name in (
        "long", "later", "later"
    )]  # fmt: skip
