"""What workers print past Python reaches the scheduler under the task that it belongs to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.engine.unsent import Unsent
from nbray.engine.words import Words
from nbray.engine.worker_prints import WorkerPrints
from nbray.ids import NO_TASK, ProcessId, TaskId
from nbray.scheduler.events import Received
from nbray.scheduler.messages import Output, TaskResult
from tests.scheduler.pretend import make_config

ONE, TWO = TaskId(1), TaskId(2)
WORKER = ProcessId(7)


class Desk:
    """Prints of one worker, and what was told of them."""

    def __init__(self, folder: Path) -> None:
        (folder / "logs").mkdir()
        self.words, self.unsent = Words(), Unsent()
        self.told: list[Received] = []
        self.process: ProcessId | None = WORKER
        self._path = folder / "logs" / "worker-0.log"
        config = make_config(run_directory=str(folder))
        self.config = config
        self.prints = WorkerPrints(config, self.words, self.unsent, lambda slot: self.process, self.told.append)
        self.prints.log(0).begin_worker()

    def write(self, text: str) -> int:
        """As C code does; the length of the log afterwards."""
        with self._path.open("a") as log:
            log.write(text)
        return self._path.stat().st_size

    def heard(self) -> list[tuple[TaskId, bytes]]:
        assert {event.process for event in self.told} <= {WORKER}
        messages = [event.message for event in self.told]
        return [(message.task_id, message.data) for message in messages if isinstance(message, Output)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.prints.close()
    vars(desk).clear()  # pytest keeps it for a while, and its descriptors with it


def test_a_result_says_how_far_its_tasks_part_of_the_log_goes(desk: Desk) -> None:
    end = desk.write("one\n")
    desk.write("two\n")
    desk.prints.read_finished(0, [TaskResult(ONE, [], 5, end)])
    assert desk.heard() == [(ONE, b"one\n")]
    desk.prints.read_finished(0, [TaskResult(TWO, [], 5)])
    assert desk.heard() == [(ONE, b"one\n")], "that task did not write"


def test_what_runs_is_read_once_it_has_settled(desk: Desk) -> None:
    desk.words.start(0, ONE, 0)
    desk.write("so far\n")
    desk.prints.read_live([0])
    assert desk.heard() == []
    desk.prints.read_live([0])
    assert desk.heard() == [(ONE, b"so far\n")]


def test_what_an_earlier_task_has_left_unread_is_not_the_running_ones(desk: Desk) -> None:
    desk.words.start(0, TWO, desk.write("of the first\n"))
    desk.prints.read_live([0])
    desk.prints.read_live([0])
    assert desk.heard() == []


def test_last_words_come_from_memory_and_from_the_log(desk: Desk) -> None:
    desk.words.start(0, TWO, 0)
    desk.unsent.of(0).add(ONE, "stdout", b"kept")
    desk.write("crash\n")
    desk.prints.read_unsent(0, WORKER)
    desk.prints.read_last_words(0)
    assert desk.heard() == [(ONE, b"kept"), (TWO, b"crash\n")]


@pytest.mark.parametrize("missing", ["process", "task"])
def test_without_a_process_or_a_task_nothing_is_read(desk: Desk, missing: str) -> None:
    if missing == "process":
        desk.process = None
    desk.words.start(0, ONE if missing == "process" else NO_TASK, 0)
    desk.write("text\n")
    desk.prints.read_live([0])
    desk.prints.read_live([0])
    assert desk.prints.log(0).position == 0


def test_while_much_is_written_it_says_so_and_gives_the_middle_back_behind_the_loop(desk: Desk) -> None:
    desk.words.start(0, ONE, 0)
    assert not desk.prints.read_live([0])
    desk.write("x" * (2 * desk.config.log_limit))
    desk.prints.read_live([0])
    assert desk.prints.read_live([0])
    assert not desk.prints.read_live([0])
    assert [thread.name for thread in threading.enumerate() if "punch" in thread.name] == ["nbray-punch"]
