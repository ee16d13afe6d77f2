"""What can be asked, and who answers: the tables as people see them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from nbray.scheduler.actor_answers import ActorAnswers
from nbray.scheduler.cell_runs import Job
from nbray.scheduler.messages import Answer, Ask
from nbray.scheduler.processes import Outbox, Process

Answerer = Callable[[Ask], object]


class Questions:
    """Answers by the name of the question; those about actors are for `ActorAnswers`."""

    def __init__(self, answers: dict[str, Answerer], actors: ActorAnswers, outbox: Outbox) -> None:
        self._answers = answers
        self._actors = actors
        self._outbox = outbox

    def ask(self, process: Process, job: Job, message: Ask) -> None:
        """Send the answer, as MessagePack; what nobody knows is answered with the questions that there are."""
        known = self._answers.get(message.question)
        answer = known(message) if known is not None else self._actors.answer(process, job, message)
        if answer is None:
            names = ", ".join(sorted([*self._answers, *ActorAnswers.QUESTIONS]))
            answer = {"error": f"nobody here can answer {message.question!r}: ask for one of {names}"}
        self._outbox.send(process.process_id, Answer(message.request_id, msgspec.msgpack.encode(answer)))
