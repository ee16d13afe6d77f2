from nbray.ids import CellRunId, TaskId
from nbray.scheduler import messages
from nbray.scheduler.cancel_requests import SLICE
from nbray.scheduler.events import Received, Tick
from tests.scheduler.audit import audit
from tests.scheduler.pretend import Cluster, Driver

MANY = 3 * SLICE + 10


def many(cluster: Cluster, driver: Driver, cell_run: str = "cell") -> list[TaskId]:
    """So many queued tasks that a cancel of them takes several slices; two more run."""
    return driver.submit(driver.template("f", cell_run), MANY)


def test_a_large_cancel_is_worked_off_in_slices() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    many(cluster, driver)
    driver.cancel(cell_runs=["cell"])
    first = len(driver.values)
    assert 0 < first <= SLICE
    assert cluster.scheduler.next_deadline() is not None
    audit(cluster.scheduler)
    cluster.wait(0.001)
    assert len(driver.values) == MANY - 2
    assert not driver.heard(messages.Answer)
    cluster.wait(0.2)
    assert driver.counts == {"cancelled": MANY - 2, "finished": 0, "stopping": 2}


def test_others_get_their_turn_between_the_slices() -> None:
    cluster = Cluster(workers=2)
    driver, other = cluster.driver(), cluster.driver("b.ipynb")
    many(cluster, driver)
    driver.cancel(cell_runs=["cell"])
    before = len(driver.values)
    other.submit(other.template("small"), 1)
    assert len(driver.values) == before
    cluster.do(Tick())
    assert len(driver.values) == before


def test_nothing_starts_that_a_cancel_has_yet_to_reach() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    tasks = many(cluster, driver)
    driver.cancel(cell_runs=["cell"])
    started = {task for worker in cluster.workers.values() for task in worker.task_ids}
    for worker in cluster.workers.values():
        worker.give_back([])
        worker.finish(worker.task_ids[0])
    assert {task for worker in cluster.workers.values() for task in worker.task_ids} == started
    (later,) = driver.submit(driver.template("f", "cell"))
    assert any(later in worker.task_ids for worker in cluster.workers.values())
    cluster.wait(0.001)
    assert set(driver.values) == set(tasks)


def test_named_tasks_are_counted_once_over_several_slices() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    tasks = many(cluster, driver)
    cluster.workers[0].finish_all()
    cluster.workers[0].finish_all()
    done = len(driver.values)
    cluster.do(Received(driver.process_id, messages.Cancel(1, tasks, [CellRunId("cell")])))
    cluster.wait(0.3)
    assert sum(driver.counts.values()) == MANY + done  # the finished ones are named, and of the cell run
    assert driver.counts["cancelled"] == MANY - done - driver.counts["stopping"]


def test_a_second_cancel_of_the_same_tasks_is_answered_too() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    many(cluster, driver)
    driver.cancel(cell_runs=["cell"])
    driver.cancel(everything=True)
    cluster.wait(0.3)
    assert len(driver.heard(messages.Answer)) == 2
    audit(cluster.scheduler)


def test_the_work_of_a_job_that_is_over_goes_in_slices_too() -> None:
    cluster = Cluster(workers=1)
    driver, other = cluster.driver(), cluster.driver("b.ipynb")
    many(cluster, driver)
    driver.say(messages.Goodbye(stop=True))
    driver.leave()
    assert cluster.scheduler._jobs.live() > MANY - 2 * SLICE
    (small,) = other.submit(other.template("small"))
    cluster.wait(0.001)
    assert cluster.scheduler._jobs.live() == 2, "the one that runs, and the other driver's"
    audit(cluster.scheduler)
    cluster.workers[0].give_back([])
    cluster.workers[0].die(cluster.workers[0].task_ids[0])
    (successor,) = cluster.start_workers()
    assert successor.task_ids == [small]
