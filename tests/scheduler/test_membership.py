import gc

import pytest

from nbray.resources import CPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.actions import Admit, Drop, StopCluster
from nbray.scheduler.events import Joined, WorkerExited
from nbray.scheduler.worker_records import Worker
from tests.scheduler.audit import audit
from tests.scheduler.pretend import EPOCH, Cluster


@pytest.mark.parametrize(("epoch", "protocol"), [("other", messages.PROTOCOL), (EPOCH, 99)])
def test_who_means_another_cluster_is_not_let_in(epoch: str, protocol: int) -> None:
    cluster = Cluster()
    process = cluster.new_process()
    cluster.do(Joined(process, messages.Hello("driver", 1, protocol, epoch, "a")))
    (drop,) = cluster.taken(Drop)
    assert drop.process == process
    assert "test" in drop.failure.message


def test_a_goodbye_leaves_other_notebooks_their_cluster() -> None:
    cluster = Cluster(workers=1, linger=60.0)
    first, second = cluster.driver("a.ipynb"), cluster.driver("b.ipynb")
    (mine,) = first.submit(first.template())
    (theirs,) = second.submit(second.template())
    first.say(messages.Goodbye(stop=True))
    first.leave()
    assert not cluster.taken(StopCluster)
    cluster.workers[0].die(started=mine)
    (heir,) = cluster.start_workers()
    assert heir.task_ids == [theirs]
    heir.finish_all()
    assert second.values == {theirs: b"result"}


def test_who_belongs_here_is_admitted() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    workers = [worker.process_id for worker in cluster.workers.values()]
    assert cluster.taken(Admit) == [Admit(process) for process in [*workers, driver.process_id]]


def test_a_worker_is_gone_when_it_was_reaped_and_all_it_said_was_heard() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    (task,) = driver.submit(driver.template())
    cluster.do(WorkerExited(0, None, 9, task))
    assert not driver.values
    cluster.workers[0].finish(task, value=b"said in time")
    cluster.workers[0].leave()
    assert driver.values == {task: b"said in time"}


def test_leaving_twice_changes_nothing() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    driver.put(b"value")
    driver.leave()
    driver.leave()
    audit(cluster.scheduler)


def test_two_kernels_of_one_notebook_that_leave_the_same_reference() -> None:
    cluster = Cluster(workers=1)
    first, second = cluster.driver(), cluster.driver()
    number = first.put(b"value")
    second.say(messages.Held([number]))
    first.leave()
    second.leave()
    audit(cluster.scheduler)
    assert set(cluster.scheduler._objects.entries) == {number}


def test_a_worker_cannot_end_the_cluster() -> None:
    cluster = Cluster(workers=1)
    cluster.driver()
    cluster.workers[0].say(messages.Goodbye(stop=True))
    assert not cluster.taken(StopCluster)


def test_the_dead_leave_no_circles_behind() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    template = driver.template(timeout=1000.0)
    gc.collect()
    gc.disable()
    try:
        before = sum(type(thing) is Worker for thing in gc.get_objects())
        for _ in range(10):
            (task,) = driver.submit(template)
            cluster.workers[0].die(started=task)
            cluster.start_workers()
        cluster.wait(2000.0)
        assert sum(type(thing) is Worker for thing in gc.get_objects()) == before
    finally:
        gc.enable()


def test_a_gang_ends_after_its_tasks_when_its_driver_is_lost() -> None:
    cluster = Cluster(workers=1, linger=60.0)
    driver = cluster.driver()
    gang = driver.new_object()
    driver.say(messages.CreateGang(gang, [{CPU: UNIT}], b"value"))
    (task,) = driver.submit(driver.template(gang=gang, bundle=0))
    driver.leave()
    cluster.wait(5.0)
    assert cluster.scheduler.snapshot(cluster.now).available[CPU] == 0
    next(worker for worker in cluster.workers.values() if task in worker.task_ids).finish(task)
    cluster.wait(30.0)
    assert cluster.scheduler.snapshot(cluster.now).available[CPU] == UNIT
