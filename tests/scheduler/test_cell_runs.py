from nbray.ids import CellRunId
from nbray.scheduler import messages
from nbray.scheduler.cell_runs import MOST_RECORDS
from tests.scheduler.audit import audit
from tests.scheduler.pretend import Cluster


def test_old_records_make_room_and_let_go_of_what_only_they_held() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    template = driver.template("f", "first")
    (task,) = driver.submit(template)
    cluster.workers[0].finish_all()
    driver.leave()
    assert set(cluster.scheduler._objects.entries) == {task}
    driver = cluster.driver()
    for number in range(MOST_RECORDS + 5):
        driver.say(messages.DescribeCellRun(CellRunId(f"{number}"), ""))
    assert not cluster.scheduler._objects.entries
    (job,) = {run.job for run in cluster.scheduler._jobs.runs()}
    assert len(job.runs) == MOST_RECORDS
    audit(cluster.scheduler)


def test_a_record_with_live_tasks_stays() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    (task,) = driver.submit(driver.template("f", "first"))
    driver.leave()
    driver = cluster.driver()
    for number in range(MOST_RECORDS + 5):
        driver.say(messages.DescribeCellRun(CellRunId(f"{number}"), ""))
    cluster.workers[0].finish_all()
    assert set(cluster.scheduler._objects.entries) == {task}
    audit(cluster.scheduler)


def test_the_background_of_two_notebooks_is_not_the_same() -> None:
    cluster = Cluster(workers=1)
    first, second = cluster.driver("a"), cluster.driver("b")
    first.submit(first.template(), 3)
    second.submit(second.template(), 3)
    counts = [(run.job, run.waiting + run.running) for run in cluster.scheduler.snapshot(cluster.now).cell_runs]
    assert counts == [("a", 3), ("b", 3)]
