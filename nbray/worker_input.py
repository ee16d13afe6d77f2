"""Input inside tasks: what a task asks goes to the notebook's cell, and what is typed there comes back.

Whoever shows prompts hears of them as output of the stream "prompt": a `Question` as JSON. A debugger asks many times and is
talked to until it says that it is `over`; of all other questions each stands for itself.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import msgspec

from nbray import session
from nbray.engine import task_context
from nbray.errors import UsageError
from nbray.import_hooks import when_imported
from nbray.scheduler.messages import PROMPT


class Question(msgspec.Struct, frozen=True):
    """What a task asks."""

    prompt: str = ""
    password: bool = False
    """What is typed shall not be seen."""
    talk: bool = False
    """More questions follow, and nobody else's come in between."""
    over: bool = False
    """Nothing is asked: the talk has ended."""


_talks: ContextVar[bool] = ContextVar("nbray_talks", default=False)


class NobodyAnswers(UsageError):
    """Nobody can answer; `reason` says why."""

    def __init__(self, called: str, reason: str) -> None:
        super().__init__(f"{called} in a task: {reason}. Ask in the notebook, and give the task the answer")
        self.reason = reason


def take_input() -> None:
    """Let `input()` and `getpass()` in this process's tasks ask in the notebook; a worker calls this once."""
    plain = builtins.input

    def ask_in_notebook(prompt: object = "", /) -> str:
        """Ask in the notebook's cell for a line."""
        __tracebackhide__ = True
        if task_context.current() is None:
            return plain(prompt)
        return ask(Question(str(prompt), talk=_talks.get()), f"input({str(prompt)!r})")

    builtins.input = ask_in_notebook
    when_imported("getpass", _take_getpass)


def _take_getpass(module: ModuleType) -> None:
    plain: Any = module.getpass

    def ask_in_notebook(prompt: str = "Password: ", stream: Any = None) -> str:
        __tracebackhide__ = True
        if task_context.current() is None:
            return str(plain(prompt, stream))
        return ask(Question(prompt, password=True), f"getpass({prompt!r})")

    module.getpass = ask_in_notebook  # type: ignore[attr-defined]


def ask(question: Question, called: str) -> str:
    """The line that is typed for the running task; blocks until it is. Raises NobodyAnswers, which says what was `called`."""
    __tracebackhide__ = True
    context = task_context.current()
    assert context is not None, "only tasks ask"
    context.emit(PROMPT, b"")  # what it has printed so far leaves first, and stands above
    answer = session.current_backend().ask_person(context.task_id, msgspec.json.encode(question).decode())
    if "refused" in answer:
        raise NobodyAnswers(called, answer["refused"])
    return answer.get("text", "")


@contextmanager
def talk() -> Iterator[None]:
    """What `input()` asks within belongs to a talk, which goes on until `end_talk`."""
    before = _talks.set(True)
    try:
        yield
    finally:
        _talks.reset(before)


def end_talk() -> None:
    """The running task asks no more for now: others may."""
    context = task_context.current()
    if context is not None:
        context.emit(PROMPT, msgspec.json.encode(Question(over=True)))
