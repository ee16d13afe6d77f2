from __future__ import annotations

import msgspec
import pytest

from nbray.ids import CellRunId, TaskId
from nbray.scheduler import messages
from nbray.scheduler.actions import Signal
from nbray.scheduler.messages import PROMPT, Answer, Ask, Emitted
from nbray.scheduler.prompts import ENDED, NOBODY
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


@pytest.fixture
def task(driver: Driver) -> TaskId:
    return driver.submit(driver.template("train", "cell 4", timeout=5.0))[0]


def ask(worker: Worker, task: TaskId, text: str = "{}", request: int = 7) -> None:
    worker.say(Ask(request, "prompt", task, text))


def answers(process: Driver | Worker) -> list[object]:
    return [msgspec.msgpack.decode(answer.body) for answer in process.heard(Answer)]


def reply(driver: Driver, task: TaskId, text: str = '{"text": "yes"}') -> None:
    driver.say(Ask(1, "reply", task, text))


def test_a_prompt_goes_to_the_cell_and_its_reply_to_the_task(driver: Driver, worker: Worker, task: TaskId) -> None:
    ask(worker, task, '{"prompt": "name: "}')
    expected = Emitted(task, CellRunId("cell 4"), "train", "worker 0 (pid 1001)", PROMPT, b'{"prompt": "name: "}')
    assert driver.heard(Emitted) == [expected]
    assert not answers(worker), "nobody has said anything yet"
    reply(driver, task)
    assert answers(driver) == [{"waits": True}]
    assert answers(worker) == [{"text": "yes"}]
    reply(driver, task)
    assert answers(driver)[1:] == [{"waits": False}], "once is enough"


def test_what_was_printed_before_stands_above_the_prompt(driver: Driver, worker: Worker, task: TaskId) -> None:
    worker.say(messages.Output(task, "stdout", b"one"))
    ask(worker, task)
    assert [emitted.stream for emitted in driver.heard(Emitted)] == ["stdout", PROMPT]


def test_one_may_look_whether_a_task_waits(driver: Driver, worker: Worker, task: TaskId) -> None:
    reply(driver, task, "")
    ask(worker, task)
    reply(driver, task, "")
    assert answers(driver) == [{"waits": False}, {"waits": True}]
    worker.finish(task)
    reply(driver, task, "")
    assert answers(driver)[2:] == [{"waits": False}], "it has ended without the answer: Stop"


def test_nobody_waits_in_a_worker_that_died(cluster: Cluster, driver: Driver, worker: Worker, task: TaskId) -> None:
    ask(worker, task)
    worker.die()
    reply(driver, task)
    assert answers(driver) == [{"waits": False}]


def test_without_a_driver_the_task_is_told_so(driver: Driver, worker: Worker, task: TaskId) -> None:
    ask(worker, task)
    driver.leave()
    assert answers(worker) == [{"refused": NOBODY}]
    ask(worker, task)
    assert answers(worker) == [{"refused": NOBODY}] * 2


def test_a_driver_of_the_same_notebook_may_answer(cluster: Cluster, driver: Driver, worker: Worker, task: TaskId) -> None:
    twin = cluster.driver()
    ask(worker, task)
    driver.leave()
    assert not answers(worker)
    reply(twin, task)
    assert answers(worker) == [{"text": "yes"}]


def test_a_task_that_nobody_knows_is_refused(driver: Driver, worker: Worker) -> None:
    ask(worker, TaskId(driver.new_object()))
    assert answers(worker) == [{"refused": ENDED}]


def test_the_time_limit_stands_still_while_a_task_waits(
    cluster: Cluster, driver: Driver, worker: Worker, task: TaskId
) -> None:  # fmt: skip
    cluster.wait(2)
    ask(worker, task)
    cluster.wait(60)
    reply(driver, task)
    cluster.wait(2)
    assert not cluster.taken(Signal)
    worker.finish(task)
    assert driver.values[task] == b"result"


def test_its_time_goes_on_after_the_answer(cluster: Cluster, driver: Driver, worker: Worker, task: TaskId) -> None:
    for _ in range(2):
        cluster.wait(2)
        ask(worker, task)
        cluster.wait(30)
        reply(driver, task)
    assert not cluster.taken(Signal)
    cluster.wait(2)
    assert cluster.taken(Signal)
    worker.die()
    assert driver.failure(task).kind == "timeout"


def test_what_waits_behind_it_comes_back(cluster: Cluster, driver: Driver, worker: Worker) -> None:
    template = driver.template("fast")
    for task in driver.submit(template, 20):
        worker.finish(task)
    tasks = driver.submit(template, 4)
    ask(worker, tasks[0])
    assert worker.heard(messages.TakeBack)[-1].task_ids == tasks[1:]
