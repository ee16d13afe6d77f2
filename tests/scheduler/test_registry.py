import pytest

from nbray.resources import CPU, UNIT
from nbray.scheduler import messages
from tests.scheduler.pretend import Cluster, Driver, Worker


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=1)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


@pytest.fixture
def worker(cluster: Cluster) -> Worker:
    return cluster.workers[0]


def test_a_function_is_sent_once_however_many_templates_call_it(driver: Driver, worker: Worker) -> None:
    driver.submit(driver.template("f"))
    worker.finish_all()
    driver.submit(driver.template("f"))
    first, second = worker.heard(messages.Learn)
    assert first.functions == [(b"f".ljust(16, b"."), "f", b"blob of f")]
    assert second.functions == []
    assert len(second.templates) == 1


def test_a_forgotten_template_goes_with_its_last_task(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    template = driver.template()
    (task,) = driver.submit(template)
    driver.say(messages.ForgetTemplates([template]))
    assert not worker.heard(messages.Forget)
    worker.finish(task)
    assert [forget.template_ids for forget in worker.heard(messages.Forget)] == [[template], []]
    assert worker.heard(messages.Forget)[1].function_keys == [b"f".ljust(16, b".")]
    assert cluster.scheduler._registry.counts() == (0, 0)


def test_a_function_stays_while_another_template_calls_it(cluster: Cluster, driver: Driver) -> None:
    other = cluster.driver("b")
    mine, theirs = driver.template(), other.template()
    driver.say(messages.ForgetTemplates([mine]))
    assert cluster.scheduler._registry.counts() == (1, 1)
    other.say(messages.ForgetTemplates([mine]))
    assert cluster.scheduler._registry.counts() == (1, 1), "only who registered it can forget it"
    other.say(messages.ForgetTemplates([theirs]))
    assert cluster.scheduler._registry.counts() == (0, 0)


def test_a_function_that_was_registered_waits_for_its_template(cluster: Cluster, driver: Driver) -> None:
    other = cluster.driver("b")
    driver.say(messages.RegisterFunction(b"f".ljust(16, b"."), "f", b"blob of f"))
    other.say(messages.ForgetTemplates([other.template()]))
    assert cluster.scheduler._registry.counts() == (1, 0)
    driver.leave()
    assert cluster.scheduler._registry.counts() == (0, 0)


def test_a_lost_driver_forgets_everything(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    driver.leave()
    assert cluster.scheduler._registry.counts() == (1, 1)
    worker.finish(task)
    assert cluster.scheduler._registry.counts() == (0, 0)


def test_what_can_never_run_fails_at_once_and_says_what_to_type(driver: Driver) -> None:
    (task,) = driver.submit(driver.template("big", cpus=8))
    failure = driver.failure(task)
    assert failure.kind == "infeasible"
    assert "big asks for more than the whole cluster has" in failure.message
    assert "CPU: 8 asked, 1 in the cluster" in failure.message
    assert ".options(num_cpus=1)" in failure.message


def test_a_resource_that_the_cluster_does_not_have(driver: Driver) -> None:
    (task,) = driver.submit(driver.template(resources={"disk": UNIT}))
    assert ".options(resources={'disk': 0})" in driver.failure(task).message


def test_a_task_of_an_unknown_template_does_not_wait_for_ever(cluster: Cluster, driver: Driver) -> None:
    template = driver.template()
    driver.say(messages.ForgetTemplates([template]))
    (task,) = driver.submit(template)
    assert driver.failure(task).kind == "lost"
    assert cluster.scheduler.snapshot(cluster.now).available == {CPU: UNIT}
