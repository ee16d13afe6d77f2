"""What a process says to a pretended scheduler: in order, together, once, whatever comes in between."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from nbray.engine import sending, wire
from nbray.errors import UsageError
from nbray.ids import ObjectId, ProcessId, object_id
from nbray.scheduler.messages import (
    Ask,
    Exit,
    FromScheduler,
    GiveBack,
    Held,
    Put,
    Ready,
    RegisterFunction,
    Released,
    Submit,
    TaskSpec,
)
from tests.engine.pretended_scheduler import TEMPLATE, Ends

THEIRS = object_id(ProcessId(9), 1)
"""An object of another process."""


class TestSending:
    def test_the_first_submission_leaves_at_once_and_the_next_ones_together(self, ends: Ends) -> None:
        first, *rest = ends.submit(50)
        assert [task.task_id for task in ends.scheduler.hear().tasks] == [first]
        heard: list[ObjectId] = []
        messages = 0
        while len(heard) < len(rest):
            heard += [task.task_id for task in ends.scheduler.hear().tasks]
            messages += 1
        assert heard == rest
        assert messages < 25

    def test_what_waits_leaves_by_itself_soon(self, ends: Ends) -> None:
        ends.submit()
        ends.scheduler.hear()
        ends.link.post(GiveBack(4096), delay=0.005)
        assert ends.scheduler.hear(1) == GiveBack(4096)

    def test_what_somebody_waits_for_leaves_at_once(self, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sending, "BATCH_SECONDS", 60.0)
        ends.submit()
        ends.scheduler.hear()
        (late,) = ends.submit()
        assert ends.scheduler.hears_nothing(0.02)
        ends.link.hurry()
        assert [task.task_id for task in ends.scheduler.hear(1).tasks] == [late]
        ends.link.hurry()
        assert ends.scheduler.hears_nothing(0.02)

    def test_a_sooner_post_is_not_held_up_by_a_later_one(self, ends: Ends) -> None:
        ends.link.post(GiveBack(1), delay=60)
        ends.link.post(GiveBack(2), delay=0.001)
        assert ends.scheduler.hear(2) == GiveBack(1)
        assert ends.scheduler.hear(2) == GiveBack(2)

    def test_messages_keep_their_order_around_submissions(self, ends: Ends) -> None:
        ends.link.post(RegisterFunction(b"key", "f", b"blob"))
        (one,) = ends.submit()
        ends.link.post(GiveBack(1))
        (two,) = ends.submit()
        ends.link.flush()
        heard = [ends.scheduler.hear() for _ in range(4)]
        assert [type(message) for message in heard] == [RegisterFunction, Submit, GiveBack, Submit]
        assert (heard[1].tasks[0].task_id, heard[3].tasks[0].task_id) == (one, two)

    def test_new_references_are_said_first_and_ended_ones_last(self, ends: Ends) -> None:
        (mine,) = ends.submit()
        ends.scheduler.hear()
        ends.link.references.hold(THEIRS)
        ends.link.release(mine)
        ends.link.post(GiveBack(1), now=True)
        assert [ends.scheduler.hear() for _ in range(3)] == [Held([THEIRS]), GiveBack(1), Released([mine])]

    def test_a_release_is_told_in_time_also_when_nothing_else_happens(self, ends: Ends) -> None:
        """A hold that is noted first must not keep the release from being settled."""
        (mine,) = ends.submit()
        ends.scheduler.hear()
        ends.link.references.hold(mine)
        ends.link.release(mine)
        ends.link.release(mine)
        assert ends.scheduler.hear(1) == Released([mine])
        ends.link.references.hold(THEIRS)
        ends.link.release(THEIRS)
        assert ends.scheduler.hears_nothing(0.1), "it came and went between two batches"

    def test_a_message_that_is_too_large_is_its_senders_error_alone(self, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wire, "MAX_FRAME", 1000)
        with pytest.raises(wire.ProtocolError, match="the most is 1,000"):
            ends.link.post(Put(THEIRS, b"x" * 1000))
        with pytest.raises(UnicodeEncodeError):
            ends.link.post(RegisterFunction(b"key", "\ud800", b""))
        ends.link.post(GiveBack(1), now=True)
        assert ends.scheduler.hear() == GiveBack(1)

    def test_submitters_wait_while_too_much_is_unsent(self, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sending, "MOST_UNSENT", 1_000_000)
        monkeypatch.setattr(sending, "LONGEST_BATCH_SECONDS", 0.0)  # a batch is not yet unsent
        tasks = 200

        def submit_all() -> int:
            for _ in range(tasks):
                number = ends.link.next_object()
                ends.link.submit(TaskSpec(number, TEMPLATE, b"x" * 60_000), [number])
            return tasks

        with ends.meanwhile(submit_all) as outcome:
            time.sleep(0.05)
            assert outcome.empty()
            assert len(ends.link.sender._unsent) < 4_000_000, "of the 12 MB"
            heard = 0
            while heard < tasks:
                heard += len(ends.scheduler.hear().tasks)
            assert outcome.get(timeout=5) == tasks

    def test_ids_are_unique_and_those_of_one_call_follow_each_other(self, ends: Ends) -> None:
        seen: queue.SimpleQueue[tuple[ObjectId, int]] = queue.SimpleQueue()

        def make(count: int) -> None:
            for _ in range(2000):
                seen.put((ends.link.next_object(count), count))

        threads = [threading.Thread(target=make, args=(count,)) for count in (1, 2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        made = [seen.get() for _ in range(6000)]
        numbers = [first + offset for first, count in made for offset in range(count)]
        assert len(set(numbers)) == len(numbers)


class TestFinalizers:
    """What the garbage collector runs in the middle of a step, on the thread that holds the lock."""

    @pytest.fixture(
        params=["references.create", "_values.expect", "references.take", "_values.forget", "references.settle", "sender._send"]
    )
    def in_the_middle(
        self, request: pytest.FixtureRequest, ends: Ends, monkeypatch: pytest.MonkeyPatch
    ) -> list[Callable[[], Any]]:
        """What is put here runs once, inside the step of a submission or a release that the parameter names."""
        todo: list[Callable[[], Any]] = []
        *path, name = request.param.split(".")
        owner = getattr(ends.link, path[0]) if path else ends.link
        step = getattr(owner, name)

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            while todo:
                todo.pop()()  # taken out first: it comes through here itself
            return step(*args, **kwargs)

        monkeypatch.setattr(owner, name, interrupted)
        return todo

    def provoke(self, ends: Ends) -> None:
        """Go through every step that a fixture can name: a submission with a release before it."""
        ends.link.release(ends.submit()[0])
        ends.link.flush()
        ends.submit()
        ends.link.flush()

    def heard(self, ends: Ends) -> list[Any]:
        ends.link.post(GiveBack(99), now=True)
        messages: list[Any] = []
        while (message := ends.scheduler.hear()) != GiveBack(99):
            messages.append(message)
        return messages

    def test_may_submit_and_post_which_leaves_once_and_soon(self, ends: Ends, in_the_middle: list[Callable[[], Any]]) -> None:
        ids: list[ObjectId] = []

        def work() -> None:
            ids.extend(ends.submit(2))
            ends.link.post(GiveBack(1), now=True)

        in_the_middle.append(work)
        handler = signal.getsignal(signal.SIGINT)
        self.provoke(ends)
        assert signal.getsignal(signal.SIGINT) is handler, "a shield was left up, and Stop would do nothing"
        heard = self.heard(ends)
        tasks = [task.task_id for message in heard if isinstance(message, Submit) for task in message.tasks]
        assert len(ids) == 2
        assert set(ids) <= set(tasks)
        assert len(set(tasks)) == len(tasks) == 4
        assert heard.count(GiveBack(1)) == 1

    def test_may_not_wait(self, ends: Ends, in_the_middle: list[Callable[[], Any]]) -> None:
        raised: list[str] = []

        def wait() -> None:
            with pytest.raises(UsageError) as caught:
                ends.link.request(lambda number: Ask(number, "snapshot"))
            raised.append(str(caught.value))

        in_the_middle.append(wait)
        self.provoke(ends)
        assert len(raised) == 1
        assert "__del__" in raised[0]
        assert [type(message) for message in self.heard(ends)] == [Submit, Released, Submit]

    @pytest.mark.parametrize("by", ["a flush", "a value that comes"])
    def test_the_sums_of_references_come_right_when_one_comes_in_between(self, ends: Ends, by: str) -> None:
        mine, other = ends.submit(2)
        ends.link.flush()
        asked: queue.SimpleQueue[ObjectId] = queue.SimpleQueue()

        class Counts(dict[ObjectId, int]):
            def get(self, number: Any, default: Any = None) -> Any:
                if number == mine:
                    asked.put(number)
                    ends.link.flush()
                return super().get(number, default)

        ends.link.references.counts = Counts(ends.link.references.counts)
        ends.link.references.release(mine)
        ends.link.references.hold(THEIRS)
        if by == "a flush":
            ends.link.flush()
        else:
            ends.scheduler.say(Ready([(other, b"value")]))
        assert asked.get(timeout=5) == mine
        while ends.link.value(other) is None and by != "a flush":
            time.sleep(0.001)
        ends.link.flush()
        assert [message for message in self.heard(ends) if isinstance(message, (Held, Released))] == [
            Held([THEIRS]),
            Released([mine]),
        ]

    def test_wait_neither_while_a_message_is_being_handled(self, ends: Ends) -> None:
        (number,) = ends.submit()
        raised: list[Any] = []

        def handle(message: FromScheduler) -> None:
            with pytest.raises(UsageError, match="start a thread") as caught:
                ends.link.wait((THEIRS,), 1, None)
            raised.append(caught.value)

        ends.link.on_message = handle
        with ends.meanwhile(lambda: ends.link.wait((number,), 1, 5)) as outcome:
            ends.scheduler.say(Exit("for a test"), Ready([(number, b"value")]))
            assert outcome.get(timeout=10) is True
        assert len(raised) == 1
