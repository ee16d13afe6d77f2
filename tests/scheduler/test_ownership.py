import pytest

from nbray.ids import ObjectId
from nbray.scheduler import messages
from nbray.scheduler.messages import Inline
from tests.scheduler.audit import audit
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


def objects(cluster: Cluster) -> set[ObjectId]:
    """All objects that exist."""
    audit(cluster.scheduler)
    return set(cluster.scheduler._objects.entries)


def test_an_object_lives_until_its_last_reference_is_released(cluster: Cluster, driver: Driver) -> None:
    other = cluster.driver("b")
    number = driver.put(b"value")
    other.say(messages.Held([number]))
    driver.say(messages.Released([number]))
    assert objects(cluster) == {number}
    other.say(messages.Released([number]))
    assert not objects(cluster)


def test_saying_it_twice_changes_nothing(cluster: Cluster, driver: Driver) -> None:
    number = driver.put(b"value")
    driver.say(messages.Held([number, number]))
    driver.say(messages.Released([number, number]))
    driver.say(messages.Released([number]))
    assert not objects(cluster)


def test_arguments_live_until_the_task_has_ended(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    dep, nested = driver.put(b"dep"), driver.put(b"nested")
    (task,) = driver.submit(driver.template(), deps=[dep, dep], nested=[nested])
    driver.say(messages.Released([dep, nested]))
    assert objects(cluster) == {dep, nested, task}
    worker.finish(task)
    assert objects(cluster) == {task}


def test_a_result_that_nobody_wants_is_dropped_at_once(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    driver.say(messages.Released([task]))
    assert objects(cluster) == {task}
    worker.finish(task)
    assert not objects(cluster)
    assert not driver.values


def test_what_an_object_contains_lives_with_it(cluster: Cluster, driver: Driver) -> None:
    number = driver.put(b"deep down")
    chain = [number]
    for _ in range(5000):
        chain.append(driver.put(Inline(b"box", [chain[-1]])))
    driver.say(messages.Released(chain[:-1]))
    assert len(objects(cluster)) == 5001
    driver.say(messages.Released(chain[-1:]))
    assert not objects(cluster)


def test_a_result_that_contains_itself_does_not_stay(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    worker.finish(task, value=Inline(b"me", [task]))
    driver.say(messages.Released([task]))
    assert not objects(cluster)


def test_what_a_function_refers_to_lives_with_it(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    number = driver.put(b"captured")
    template = driver.template(nested=[number])
    driver.say(messages.Released([number]))
    (task,) = driver.submit(template)
    driver.say(messages.ForgetTemplates([template]))
    assert objects(cluster) == {number, task}
    worker.finish(task)
    assert objects(cluster) == {task}


def test_an_unknown_object_is_lost(driver: Driver) -> None:
    driver.say(messages.Subscribe([ObjectId(12345)]))
    assert driver.failure(ObjectId(12345)).kind == "lost"
    (task,) = driver.submit(driver.template(), deps=[ObjectId(12345)])
    assert driver.failure(task).kind == "lost"


def test_who_asks_gets_the_value_now_or_later(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    other = cluster.driver("b")
    there = driver.put(b"there")
    (coming,) = driver.submit(driver.template())
    other.say(messages.Held([there, coming]))
    other.say(messages.Subscribe([there, coming]))
    assert other.values == {there: b"there"}
    worker.finish(coming, value=b"came")
    assert other.values == {there: b"there", coming: b"came"}


def test_who_submitted_gets_the_value_once_even_if_it_asks(driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template())
    driver.say(messages.Subscribe([task]))
    worker.finish(task)
    assert sum(len(ready.values) for ready in driver.heard(messages.Ready)) == 1


def test_references_of_a_lost_driver_pass_to_its_cell_runs(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    (task,) = driver.submit(driver.template("f", "1"))
    put = driver.put(b"value")
    driver.leave()
    worker.finish(task)
    assert objects(cluster) == {task, put}


def test_references_of_a_dead_worker_are_gone(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    number = worker.put(b"value")
    driver.say(messages.Held([number]))
    worker.put(b"other")
    worker.die()
    assert objects(cluster) == {number}


def test_many_values_are_pushed_in_portions(driver: Driver) -> None:
    numbers = [driver.put(b"x") for _ in range(3000)]
    driver.say(messages.Subscribe(numbers))
    assert [len(ready.values) for ready in driver.heard(messages.Ready)] == [1024, 1024, 952]
