"""What comes up while the main thread waits for objects: it is played in between, by that thread alone."""

from __future__ import annotations

import threading

import pytest

from nbray.ids import CellRunId, ObjectId, TaskId
from nbray.scheduler.messages import Emitted, FromScheduler, Ready
from tests.engine.pretended_scheduler import Ends


class Asking:
    """Is due when output comes; then takes its time, and lets the object come, or raises."""

    def __init__(self, ends: Ends, wanted: ObjectId, seconds: float = 0.0, error: BaseException | None = None) -> None:
        self.ends, self.wanted = ends, wanted
        self.seconds, self.error = seconds, error
        self.due = False
        self.played: list[threading.Thread] = []
        ends.link.on_message = self._hear
        ends.link.interlude = self

    def _hear(self, message: FromScheduler) -> None:
        self.due = self.due or isinstance(message, Emitted)

    def is_due(self) -> bool:
        return self.due

    def play(self) -> None:
        self.due = False
        self.played.append(threading.current_thread())
        threading.Event().wait(self.seconds)
        if self.error is not None:
            raise self.error
        self.ends.scheduler.say(Ready([(self.wanted, b"value")]))


def ask(ends: Ends) -> None:
    ends.scheduler.say(Emitted(TaskId(1), CellRunId("cell"), "f", "worker 0 (pid 7)", "prompt", b"{}"))


def test_it_is_played_and_the_wait_goes_on(ends: Ends) -> None:
    (mine,) = ends.submit()
    asking = Asking(ends, mine)
    ask(ends)
    assert ends.link.wait([mine], 1, None) is True
    assert asking.played == [threading.main_thread()]


def test_its_time_is_not_the_waits(ends: Ends) -> None:
    (mine,) = ends.submit()
    Asking(ends, mine, seconds=0.4)
    ask(ends)
    assert ends.link.wait([mine], 1, 0.3) is True


def test_other_threads_only_wait(ends: Ends) -> None:
    (mine,) = ends.submit()
    asking = Asking(ends, mine)
    with ends.meanwhile(lambda: ends.link.wait([mine], 1, 0.1)) as outcome:
        ask(ends)
        assert outcome.get(timeout=5) is False
    assert asking.played == []


def test_what_it_raises_ends_the_wait_and_leaves_nothing(ends: Ends) -> None:
    (mine,) = ends.submit()
    Asking(ends, mine, error=KeyboardInterrupt("stopped"))
    ask(ends)
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        ends.link.wait([mine], 1, None)
    assert not ends.link._values._waiters


def test_without_one_a_timeout_is_a_timeout(ends: Ends) -> None:
    (mine,) = ends.submit()
    asking = Asking(ends, mine)
    assert ends.link.wait([mine], 1, 0.02) is False
    assert asking.played == []
    assert not ends.link.is_interlude_due()
