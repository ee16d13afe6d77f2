import msgspec
import pytest

from nbray.resources import CPU, UNIT
from nbray.scheduler import messages
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot
from tests.scheduler.pretend import Cluster, Driver


def runs(cluster: Cluster) -> dict[str, CellRunSnapshot]:
    """The cell runs by label."""
    return {run.label: run for run in cluster.scheduler.snapshot(cluster.now).cell_runs}


def cell(driver: Driver, number: int, count: int, **options: object) -> None:
    """Run a cell that submits tasks."""
    driver.say(messages.DescribeCellRun(f"run {number}", f"cell [{number}] of {driver_name(driver)}"))  # type: ignore[arg-type]
    driver.submit(driver.template("f", f"run {number}", **options), count)  # type: ignore[arg-type]


def driver_name(driver: Driver) -> str:
    """The notebook of the driver."""
    job = driver.cluster.scheduler._processes[driver.process_id].job
    assert job is not None
    return job.name


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=2)


def test_counts_and_times(cluster: Cluster) -> None:
    driver = cluster.driver()
    cell(driver, 1, 5)
    cluster.now += 2.0
    cluster.workers[0].finish_all(micros=1_500_000)
    run = runs(cluster)["cell [1] of a.ipynb"]
    assert (run.waiting, run.running, run.succeeded, run.run_seconds, run.elapsed) == (2, 2, 1, 1.5, 2.0)
    for _ in range(3):
        for worker in cluster.workers.values():
            worker.finish_all(micros=1_000_000)
    cluster.now += 100.0
    run = runs(cluster)["cell [1] of a.ipynb"]
    assert (run.waiting, run.running, run.succeeded, run.elapsed) == (0, 0, 5, 2.0)


def test_who_holds_the_cpus_is_named(cluster: Cluster) -> None:
    cell(cluster.driver("other.ipynb"), 4, 100)
    cell(cluster.driver("mine.ipynb"), 1, 1)
    assert runs(cluster)["cell [1] of mine.ipynb"].waits_for == "all CPUs held by cell [4] of other.ipynb"
    assert runs(cluster)["cell [4] of other.ipynb"].waits_for == ""


def test_what_is_short_is_said(cluster: Cluster) -> None:
    driver = cluster.driver()
    cell(driver, 1, 1)
    cell(driver, 2, 1, cpus=2)
    assert runs(cluster)["cell [2] of a.ipynb"].waits_for == "2 CPUs, 1 free, held by cell [1] of a.ipynb"


def test_waiting_for_inputs_and_for_a_worker() -> None:
    cluster = Cluster(workers=1, start=False)
    driver = cluster.driver()
    template = driver.template("f", "1")
    (first,) = driver.submit(template)
    driver.submit(driver.template("g", "2"), deps=[first])
    first_run, second_run = cluster.scheduler.snapshot(cluster.now).cell_runs
    assert first_run.waits_for == "a worker that is starting"
    assert second_run.waits_for == "its inputs, which other tasks have not made yet"


def test_workers_say_what_they_run(cluster: Cluster) -> None:
    driver = cluster.driver()
    cell(driver, 1, 1)
    cluster.now += 3.0
    busy = next(worker for worker in cluster.scheduler.snapshot(cluster.now).workers if worker.state == "busy")
    assert (busy.task, busy.cell_run, busy.running_for, busy.queued) == ("f", "run 1", 3.0, 0)


def test_a_picture_can_be_asked_for(cluster: Cluster) -> None:
    driver = cluster.driver()
    driver.say(messages.Ask(7, "snapshot"))
    answer = driver.heard(messages.Answer)[0]
    assert answer.request_id == 7
    assert msgspec.msgpack.decode(answer.body, type=ClusterSnapshot).resources == {CPU: 2 * UNIT}
    driver.say(messages.Ask(8, "cell_runs"))
    assert msgspec.msgpack.decode(driver.heard(messages.Answer)[1].body, type=list[CellRunSnapshot]) == []


def test_a_question_that_nobody_knows_is_answered_all_the_same(cluster: Cluster) -> None:
    driver = cluster.driver()
    driver.say(messages.Ask(7, "weather"))
    assert "weather" in msgspec.msgpack.decode(driver.heard(messages.Answer)[0].body)["error"]


def test_sequence_numbers_grow(cluster: Cluster) -> None:
    assert [cluster.scheduler.snapshot(0.0).sequence for _ in range(3)] == [1, 2, 3]


def test_a_placement_group_that_holds_what_is_missing_is_named() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    group = driver.new_object()
    driver.say(messages.CreateGang(group, [{"CPU": 20_000}], b"", name="pair"))
    driver.submit(driver.template("f", "cell"))
    (run,) = cluster.scheduler.snapshot(cluster.now).cell_runs
    assert run.waits_for == "all CPUs held by the placement group 'pair'"


def test_a_placement_group_that_waits_is_a_reason() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    driver.submit(driver.template("first", "other cell"))
    group = driver.new_object()
    driver.say(messages.CreateGang(group, [{"CPU": 10_000}], b""))
    driver.submit(driver.template("f", "cell", gang=group))
    reasons = {run.cell_run: run.waits_for for run in cluster.scheduler.snapshot(cluster.now).cell_runs}
    assert reasons["cell"] == "its placement group, for which resources are not free yet"  # type: ignore[index]
