import pytest

from nbray.ids import CellRunId, TaskId
from nbray.scheduler import messages
from nbray.scheduler.actions import Send
from nbray.scheduler.messages import Emitted
from tests.scheduler.pretend import Cluster, Driver, Worker

LIMIT = 1000


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=1, output_limit=LIMIT)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


@pytest.fixture
def worker(cluster: Cluster) -> Worker:
    return cluster.workers[0]


@pytest.fixture
def task(driver: Driver) -> TaskId:
    return driver.submit(driver.template("train", "cell 4"))[0]


def text(driver: Driver) -> str:
    """All text that came."""
    return b"".join(emitted.data for emitted in driver.heard(Emitted)).decode()


def test_output_goes_to_the_drivers_of_the_job(cluster: Cluster, driver: Driver, worker: Worker, task: TaskId) -> None:
    twin, other = cluster.driver(), cluster.driver("b.ipynb")
    worker.say(messages.Output(task, "stdout", b"hello\n"))
    expected = Emitted(task, CellRunId("cell 4"), "train", "worker 0 (pid 1001)", "stdout", b"hello\n")
    assert driver.heard(Emitted) == twin.heard(Emitted) == [expected]
    assert not other.heard(Emitted)


def test_late_output_finds_its_cell(driver: Driver, worker: Worker, task: TaskId) -> None:
    worker.finish(task)
    driver.say(messages.Released([task]))
    worker.say(messages.Output(task, "stdout", b"a thread prints\n"))
    assert driver.heard(Emitted)[0].cell_run == "cell 4"


def test_output_of_an_unknown_task_is_dropped(driver: Driver, worker: Worker) -> None:
    worker.say(messages.Output(TaskId(driver.new_object()), "stdout", b"?"))
    assert not driver.heard(Emitted)


def test_output_comes_before_the_result(driver: Driver, worker: Worker, task: TaskId) -> None:
    worker.say(messages.Output(task, "stdout", b"first"))
    worker.finish(task)
    kinds = [type(send.message) for send in driver.cluster.taken(Send) if send.process == driver.process_id]
    assert kinds == [Emitted, messages.Ready]


def test_a_flood_is_cut_and_the_log_is_named(driver: Driver, worker: Worker, task: TaskId) -> None:
    for _ in range(100):
        worker.say(messages.Output(task, "stdout", b"x" * 99 + b"\n"))
    worker.finish(task)
    assert text(driver).count("x") == 990
    assert "logs/worker-0.log only" in text(driver)
    assert "9,000 bytes more of train went to" in text(driver)
    assert len(driver.heard(Emitted)) == 12


def test_a_character_is_not_cut_in_two(driver: Driver, worker: Worker, task: TaskId) -> None:
    worker.say(messages.Output(task, "stdout", "é".encode() * 600 + b"x"))
    worker.say(messages.Output(task, "stdout", "é".encode() * 600))
    shown = driver.heard(Emitted)[0].data.split(b"\n[nbray]")[0]
    assert shown.decode() == "é" * 500


def test_displays_pass_a_flood_of_text(driver: Driver, worker: Worker, task: TaskId) -> None:
    worker.say(messages.Output(task, "stdout", b"x" * 5000))
    worker.say(messages.Output(task, "display_data", b"{}"))
    assert driver.heard(Emitted)[-1].stream == "display_data"


def test_what_nobody_saw_waits_until_it_is_asked_for(cluster: Cluster, driver: Driver, worker: Worker, task: TaskId) -> None:
    driver.leave()
    worker.say(messages.Output(task, "stdout", b"x" * 600))
    back = cluster.driver()
    assert not back.heard(Emitted)
    back.say(messages.Ask(1, "take_over", 1, "cell 4"))
    assert text(back) == "0" + "x" * 600


def test_the_last_lines_are_kept_until_nobody_will_ask_for_them(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    """Two kilobytes of each of the last ten thousand tasks are twenty megabytes."""
    records = vars(cluster.scheduler)["_output"].records
    one, other = driver.submit(driver.template("train", "cell 4"), 2)
    for task in (one, other):
        worker.say(messages.Output(task, "stdout", b"last words\n"))
        if task == one:
            worker.finish(one)
    assert [len(record.tail) for record in records.values()] == [0, len(b"last words\n")]
    worker.die(other)
    assert "last words" in driver.failure(other).message
