import msgspec
import pytest

from nbray.resources import CPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.actions import Drop, Fork, Signal, StopCluster
from nbray.scheduler.events import Joined, WorkerExited, WorkerForked
from nbray.scheduler.workers import (
    EXTRA_SECONDS,
    FAILED_STARTS,
    KILLED_STARTS,
    LOSSES_A_SECOND,
    LOSSES_AT_ONCE,
    START_SECONDS,
)
from tests.scheduler.pretend import EPOCH, Cluster, Driver, Worker


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


def test_workers_that_somebody_kills_before_they_join_are_replaced_much_longer() -> None:
    cluster = Cluster(workers=1, start=False)
    for number in range(1, KILLED_STARTS):
        cluster.do(WorkerForked(0, 7))
        cluster.do(WorkerExited(0, None, 9 if number % 2 else 15))
        assert len(cluster.taken(Fork)) == 1 + number
    assert not cluster.taken(StopCluster)
    cluster.do(WorkerForked(0, 7))
    cluster.do(WorkerExited(0, None, 9))
    (stop,) = cluster.taken(StopCluster)
    assert "50 workers in a row ended before they could start, the last one by SIGKILL" in stop.reason


@pytest.mark.parametrize("end", [WorkerExited(0, None, 11), WorkerExited(0, None, 9, out_of_memory=1)])
def test_those_that_crash_or_take_all_memory_end_the_cluster_soon(end: WorkerExited) -> None:
    cluster = Cluster(workers=1, start=False)
    for _ in range(FAILED_STARTS):
        cluster.do(WorkerForked(0, 7))
        cluster.do(end)
    assert len(cluster.taken(StopCluster)) == 1


def test_those_that_say_nothing_until_they_are_killed_end_the_cluster_soon() -> None:
    cluster = Cluster(workers=1, start=False)
    cluster.driver()
    for _ in range(FAILED_STARTS):
        cluster.do(WorkerForked(0, 7))
        cluster.wait(START_SECONDS + 1)
        cluster.do(WorkerExited(0, None, 9))
    assert len(cluster.taken(Signal)) == FAILED_STARTS
    assert len(cluster.taken(StopCluster)) == 1


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
    driver.say(messages.Scale(1, 3, 3))
    cluster.start_workers()
    assert msgspec.msgpack.decode(driver.heard(messages.Answer)[-1].body) == {"error": ""}
    driver.submit(driver.template(cpus=3))
    assert sorted(states(cluster)) == ["busy", "idle", "idle"]
    for worker in cluster.workers.values():
        worker.finish_all()
    driver.say(messages.Scale(2, 1, 1))
    assert states(cluster).count("stopping") == 2
    assert cluster.scheduler.snapshot(cluster.now).available == {"CPU": 10_000}


def scaled(driver: Driver, least: int, most: int) -> str:
    """Why the cluster cannot have so many workers."""
    driver.say(messages.Scale(1, least, most))
    return str(msgspec.msgpack.decode(driver.heard(messages.Answer)[-1].body)["error"])


def test_scaling_to_nothing_or_below_a_queued_task_is_refused() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    assert "at least 0" in scaled(driver, 0, 0)
    assert "at most 1" in scaled(driver, 2, 1)
    assert "at most 512" in scaled(driver, 1, 1000)
    driver.submit(driver.template(cpus=2), 2)
    assert "needs 2 CPUs" in scaled(driver, 1, 1)


def test_scaling_below_what_a_running_or_waiting_task_needs_is_refused_since_it_may_have_to_be_placed_again() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    (running,) = driver.submit(driver.template(cpus=2, max_retries=1))
    (waiting,) = driver.submit(driver.template("g", cpus=2), deps=[running])
    worker = next(worker for worker in cluster.workers.values() if worker.task_ids)
    assert "needs 2 CPUs" in scaled(driver, 1, 1)
    worker.finish(running)
    assert "needs 2 CPUs" in scaled(driver, 1, 1)
    driver.cancel(waiting)
    worker = next(worker for worker in cluster.workers.values() if waiting in worker.task_ids)
    worker.finish(waiting)
    assert scaled(driver, 1, 1) == ""


def test_scaling_below_what_a_gang_holds_is_refused() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    driver.say(messages.CreateGang(driver.new_object(), [{CPU: 2 * UNIT}], b""))
    assert "placement groups hold 2 CPUs" in scaled(driver, 1, 1)


def test_a_larger_cluster_can_run_what_a_smaller_one_could_not() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    template = driver.template(cpus=2)
    (before,) = driver.submit(template)
    assert driver.failure(before).kind == "infeasible"
    scaled(driver, 2, 2)
    cluster.start_workers()
    (after,) = driver.submit(template)
    assert any(after in worker.task_ids for worker in cluster.workers.values())


def test_between_bounds_workers_come_with_the_queue_and_go_when_idle() -> None:
    cluster = Cluster(workers=1, max_workers=3, resources={CPU: 3 * UNIT}, idle_seconds=30.0)
    driver = cluster.driver()
    driver.submit(driver.template(), 5)
    cluster.start_workers()
    assert states(cluster) == ["busy"] * 3
    for _ in range(2):
        for worker in cluster.workers.values():
            worker.finish_all(micros=500_000)
    cluster.wait(20)
    assert states(cluster) == ["idle"] * 3
    cluster.wait(20)
    assert states(cluster).count("stopping") == 2


def special(cluster: Cluster, profile: bytes) -> list[Worker]:
    """The workers that have this profile, started if they were forked."""
    cluster.start_workers()
    return [worker for worker in cluster.workers.values() if worker.profile == profile]


def test_a_profile_has_workers_of_its_own_that_are_kept_for_a_while() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    (first,) = driver.submit(driver.template("f", profile=b"A"))
    (worker,) = special(cluster, b"A")
    assert worker.task_ids == [first]
    worker.finish_all()
    (second,) = driver.submit(driver.template("g", profile=b"A"))
    assert worker.task_ids == [first, second]
    (other,) = driver.submit(driver.template("f", profile=b"B"))
    assert [each.task_ids for each in special(cluster, b"B")] == [[other]]
    worker.finish_all()
    cluster.wait(50)
    assert not worker.heard(messages.Exit)
    cluster.wait(20)
    assert worker.heard(messages.Exit)


def test_a_profile_with_which_no_worker_starts_fails_its_tasks_only() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    (task,) = driver.submit(driver.template("f", profile=b"bad"))
    for _ in range(3):
        slot = cluster.taken(Fork)[-1].slot
        cluster.do(WorkerForked(slot, 77))
        cluster.do(WorkerExited(slot, 1, log_tail="no such home"))
    assert "workers with its runtime_env ended before they could start" in driver.failure(task).message
    assert "no such home" in driver.failure(task).message
    assert not cluster.taken(StopCluster)


def test_a_worker_is_replaced_after_max_calls() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    template = driver.template("leaky", max_calls=2)
    driver.submit(template)
    worker = cluster.workers[0]
    worker.finish_all(micros=10)
    tasks = driver.submit(template, 3)
    assert worker.task_ids[1:] == tasks[:1]
    worker.finish_all(micros=10)
    assert "max_calls" in worker.heard(messages.Exit)[0].reason
    worker.die(exit_code=0)
    (successor,) = cluster.start_workers()
    assert successor.task_ids == tasks[1:]


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


def test_after_many_losses_workers_are_replaced_no_faster_than_ten_a_second() -> None:
    cluster = Cluster(workers=1)
    for number in range(LOSSES_AT_ONCE):
        assert Fork(0) in cluster.workers[0].die(), f"loss {number + 1}"
        cluster.start_workers()
    assert Fork(0) not in cluster.workers[0].die()
    before = len(cluster.taken(Fork))
    for _ in range(20 * LOSSES_A_SECOND):
        cluster.wait(0.05)
        for worker in cluster.start_workers():
            worker.die()
    assert len(cluster.taken(Fork)) - before == pytest.approx(10 * LOSSES_A_SECOND, abs=2)
    cluster.wait(10)
    assert len(cluster.start_workers()) == 1
    assert Fork(0) in cluster.workers[0].die(), "long ago"


def test_workers_that_are_meant_to_end_are_no_losses() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    for _ in range(2 * LOSSES_AT_ONCE):
        (task,) = driver.submit(driver.template())
        driver.say(messages.Cancel(1, task_ids=[task], force=True))
        assert Fork(0) in cluster.workers[0].die(task)
        cluster.start_workers()


def test_while_losses_rest_no_worker_comes_by_another_way() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    for _ in range(LOSSES_AT_ONCE + 1):
        cluster.workers[0].die()
        cluster.start_workers()
    before = len(cluster.taken(Fork))
    driver.submit(driver.template(), 100)
    driver.submit(driver.template(resources={}), 100)
    assert len(cluster.taken(Fork)) == before
    cluster.wait(0.2)
    assert len(cluster.taken(Fork)) > before
