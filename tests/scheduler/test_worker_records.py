"""What a worker is and has, and how its end is put into words."""

from __future__ import annotations

from nbray.scheduler.events import WorkerExited
from nbray.scheduler.worker_records import Worker, cause
from tests.scheduler.pretend import Cluster, Driver
from tests.scheduler.test_actors import created


def test_causes_in_words() -> None:
    assert cause(WorkerExited(0, None, 9)) == "SIGKILL (signal 9)"
    assert cause(WorkerExited(0, 3)) == "exit code 3"
    assert cause(WorkerExited(0, None, 99)) == "signal 99"


def test_one_with_a_profile_or_a_gpu_is_not_like_most() -> None:
    assert [one.plain for one in (Worker(0), Worker(1, (0,)), Worker(2, (), b"A"))] == [True, False, False]


def record(driver: Driver, slot: int) -> Worker:
    return driver.cluster.scheduler._fleet.workers[slot]


def test_what_is_certain_to_run_and_what_may() -> None:
    driver = Cluster(workers=1).driver()
    assert (record(driver, 0).head, record(driver, 0).running(), record(driver, 0).inside) == (None, (), 0)
    first, _ = driver.submit(driver.template(), 2)
    worker = record(driver, 0)
    assert worker.head is not None
    assert worker.head.task_id == first
    assert [task.task_id for task in worker.running()] == [first]
    assert worker.inside == 1, "a function that has never run gets its worker alone"
    assert not worker.serving
    assert repr(worker) == f"<worker 0 (pid {worker.pid}) BUSY, 1 tasks>"


def test_of_an_actor_with_several_calls_none_is_certain() -> None:
    driver = Cluster(workers=1).driver()
    host = created(driver, actor_id := driver.actor(concurrency="threads", max_concurrency=2))
    calls = driver.call(actor_id, driver.method(), 3)
    worker = record(driver, host.slot)
    assert worker.head is None
    assert [task.task_id for task in worker.running()] == calls[:2]
    assert (worker.inside, worker.serving, worker.open) == (3, True, False)
