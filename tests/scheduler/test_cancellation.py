import msgspec
import pytest

from nbray.ids import ObjectId, TaskId
from nbray.scheduler import messages
from nbray.scheduler.actions import Action, SetCancelWord, Signal
from nbray.scheduler.messages import Failure
from tests.scheduler.pretend import Cluster, Driver, Worker

INTERRUPTED = Failure("cancelled", "task f was cancelled while it ran")


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=1)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


@pytest.fixture
def worker(cluster: Cluster) -> Worker:
    return cluster.workers[0]


def signals(cluster: Cluster) -> list[Action]:
    """What was done to stop tasks."""
    return [action for action in cluster.actions if isinstance(action, (Signal, SetCancelWord))]


def prefetched(driver: Driver, worker: Worker, count: int = 3) -> list[TaskId]:
    """Tasks inside the worker."""
    template = driver.template()
    driver.submit(template)
    worker.finish_all(micros=10)
    return driver.submit(template, count)


def test_queued_tasks_end_at_once(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    tasks = driver.submit(driver.template(), 10)
    driver.cancel(*tasks[1:])
    assert {driver.failure(task).kind for task in tasks[1:]} == {"cancelled"}
    assert driver.counts == {"cancelled": 9, "finished": 0, "stopping": 0}
    assert not signals(cluster)
    worker.finish_all()
    assert worker.task_ids == tasks[:1]


def test_waiting_tasks_end_at_once(driver: Driver, worker: Worker) -> None:
    template = driver.template()
    (first,) = driver.submit(template)
    (second,) = driver.submit(template, deps=[first])
    driver.cancel(second)
    assert driver.failure(second).kind == "cancelled"
    worker.finish(first)
    assert worker.task_ids == [first]


def test_finished_tasks_count_as_finished(driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    worker.finish(task)
    driver.cancel(task, ObjectId(999))
    assert driver.counts == {"cancelled": 0, "finished": 2, "stopping": 0}


def test_the_running_task_is_interrupted_then_killed(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    driver.cancel(task)
    assert signals(cluster) == [SetCancelWord(0, task), Signal(0, 2)]
    cluster.wait(0.69)
    assert len(signals(cluster)) == 2
    cluster.wait(0.02)
    assert signals(cluster)[2:] == [Signal(0, 9)]
    worker.die(started=task)
    assert driver.failure(task).kind == "cancelled"
    (heir,) = cluster.start_workers()
    assert heir.slot == 0


def test_a_task_that_heeds_the_interrupt_keeps_its_worker(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    driver.cancel(task)
    worker.finish(task, value=INTERRUPTED)
    assert driver.failure(task).kind == "cancelled"
    assert driver.counts == {"cancelled": 1, "finished": 0, "stopping": 0}
    cluster.wait(5)
    assert Signal(0, 9) not in cluster.actions


def test_a_task_that_was_quicker_than_the_interrupt_has_its_result(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    driver.cancel(task)
    worker.finish(task, value=b"done")
    assert driver.values[task] == b"done"
    assert driver.counts == {"cancelled": 0, "finished": 1, "stopping": 0}
    cluster.wait(5)
    assert Signal(0, 9) not in cluster.actions


def test_force_kills_at_once(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    driver.cancel(task, force=True)
    assert signals(cluster) == [Signal(0, 9)]
    worker.die(started=task)
    assert driver.failure(task).kind == "cancelled"


def test_a_second_cancel_may_force(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    driver.cancel(task)
    driver.cancel(task, force=True)
    assert signals(cluster)[2:] == [Signal(0, 9)]


def test_only_the_named_task_dies(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    tasks = prefetched(driver, worker)
    driver.cancel(tasks[0])
    assert worker.heard(messages.TakeBack)[-1].task_ids == tasks
    cluster.wait(1.0)
    worker.die(started=tasks[0])
    (heir,) = cluster.start_workers()
    assert heir.task_ids == tasks[1:]
    heir.finish_all()
    assert driver.failure(tasks[0]).kind == "cancelled"
    assert [driver.values[task] for task in tasks[1:]] == [b"result"] * 2


def test_force_waits_until_nothing_else_can_run_there(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    tasks = prefetched(driver, worker)
    driver.cancel(tasks[0], force=True)
    assert not signals(cluster)
    worker.give_back(tasks[1:])
    assert signals(cluster) == [Signal(0, 9)]
    worker.die(started=tasks[0])
    (heir,) = cluster.start_workers()
    assert heir.task_ids == tasks[1:]


def test_force_spares_the_task_that_began_after_the_named_one(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    tasks = prefetched(driver, worker)
    driver.cancel(tasks[0], force=True)
    worker.give_back(tasks[2:])  # the second had begun, so the first had ended
    cluster.wait(5)
    assert not signals(cluster)
    worker.finish(*tasks[:2])
    assert driver.values[tasks[1]] == b"result"


def test_force_does_not_wait_for_a_worker_that_does_not_answer(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    tasks = prefetched(driver, worker)
    driver.cancel(tasks[0], force=True)
    cluster.wait(0.19)
    assert not signals(cluster)
    cluster.wait(0.02)
    assert signals(cluster) == [Signal(0, 9)]


def test_a_worker_with_a_task_that_must_stop_gets_no_others(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    tasks = prefetched(driver, worker)
    driver.cancel(tasks[0])
    worker.give_back(tasks[1:])
    assert worker.task_ids[-3:] == tasks
    worker.finish(tasks[0], value=INTERRUPTED)
    assert worker.task_ids[-2:] == tasks[1:]


def test_a_prefetched_task_is_taken_back_without_a_signal(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    tasks = prefetched(driver, worker)
    driver.cancel(tasks[2])
    worker.give_back(tasks[1:])
    assert not signals(cluster)
    assert driver.failure(tasks[2]).kind == "cancelled"
    assert worker.task_ids[-1] == tasks[1], "the innocent one comes again"


def test_a_prefetched_task_that_has_started_meanwhile_is_interrupted(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    tasks = prefetched(driver, worker)
    driver.cancel(tasks[1])
    worker.finish(tasks[0])
    assert signals(cluster) == [SetCancelWord(0, tasks[1]), Signal(0, 2)]
    worker.give_back(tasks[2:])
    worker.finish(tasks[1], value=INTERRUPTED)
    assert driver.failure(tasks[1]).kind == "cancelled"


def test_a_cell_run_is_cancelled_and_no_other(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    mine, others = driver.submit(driver.template("f", "1"), 4), driver.submit(driver.template("f", "2"), 2)
    worker.finish(mine[0])
    driver.cancel(cell_runs=["1"])
    worker.give_back(worker.heard(messages.TakeBack)[-1].task_ids)
    assert driver.counts == {"cancelled": 3, "finished": 1, "stopping": 0}
    while worker.finish_all():
        pass
    assert all(driver.values[task] == b"result" for task in others)


def test_a_cell_run_of_another_notebook_is_out_of_reach(cluster: Cluster, driver: Driver) -> None:
    other = cluster.driver("b.ipynb")
    other.submit(other.template("f", "1"), 5)
    driver.cancel(cell_runs=["1"], everything=True)
    assert driver.counts == {"cancelled": 0, "finished": 0, "stopping": 0}
    assert not other.values


def test_what_a_cancelled_task_has_submitted_goes_too(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (parent,) = driver.submit(driver.template())
    (child,) = worker.submit(worker.template())
    driver.cancel(parent)
    assert worker.failure(child).kind == "cancelled"


def test_what_it_has_submitted_goes_on_where_that_is_asked_for(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (parent,) = driver.submit(driver.template())
    (child,) = worker.submit(worker.template())
    driver.cancel(parent, recursive=False)
    worker.finish(parent, value=INTERRUPTED)
    assert driver.failure(parent).kind == "cancelled"
    assert worker.task_ids == [parent, child]


def test_what_it_submits_while_it_is_being_cancelled_never_runs(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (parent,) = driver.submit(driver.template())
    template = worker.template()
    driver.cancel(parent)
    (child,) = worker.submit(template)
    assert worker.failure(child).kind == "cancelled"
    worker.finish(parent, value=INTERRUPTED)
    assert worker.task_ids == [parent]


def test_dependents_of_a_cancelled_task_are_cancelled(driver: Driver, worker: Worker) -> None:
    template = driver.template()
    _, second = driver.submit(template, 2)
    (third,) = driver.submit(template, deps=[second])
    driver.cancel(second)
    assert driver.failure(third) == driver.failure(second)


def test_a_blocked_task_is_cancelled_like_a_running_one(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    worker.say(messages.Blocked(task))
    driver.cancel(task)
    assert signals(cluster) == [SetCancelWord(0, task), Signal(0, 2)]
    worker.say(messages.Unblocked(task))
    worker.finish(task, value=INTERRUPTED)
    assert cluster.scheduler.snapshot(cluster.now).available == cluster.config.resources


def test_a_time_limit_ends_the_task_like_a_cancel(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template(timeout=2.0))
    cluster.wait(1.9)
    assert not signals(cluster)
    cluster.wait(0.2)
    assert signals(cluster) == [SetCancelWord(0, task), Signal(0, 2)]
    worker.finish(task, value=INTERRUPTED)
    assert driver.failure(task).kind == "timeout"
    assert "f ran longer than its timeout=2 s on worker 0" in driver.failure(task).message


def test_the_time_limit_of_a_task_that_has_ended_does_nothing(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template(timeout=2.0))
    worker.finish(task)
    cluster.wait(5)
    assert not signals(cluster)


def test_many_thousand_queued_tasks_are_cancelled_in_one_go(cluster: Cluster, driver: Driver) -> None:
    driver.submit(driver.template("f", "1"), 20_000)
    driver.cancel(cell_runs=["1"])
    cluster.wait(0.2)
    assert driver.counts == {"cancelled": 19_999, "finished": 0, "stopping": 1}
    assert not cluster.scheduler._turns


def test_only_what_no_worker_has_is_withdrawn(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    running, *queued = driver.submit(driver.template(), 3)
    driver.say(messages.Cancel(1, task_ids=[running, *queued], unstarted=True))
    assert driver.counts == {"cancelled": 2, "finished": 0, "stopping": 0}
    assert {driver.failure(task).kind for task in queued} == {"cancelled"}
    assert not signals(cluster)
    worker.finish(running)
    assert running in driver.values


def test_a_task_has_started_once_a_worker_has_it(driver: Driver, worker: Worker) -> None:
    running, queued = driver.submit(driver.template(), 2)

    def started(task: TaskId) -> object:
        driver.say(messages.Ask(7, "started", task))
        return msgspec.msgpack.decode(driver.heard(messages.Answer)[-1].body)["started"]

    assert (started(running), started(queued)) == (True, False)
    worker.finish(running)
    assert (started(running), started(queued)) == (False, True)
