from __future__ import annotations

import builtins
import getpass
from collections.abc import Iterator

import msgspec
import pytest

from nbray import session, worker_input
from nbray.engine import task_context
from nbray.engine.task_context import TaskContext
from nbray.ids import CellRunId, TaskId
from nbray.worker_input import NobodyAnswers, Question


class Person:
    """Stands for the backend: notes what is asked, and answers."""

    def __init__(self, *answers: dict[str, str]) -> None:
        self.answers = list(answers)
        self.heard: list[Question] = []

    def ask_person(self, task_id: TaskId, prompt: str) -> dict[str, str]:
        assert task_id == 7
        self.heard.append(msgspec.json.decode(prompt, type=Question))
        return self.answers.pop(0)


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    """What the task with the id 7 sends, which runs here meanwhile, with input as in a worker."""
    sent: list[tuple[str, bytes]] = []
    monkeypatch.setattr(builtins, "input", builtins.input)
    monkeypatch.setattr(getpass, "getpass", lambda *_: "typed in the terminal")
    worker_input.take_input()
    emit = lambda task_id, stream, data: sent.append((stream, data))  # noqa: E731
    task_context.enter(TaskContext(TaskId(7), "f", CellRunId("cell"), 1, "worker 0", emit))
    yield sent
    task_context.enter(None)


def person(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, str]) -> Person:
    there = Person(*answers)
    monkeypatch.setattr(session, "current_backend", lambda: there)
    return there


def test_input_in_a_task_asks_the_person(monkeypatch: pytest.MonkeyPatch, emitted: list[tuple[str, bytes]]) -> None:
    there = person(monkeypatch, {"text": "Ada"}, {"text": "42"})
    assert input("who? ") == "Ada"
    assert input(6) == "42"
    assert there.heard == [Question("who? "), Question("6")]
    assert emitted == [("prompt", b"")] * 2, "what was printed before leaves first"


def test_getpass_hides_what_is_typed(monkeypatch: pytest.MonkeyPatch, emitted: list[tuple[str, bytes]]) -> None:
    there = person(monkeypatch, {"text": "secret"})
    assert getpass.getpass() == "secret"
    assert there.heard == [Question("Password: ", password=True)]


def test_outside_of_tasks_nothing_changes(monkeypatch: pytest.MonkeyPatch, emitted: list[tuple[str, bytes]]) -> None:
    task_context.enter(None)
    assert getpass.getpass() == "typed in the terminal"


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, emitted: list[tuple[str, bytes]]) -> None:
    person(monkeypatch, {"refused": "no one is there"})
    with pytest.raises(NobodyAnswers, match=r"input\('who\? '\) in a task: no one is there\. Ask in the notebook, and") as raised:
        input("who? ")
    assert raised.value.reason == "no one is there"


def test_a_talk_goes_on_until_it_is_over(monkeypatch: pytest.MonkeyPatch, emitted: list[tuple[str, bytes]]) -> None:
    there = person(monkeypatch, {"text": "n"}, {"text": "c"})
    with worker_input.talk():
        input("(Pdb) ")
    input("else? ")
    assert [question.talk for question in there.heard] == [True, False]
    worker_input.end_talk()
    assert msgspec.json.decode(emitted[-1][1], type=Question).over
