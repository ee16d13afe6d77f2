from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from IPython.core.error import StdinNotImplementedError

from nbray.backends.backend import OutputEvent
from nbray.ids import NO_TASK, CellRunId, TaskId
from nbray.notebook import prompts
from nbray.notebook.cell_runs import CellRun, CellRuns
from nbray.notebook.prompts import Prompts, Queue
from nbray.worker_input import Question

CELL = CellRunId("cell")


def asks(task: int, *, cell: str = CELL, **question: Any) -> OutputEvent:
    data = msgspec.json.encode(Question(**question))
    return OutputEvent(CellRunId(cell), TaskId(task), f"task {task}", "worker 0 (pid 7)", "prompt", data)


def next_task(queue: Queue) -> int:
    asked = queue.next()
    return NO_TASK if asked is None else asked.task_id


# -------------------------------------------------------------------- whose turn it is


def test_questions_are_asked_in_order() -> None:
    queue = Queue()
    assert queue.put(asks(1))
    assert queue.put(asks(2))
    found = queue.next()
    assert found is not None
    assert found.task_id == 1
    queue.take(found)
    assert next_task(queue) == 2


def test_who_talks_is_not_interrupted() -> None:
    queue = Queue()
    queue.talker = TaskId(1)
    queue.looked = float("inf")
    queue.put(asks(2))
    assert next_task(queue) == NO_TASK
    assert not queue.is_due()
    queue.put(asks(1, talk=True))
    assert next_task(queue) == 1
    assert not queue.put(asks(1, over=True)), "that is no question"
    assert next_task(queue) == 2


def test_it_is_looked_after_who_talks_when_others_wait() -> None:
    queue = Queue()
    queue.talker = TaskId(1)
    assert not queue.is_due()
    queue.put(asks(2))
    assert queue.is_due(), "nobody has looked yet"
    assert queue.next() is None


def test_questions_of_a_cell_are_dropped_with_it() -> None:
    queue = Queue()
    queue.put(asks(1))
    queue.put(asks(2, cell="other"))
    queue.drop(CELL)
    assert next_task(queue) == 2


# -------------------------------------------------------------------- asking


class Engine:
    """What a backend has for prompts, with two tasks that wait."""

    def __init__(self) -> None:
        self.waiting = {1, 2}
        self.replies: list[tuple[int, Mapping[str, str]]] = []
        self.interlude: Any = None

    def interrupt_waits(self, interlude: Any) -> None:
        self.interlude = interlude

    def reply(self, task_id: int, answer: Mapping[str, str]) -> bool:
        if answer:
            self.replies.append((task_id, answer))
        return task_id in self.waiting

    def is_started(self, task_id: int) -> bool:
        return task_id in self.waiting


class Desk:
    """Prompts in a kernel whose person types what the test says."""

    def __init__(self, *typed: str | BaseException) -> None:
        self.typed = list(typed)
        self.shown: list[str] = []
        self.told: list[str] = []
        self.moved: list[int] = []
        self.engine = Engine()
        self.on_read: Callable[[], object] = lambda: None
        self.runs = CellRuns()
        self.runs.begin(CellRun(CELL, 4, None, 1))
        kernel = SimpleNamespace(raw_input=self.read, getpass=lambda prompt: self.read("hidden " + prompt), _allow_stdin=True)
        self.prompts = Prompts(
            SimpleNamespace(kernel=kernel), self.runs, lambda event: self.shown.append(event.task),
            lambda cell, text: self.told.append(text), lambda task, cell: self.moved.append(task),
        )  # fmt: skip
        self.prompts.attach(self.engine)  # type: ignore[arg-type]

    def read(self, prompt: str) -> str:
        self.shown.append(prompt)
        self.on_read()
        answer = self.typed.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def test_what_is_typed_goes_to_the_task() -> None:
    desk = Desk("Ada")
    desk.prompts.put(asks(1, prompt="who? "))
    assert desk.engine.interlude is desk.prompts
    assert desk.prompts.is_due()
    desk.prompts.play()
    assert desk.shown == ["task 1", "who? "], "output first"
    assert desk.engine.replies == [(1, {"text": "Ada"})]
    assert not desk.prompts.is_due()


def test_a_password_is_hidden() -> None:
    desk = Desk("secret")
    desk.prompts.put(asks(1, prompt="key: ", password=True))
    desk.prompts.play()
    assert desk.shown[1:] == ["hidden key: "]


def test_a_task_that_waits_no_more_is_not_asked_for() -> None:
    desk = Desk()
    desk.prompts.put(asks(3, prompt="who? "))
    desk.prompts.play()
    assert desk.shown == []
    assert not desk.prompts.is_due()


def test_an_answer_that_comes_too_late_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk("late")
    desk.on_read = desk.engine.waiting.clear
    desk.prompts.put(asks(1))
    desk.prompts.play()
    assert "task 1 has ended meanwhile, and did not get the answer" in capsys.readouterr().err


def test_without_a_frontend_the_task_is_told() -> None:
    desk = Desk(StdinNotImplementedError())
    desk.prompts.put(asks(1, talk=True))
    desk.prompts.play()
    assert desk.engine.replies == [(1, {"refused": prompts.NO_FRONTEND})]
    assert desk.prompts._queue.talker == NO_TASK


def test_a_talk_says_who_it_is_with(capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk("n", "c")
    for _ in range(2):
        desk.prompts.put(asks(1, talk=True))
        desk.prompts.play()
    assert capsys.readouterr().out.count("nbray: task 1 is in the debugger on worker 0 (pid 7)") == 1
    assert desk.moved == []


def test_who_died_talks_no_more() -> None:
    desk = Desk("n", "yes")
    desk.prompts.put(asks(1, talk=True))
    desk.prompts.play()
    desk.engine.waiting.remove(1)
    desk.prompts.put(asks(2))
    desk.prompts.play()
    desk.prompts.play()
    assert desk.engine.replies[-1] == (2, {"text": "yes"})


def test_stop_ends_the_question_without_kernel_frames() -> None:
    desk = Desk(KeyboardInterrupt("Interrupted by user"))
    desk.prompts.put(asks(1))
    with pytest.raises(KeyboardInterrupt) as raised:
        desk.prompts.play()
    assert raised.value.__suppress_context__
    assert desk.prompts._asks is False


def test_tasks_of_a_stopped_cell_ask_no_more() -> None:
    desk = Desk()
    desk.prompts.put(asks(1))
    desk.prompts.stop(CELL)
    desk.prompts.put(asks(2))
    assert not desk.prompts.is_due()
    assert desk.told == []


def test_a_cell_that_ends_says_what_waits() -> None:
    desk = Desk()
    desk.prompts.put(asks(1))
    assert desk.told == [], "as long as it runs, it may wait yet"
    desk.runs.end(CELL)
    desk.prompts.end_cell(CELL)
    desk.prompts.put(asks(2))
    line = "waits for input: %nbray debug asks, or the next cell that waits for tasks\n"
    assert desk.told == [f"nbray: task 1 {line}", f"nbray: task 2 {line}"]


def test_all_can_be_asked_at_once() -> None:
    desk = Desk("a", "b")
    assert not desk.prompts.ask_all()
    desk.prompts.put(asks(1))
    desk.prompts.put(asks(2))
    assert desk.prompts.ask_all()
    assert [task for task, _ in desk.engine.replies] == [1, 2]
