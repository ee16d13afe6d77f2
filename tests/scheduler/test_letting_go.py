from __future__ import annotations

import pytest

from nbray.ids import ObjectId, ProcessId
from nbray.scheduler.actions import Send
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.letting_go import STUCK_SECONDS, LettingGo
from nbray.scheduler.messages import LetGo, Ready, Stored
from nbray.scheduler.ownership import ObjectEntry
from nbray.scheduler.places import Place
from nbray.scheduler.processes import Outbox, Process

FIRST, SECOND = ProcessId(1), ProcessId(2)


class Desk:
    """The questions, two processes, and what came of each place."""

    def __init__(self) -> None:
        self.processes = {number: Process(number, None, None) for number in (FIRST, SECOND)}
        self.outbox, self.deadlines = Outbox(), Deadlines()
        self.left: list[Place] = []
        self.read: list[Place] = []
        self.questions = LettingGo(self.processes, self.outbox, self.deadlines, self.left.append, self.read.append)

    def place(self, number: int, *holders: ProcessId) -> Place:
        """The place of an object that these hold."""
        place = Place(ObjectEntry(ObjectId(number), 1, value=Stored(4096 * number, 100)), 4096 * number, 100, "f")
        for holder in holders:
            self.processes[holder].held.add(place.object_id)
        return place

    def sent(self) -> list[tuple[ProcessId, LetGo | Ready]]:
        """What was sent since the last look."""
        actions = [action for action in self.outbox.take() if isinstance(action, Send)]
        return [(action.process, action.message) for action in actions if isinstance(action.message, (LetGo, Ready))]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_each_holder_is_asked_once_about_all_that_it_holds(desk: Desk) -> None:
    desk.questions.ask([desk.place(5, FIRST), desk.place(6, FIRST, SECOND)])
    assert desk.sent() == [(FIRST, LetGo(1, [ObjectId(5), ObjectId(6)])), (SECOND, LetGo(2, [ObjectId(6)]))]
    assert desk.left == []


def test_what_nobody_holds_is_left_at_once(desk: Desk) -> None:
    place = desk.place(5)
    desk.questions.ask([place])
    assert desk.left == [place]


def test_an_object_is_left_when_the_last_holder_has_answered(desk: Desk) -> None:
    place = desk.place(5, FIRST, SECOND)
    desk.questions.ask([place])
    desk.questions.answered(FIRST, 1, ())
    assert desk.left == []
    desk.questions.answered(SECOND, 2, ())
    assert desk.left == [place]


def test_one_reader_is_enough_for_it_to_stay(desk: Desk) -> None:
    place = desk.place(5, FIRST, SECOND)
    desk.questions.ask([place])
    desk.questions.answered(FIRST, 1, [place.object_id])
    assert desk.read == [place]
    place.asked.clear()  # as who lets it stay does
    desk.questions.answered(SECOND, 2, ())
    assert desk.left == []


def test_an_answer_counts_once_and_from_who_was_asked(desk: Desk) -> None:
    place = desk.place(5, FIRST, SECOND)
    desk.questions.ask([place])
    desk.questions.answered(SECOND, 1, ())
    desk.questions.answered(FIRST, 1, ())
    desk.questions.answered(FIRST, 1, ())
    desk.questions.answered(FIRST, 99, ())
    assert desk.left == []


def test_a_process_that_is_gone_has_answered(desk: Desk) -> None:
    place = desk.place(5, FIRST)
    desk.questions.ask([place])
    desk.questions.forget(SECOND)
    assert desk.left == []
    desk.questions.forget(FIRST)
    assert desk.left == [place]


def test_one_that_does_not_answer_in_time_is_taken_to_read(desk: Desk) -> None:
    place = desk.place(5, FIRST)
    desk.questions.ask([place])
    desk.deadlines.now = STUCK_SECONDS
    desk.deadlines.run_due()
    assert desk.read == [place]
    desk.questions.answered(FIRST, 1, ())
    assert desk.left == []


def test_what_was_about_to_be_told_is_told_before(desk: Desk) -> None:
    place = desk.place(5, FIRST)
    desk.outbox.push(desk.processes[FIRST], place.object_id, Stored(4096, 100))
    desk.questions.ask([place])
    assert [type(message) for _, message in desk.sent()] == [Ready, LetGo]
