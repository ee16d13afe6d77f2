import pytest

from nbray.scheduler import messages
from tests.scheduler.audit import audit
from tests.scheduler.pretend import Cluster, Driver
from tests.scheduler.test_actors import created


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=1)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


def test_drivers_have_nothing_to_report(cluster: Cluster, driver: Driver) -> None:
    (task,) = driver.submit(driver.template())
    for message in (
        messages.Finished([messages.TaskResult(task, [b"not mine"], 1)]), messages.TakenBack([task]), messages.Blocked(task),
        messages.Unblocked(task), messages.Output(task, "stdout", b"text"),
    ):  # fmt: skip
        assert driver.say(message) == []
    cluster.workers[0].finish(task, value=b"mine")
    assert driver.values[task] == b"mine"
    audit(cluster.scheduler)


def test_a_worker_says_it_of_its_tasks_and_a_host_of_its_calls(cluster: Cluster, driver: Driver) -> None:
    host = created(driver, actor_id := driver.actor())
    cluster.start_workers()
    (task,) = driver.submit(driver.template())
    (call,) = driver.call(actor_id, driver.method())
    worker = next(one for one in cluster.workers.values() if task in one.task_ids)
    for one, thing in ((worker, task), (host, call)):
        one.say(messages.Output(thing, "stdout", b"hello"))
        one.say(messages.Blocked(thing))
        one.say(messages.Unblocked(thing))
        one.finish(thing)
        assert driver.values[thing] == b"result"
    assert [emitted.task for emitted in driver.heard(messages.Emitted)] == ["f", "Counter.add"]
    audit(cluster.scheduler)


def test_a_creation_and_calls_that_were_asked_for_are_told_apart(cluster: Cluster, driver: Driver) -> None:
    actor_id = driver.actor()
    host = cluster.workers[0]
    driver.cancel(actor_id)
    assert host.heard(messages.TakeBack)[-1].task_ids == [actor_id]
    host.finish(actor_id)  # it was quicker
    (call,) = driver.call(actor_id, driver.method())
    driver.cancel(call)
    host.say(messages.TakenBack([]))
    host.say(messages.TakenBack([call]))
    assert driver.failure(call).kind == "cancelled"
    audit(cluster.scheduler)
