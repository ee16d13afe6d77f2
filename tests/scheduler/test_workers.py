import msgspec

from nbray.scheduler import messages
from nbray.scheduler.actions import Drop, Fork, Signal, StopCluster
from nbray.scheduler.events import Joined, WorkerExited, WorkerForked
from nbray.scheduler.workers import EXTRA_SECONDS, FAILED_STARTS, cause
from tests.scheduler.pretend import EPOCH, Cluster


def states(cluster: Cluster) -> list[str]:
    """The workers' states by slot."""
    return [worker.state for worker in cluster.scheduler.snapshot(cluster.now).workers]


def test_workers_are_forked_at_once() -> None:
    cluster = Cluster(workers=3, start=False)
    assert cluster.taken(Fork) == [Fork(0), Fork(1), Fork(2)]
    assert states(cluster) == ["starting"] * 3
    cluster.start_workers()
    assert states(cluster) == ["idle"] * 3


def test_an_idle_worker_that_dies_is_replaced_at_once() -> None:
    cluster = Cluster(workers=2)
    actions = cluster.workers[1].die()
    assert Fork(1) in actions


def test_a_worker_whose_connection_is_lost_is_killed() -> None:
    cluster = Cluster(workers=1)
    assert Signal(0, 9) in cluster.workers[0].leave()
    assert len(cluster.taken(Fork)) == 1
    cluster.do(WorkerExited(0, None, 9))
    assert len(cluster.taken(Fork)) == 2


def test_workers_that_cannot_start_end_the_cluster() -> None:
    cluster = Cluster(workers=1, start=False)
    for _ in range(FAILED_STARTS):
        assert not cluster.taken(StopCluster)
        cluster.do(WorkerForked(0, 7))
        cluster.do(WorkerExited(0, 1, None, log_tail="ImportError: numpy"))
    (stop,) = cluster.taken(StopCluster)
    assert "5 workers in a row ended before they could start, the last one by exit code 1" in stop.reason
    assert "ImportError: numpy" in stop.reason
    assert len(cluster.taken(Fork)) == FAILED_STARTS


def test_the_hello_of_a_worker_that_has_ended_is_not_taken_for_its_successors() -> None:
    cluster = Cluster(workers=1, start=False)
    cluster.do(WorkerForked(0, 7))
    cluster.do(WorkerExited(0, None, 9))
    cluster.do(Joined(cluster.new_process(), messages.Hello("worker", 7, messages.PROTOCOL, EPOCH, slot=0)))
    assert len(cluster.taken(Drop)) == 1
    cluster.do(Joined(cluster.new_process(), messages.Hello("worker", 8, messages.PROTOCOL, EPOCH, slot=0)))
    assert states(cluster) == ["idle"]


def test_a_worker_of_no_slot_is_dropped() -> None:
    cluster = Cluster(workers=1)
    cluster.do(Joined(cluster.new_process(), messages.Hello("worker", 7, messages.PROTOCOL, EPOCH, slot=5)))
    assert "slot 5" in cluster.taken(Drop)[0].failure.message


def test_extra_workers_end_when_they_have_been_idle() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    (task,) = driver.submit(driver.template())
    parent = cluster.workers[0]
    parent.submit(parent.template())
    parent.say(messages.Blocked(task))
    (extra,) = cluster.start_workers()
    extra.finish_all()
    parent.say(messages.Unblocked(task))
    parent.finish(task)
    cluster.wait(EXTRA_SECONDS - 1)
    assert not extra.heard(messages.Exit)
    cluster.wait(2)
    assert extra.heard(messages.Exit)
    extra.die(exit_code=0)
    assert states(cluster) == ["idle"]
    assert len(cluster.taken(Fork)) == 2


def test_scaling_up_and_down() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    driver.say(messages.Ask(1, "scale", 3))
    cluster.start_workers()
    assert msgspec.msgpack.decode(driver.heard(messages.Answer)[-1].body) == {"workers": 3}
    driver.submit(driver.template(cpus=3))
    assert sorted(states(cluster)) == ["busy", "idle", "idle"]
    for worker in cluster.workers.values():
        worker.finish_all()
    driver.say(messages.Ask(2, "scale", 1))
    assert states(cluster).count("stopping") == 2
    assert cluster.scheduler.snapshot(cluster.now).available == {"CPU": 10_000}


def test_scaling_to_nothing_or_below_a_queued_task_is_refused() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    driver.say(messages.Ask(1, "scale", 0))
    assert "0 workers" in msgspec.msgpack.decode(driver.heard(messages.Answer)[-1].body)["error"]
    driver.submit(driver.template(cpus=2), 2)
    driver.say(messages.Ask(2, "scale", 1))
    assert "needs 2 CPUs" in msgspec.msgpack.decode(driver.heard(messages.Answer)[-1].body)["error"]


def test_renewed_workers_finish_what_they_run_and_get_no_more() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    (task,) = driver.submit(driver.template())
    busy, idle = sorted(cluster.workers.values(), key=lambda worker: not worker.given)
    driver.say(messages.Ask(1, "renew"))
    assert idle.heard(messages.Exit)
    assert not busy.heard(messages.Exit)
    busy.say(messages.Blocked(task))
    busy.say(messages.Unblocked(task))
    driver.submit(driver.template("g"), 5)
    assert busy.task_ids == [task]
    busy.finish(task)
    assert busy.heard(messages.Exit)


def test_causes_in_words() -> None:
    assert cause(WorkerExited(0, None, 9)) == "SIGKILL (signal 9)"
    assert cause(WorkerExited(0, 3)) == "exit code 3"
    assert cause(WorkerExited(0, None, 99)) == "signal 99"
