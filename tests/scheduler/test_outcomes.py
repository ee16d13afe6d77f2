import pytest

from nbray.ids import ObjectId, TaskId
from nbray.scheduler import messages
from nbray.scheduler.actions import Fork
from nbray.scheduler.events import WorkerExited
from nbray.scheduler.messages import Failure
from nbray.scheduler.retries import LONGEST_SECONDS
from tests.scheduler.pretend import MEBIBYTE, Cluster, Driver, Worker

BROKEN = Failure("exception", "no luck", "ValueError", task="f")


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=1)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


@pytest.fixture
def worker(cluster: Cluster) -> Worker:
    return cluster.workers[0]


def three_prefetched(driver: Driver, worker: Worker, **options: object) -> list[TaskId]:
    """Three tasks inside the worker."""
    template = driver.template(**options)  # type: ignore[arg-type]
    driver.submit(template)
    worker.finish_all(micros=10)
    tasks = driver.submit(template, 3)
    assert worker.task_ids[-3:] == tasks
    return tasks


def test_a_result_is_pushed_to_who_submitted(driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    worker.finish(task, value=b"42")
    assert driver.values == {task: b"42"}


def test_the_values_of_dependencies_come_with_the_task(driver: Driver, worker: Worker) -> None:
    template = driver.template()
    (first,) = driver.submit(template)
    driver.submit(template, deps=[first])
    assert worker.task_ids == [first]
    worker.finish(first, value=b"42")
    assert worker.given[-1].deps == [(first, b"42")]


def test_dependents_share_the_original_failure(driver: Driver, worker: Worker) -> None:
    template = driver.template()
    (first,) = driver.submit(template)
    chain = [first]
    for _ in range(3000):
        chain += driver.submit(template, deps=[chain[-1], first])
    worker.finish(first, value=BROKEN)
    assert {driver.failure(task) for task in chain} == {BROKEN}
    assert len(driver.values) == len(chain)
    assert worker.task_ids == [first]


def test_a_task_submitted_after_its_dependency_failed(driver: Driver, worker: Worker) -> None:
    template = driver.template()
    (first,) = driver.submit(template)
    worker.finish(first, value=BROKEN)
    (second,) = driver.submit(template, deps=[first])
    assert driver.failure(second) == BROKEN


def test_several_returns_and_none(driver: Driver, worker: Worker) -> None:
    (two,) = driver.submit(driver.template("two", num_returns=2), returns=2)
    worker.say(messages.Finished([messages.TaskResult(two, [b"a", b"b"], 5)]))
    assert driver.values == {two: b"a", ObjectId(two + 1): b"b"}
    (none,) = driver.submit(driver.template("none", num_returns=0), returns=0)
    worker.say(messages.Finished([messages.TaskResult(none, [], 5)]))
    assert none not in driver.values
    assert none not in driver.cluster.scheduler._objects.entries


def test_one_failure_stands_for_all_returns(driver: Driver, worker: Worker) -> None:
    (two,) = driver.submit(driver.template("two", num_returns=2), returns=2)
    worker.finish(two, value=BROKEN)
    assert driver.failure(two) == driver.failure(ObjectId(two + 1)) == BROKEN


def test_a_retriable_exception_runs_again_as_often_as_asked(driver: Driver, worker: Worker) -> None:
    again = Failure("exception", "try again", retriable=True)
    (task,) = driver.submit(driver.template(max_retries=2))
    for _ in range(3):
        worker.finish(task, value=again)
        driver.cluster.wait(LONGEST_SECONDS)
    assert [spec.attempt for spec in worker.given] == [1, 2, 3]
    assert driver.failure(task) == again


def test_an_exception_that_is_not_retriable_ends_the_task(driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template(max_retries=2))
    worker.finish(task, value=BROKEN)
    assert driver.failure(task) == BROKEN


def test_without_limit_means_without_limit(driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template(max_retries=-1))
    for _ in range(50):
        worker.finish(task, value=Failure("exception", "try again", retriable=True))
        driver.cluster.wait(LONGEST_SECONDS)
    assert worker.given[-1].attempt == 51


def test_what_a_dead_worker_had_not_started_runs_elsewhere_unchanged(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    tasks = three_prefetched(driver, worker)
    worker.die()
    (heir,) = cluster.start_workers()
    assert heir.task_ids == tasks
    assert {spec.attempt for spec in heir.given} == {1}


def test_what_it_was_running_fails_and_what_it_had_finished_never_runs_twice(
    cluster: Cluster, driver: Driver, worker: Worker
) -> None:
    tasks = three_prefetched(driver, worker)
    worker.die(started=tasks[1], signal=11, log="about to crash")
    (heir,) = cluster.start_workers()
    assert heir.task_ids == tasks[2:]
    for task in tasks[:2]:
        failure = driver.failure(task)
        assert failure.kind == "worker_died"
        assert "worker 0 (pid 1001) ended by SIGSEGV (signal 11) while it ran f, attempt 1" in failure.message
        assert "Compiled code crashed" in failure.message
        assert "about to crash" in failure.message
        assert "max_retries=2" in failure.message


def test_results_that_arrive_before_the_end_of_the_connection_count(cluster: Cluster, driver: Driver, worker: Worker) -> None:

    tasks = three_prefetched(driver, worker)
    cluster.do(WorkerExited(0, None, 9, tasks[1]))
    worker.finish(tasks[0], value=b"made it")
    worker.leave()
    assert driver.values[tasks[0]] == b"made it"
    assert driver.failure(tasks[1]).kind == "worker_died"


def test_an_exit_says_its_code(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    worker.die(started=task, exit_code=3)
    assert "ended by exit code 3" in driver.failure(task).message
    assert "os._exit" in driver.failure(task).message


def test_retries_after_deaths(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template(max_retries=1))
    worker.die(started=task)
    (second,) = cluster.start_workers()
    assert second.given[0].attempt == 2
    second.die(started=task)
    assert driver.failure(task).attempt == 2
    assert len(cluster.taken(Fork)) == 3


def test_messages_of_the_dead_are_ignored(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template(max_retries=1))
    worker.die(started=task)
    worker.finish(task, value=b"late")
    assert not driver.values


def test_a_result_for_which_the_store_has_no_room(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    limit = cluster.config.store_limit
    driver.put(driver.store(limit - MEBIBYTE))
    template = driver.template()
    (task,) = driver.submit(template)
    (dependent,) = driver.submit(template, deps=[task])
    worker.finish(task, value=b"x" * (2 * MEBIBYTE))
    assert driver.failure(task).kind == driver.failure(dependent).kind == "store_full"
    run = cluster.scheduler.snapshot(cluster.now).cell_runs[0]
    assert (run.succeeded, run.failed) == (0, 2)


def test_the_first_failure_is_remembered(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    worker.finish(task, value=Failure("exception", "no luck\nat all", "ValueError"))
    assert cluster.scheduler.snapshot(cluster.now).cell_runs[0].first_failure == "f: ValueError: no luck"


def test_a_task_that_takes_every_worker_with_it_is_given_up_with_how_each_ended(cluster: Cluster, driver: Driver) -> None:
    (task,) = driver.submit(driver.template(max_retries=2))
    for number, code in ((11, None), (6, None), (9, 3)):
        cluster.start_workers()
        cluster.workers[0].die(task, signal=number, exit_code=code)
        cluster.wait(LONGEST_SECONDS)
    failure = driver.failure(task)
    assert failure.kind == "worker_died"
    assert failure.attempt == 3
    assert "ended by exit code 3 while it ran" in failure.message
    assert "It is given up: earlier attempts have ended 2 workers too, by SIGSEGV (signal 11), SIGABRT (signal 6)." in (
        failure.message
    )
    assert "max_retries" not in failure.message


def test_what_has_ended_many_workers_is_told_in_short(cluster: Cluster, driver: Driver) -> None:
    (task,) = driver.submit(driver.template(max_retries=13))
    for number in range(14):
        cluster.start_workers()
        cluster.workers[0].die(task, signal=11 if number % 2 else 6)
        cluster.wait(LONGEST_SECONDS)
    assert "have ended 13 workers too, by SIGABRT (signal 6) (7 x), SIGSEGV (signal 11) (6 x)." in driver.failure(task).message


def test_others_who_waited_in_its_worker_are_not_to_blame(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    guilty, *others = three_prefetched(driver, worker)
    worker.die(guilty)
    cluster.start_workers()
    cluster.workers[0].finish_all()
    assert driver.failure(guilty).attempt == 1
    assert [driver.values[other] for other in others] == [b"result"] * 2
    assert {spec.attempt for spec in cluster.workers[0].given} == {1}
