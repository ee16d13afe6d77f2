from typing import Any

import msgspec

from nbray.ids import CellRunId, TaskId
from nbray.scheduler import messages, output
from nbray.scheduler.messages import AGAIN, Answer, Ask, Emitted
from nbray.snapshot import LeftCellRun
from tests.scheduler.pretend import Cluster, Driver


def ask(driver: Driver, question: str, argument: int = 0, text: str = "") -> Any:
    driver.say(Ask(1, question, argument, text))
    return msgspec.msgpack.decode(driver.heard(Answer)[-1].body)


def left(driver: Driver, argument: int = 0) -> list[LeftCellRun]:
    return msgspec.convert(ask(driver, "left_work", argument), list[LeftCellRun])


def submit(driver: Driver, cell: str) -> TaskId:
    return driver.submit(driver.template("train", cell))[0]


def shown(driver: Driver) -> list[tuple[str, bytes]]:
    return [(emitted.stream, emitted.data) for emitted in driver.heard(Emitted)]


def test_a_cell_that_ran_when_its_driver_left_is_missed_and_one_that_had_ended_is_not() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    ended, running = submit(driver, "cell 1"), submit(driver, "cell 2")
    next(worker for worker in cluster.workers.values() if ended in worker.task_ids).finish(ended)
    driver.leave()
    cluster.wait(3.0)
    found = left(cluster.driver())
    assert [(each.counts.cell_run, each.missed, each.ended_ago, each.results) for each in found] == [
        ("cell 1", False, 3.0, [ended]), ("cell 2", True, 0.0, [running]),
    ]  # fmt: skip


def test_what_nobody_saw_is_sent_again_behind_a_mark() -> None:
    cluster = Cluster(workers=1)
    driver, worker = cluster.driver(), cluster.workers[0]
    task = submit(driver, "cell 1")
    worker.say(messages.Output(task, "stdout", b"seen\n"))
    cluster.wait(5.0)
    driver.say(messages.Goodbye())
    worker.say(messages.Output(task, "stdout", b"missed\n"))
    cluster.wait(5.0)
    driver.leave()
    back = cluster.driver()
    assert not shown(back)
    assert ask(back, "take_over", 1, "cell 1") == {"found": True, "results": [task]}
    assert shown(back) == [(AGAIN, b"0"), ("stdout", b"missed\n")]
    worker.say(messages.Output(task, "stdout", b"live\n"))
    assert shown(back)[-1] == ("stdout", b"live\n")
    assert not left(back)[0].missed
    ask(back, "take_over", 2, "cell 1")
    assert b"".join(data for stream, data in shown(back)[3:] if stream == "stdout") == b"seen\nmissed\nlive\n"


def test_a_killed_driver_may_not_have_shown_the_last_that_it_got() -> None:
    cluster = Cluster(workers=1)
    driver, worker = cluster.driver(), cluster.workers[0]
    task = submit(driver, "cell 1")
    worker.say(messages.Output(task, "stdout", b"shown\n"))
    cluster.wait(output.UNSEEN_SECONDS + 1)
    worker.say(messages.Output(task, "stdout", b"in its socket\n"))
    driver.leave()
    back = cluster.driver()
    ask(back, "take_over", 1, "cell 1")
    assert shown(back) == [(AGAIN, b"0"), ("stdout", b"in its socket\n")]


def test_results_pass_to_who_takes_over_and_live_as_long_as_it_holds_them() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    task = submit(driver, "cell 1")
    driver.leave()
    cluster.workers[0].finish(task)
    back = cluster.driver()
    assert ask(back, "take_over", 1, "cell 1")["results"] == [task]
    assert left(back)[0].results == []
    back.say(messages.Subscribe([task]))
    assert back.values == {task: b"result"}
    back.leave()
    again = cluster.driver()
    assert ask(again, "take_over", 0, "cell 1")["results"] == [task]
    again.say(messages.Released([task]))
    again.say(messages.Subscribe([task]))
    assert again.failure(task).kind == "lost"


def test_notes_stay_for_every_successor() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    submit(driver, "cell 1")
    driver.say(messages.NoteCellRun(CellRunId("cell 1"), b"assigns x"))
    driver.leave()
    for _ in range(2):
        back = cluster.driver()
        assert left(back)[0].notes == [b"assigns x"]
        ask(back, "take_over", 1, "cell 1")
        back.leave()


def test_work_of_other_jobs_is_listed_when_asked_for_and_not_taken_over() -> None:
    cluster = Cluster(workers=2)
    mine, other = cluster.driver("a.ipynb"), cluster.driver("b.ipynb")
    submit(mine, "cell 1")
    submit(other, "cell 9")
    assert [each.counts.job for each in left(mine)] == ["a.ipynb"]
    assert [(each.counts.job, each.drivers) for each in left(mine, 1)] == [("a.ipynb", 1), ("b.ipynb", 1)]
    assert ask(mine, "take_over", 2, "cell 9") == {"found": False, "results": []}
    assert not mine.heard(Emitted)


def test_what_all_cells_keep_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(output, "MOST_KEPT", 10_000)
    cluster = Cluster(workers=1, output_limit=100_000)
    driver, worker = cluster.driver(), cluster.workers[0]
    for number in range(20):
        task = submit(driver, f"cell {number}")
        worker.say(messages.Output(task, "stdout", b"x" * 1000))
        worker.finish(task)
    kept = [each.kept for each in left(driver)]
    assert sum(kept) <= 10_000
    assert kept[0] == 0
    assert kept[-1] > 1000
    ask(driver, "take_over", 2, "cell 0")
    assert shown(driver)[-1] == (AGAIN, b"1000")
