"""What can be asked, and who answers: the tables as people see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from nbray.scheduler.cell_runs import Job
from nbray.scheduler.messages import Answer, Ask
from nbray.scheduler.processes import Outbox, Process

Answerer = Callable[[Ask], object]


class Respondent(Protocol):
    """Who answers questions of its own, which depend on who asks."""

    @property
    def QUESTIONS(self) -> Sequence[str]:  # noqa: N802 - a constant of the class
        """Their names."""

    def answer(self, process: Process, job: Job, message: Ask) -> object | None:
        """The answer; None for a question of others."""


class Questions:
    """Answers by the name of the question; those about actors, for example, are for `ActorAnswers`."""

    def __init__(self, answers: dict[str, Answerer], respondents: Sequence[Respondent], outbox: Outbox) -> None:
        self._answers = answers
        self._respondents = {name: each for each in respondents for name in each.QUESTIONS}
        self._outbox = outbox

    def ask(self, process: Process, job: Job, message: Ask) -> None:
        """Send the answer, as MessagePack; what nobody knows is answered with the questions that there are."""
        known = self._answers.get(message.question)
        respondent = self._respondents.get(message.question)
        if known is not None:
            answer = known(message)
        else:
            answer = respondent.answer(process, job, message) if respondent is not None else None
        if answer is None:
            names = ", ".join(sorted([*self._answers, *self._respondents]))
            answer = {"error": f"nobody here can answer {message.question!r}: ask for one of {names}"}
        self._outbox.send(process.process_id, Answer(message.request_id, msgspec.msgpack.encode(answer)))
