"""One process's end of the task plane against a pretended scheduler on the other end of a socket pair."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from nbray.engine import connection
from nbray.errors import ClusterDied, GetTimeoutError
from nbray.ids import ObjectId, ProcessId, object_id
from nbray.scheduler.messages import (
    Allocate,
    Answer,
    Ask,
    Emitted,
    Failure,
    Fetch,
    Fetched,
    FromScheduler,
    GiveBack,
    Goodbye,
    Granted,
    Held,
    LetGo,
    LetGone,
    Ready,
    Refused,
    Released,
    Spilled,
    Stored,
    Submit,
    Subscribe,
)
from tests.engine.pretended_scheduler import Ends

THEIRS = object_id(ProcessId(9), 1)
"""An object of another process."""


class TestWaiting:
    def test_a_submitted_object_comes_without_asking(self, ends: Ends) -> None:
        (mine,) = ends.submit()
        with ends.meanwhile(lambda: ends.link.wait([mine], 1, None)) as outcome:
            assert isinstance(ends.scheduler.hear(), Submit)
            ends.scheduler.say(Ready([(mine, b"value")]))
            assert outcome.get(timeout=5) is True
        assert ends.link.value(mine) == b"value"
        assert ends.scheduler.hears_nothing()

    def test_another_processs_object_is_asked_for_once(self, ends: Ends) -> None:
        ends.link.references.hold(THEIRS)
        with ends.meanwhile(lambda: ends.link.wait([THEIRS], 1, None)) as outcome:
            assert ends.scheduler.hear() == Held([THEIRS])
            assert ends.scheduler.hear() == Subscribe([THEIRS])
            assert ends.link.wait([THEIRS], 1, 0.001) is False
            assert ends.scheduler.hears_nothing(0.01)
            ends.scheduler.say(Ready([(THEIRS, b"value")]))
            assert outcome.get(timeout=5) is True
        assert ends.link.wait([THEIRS], 1, 0) is True

    def test_a_wait_without_time_still_asks(self, ends: Ends) -> None:
        ends.link.references.hold(THEIRS)
        assert ends.link.wait([THEIRS], 1, 0) is False
        assert [ends.scheduler.hear(), ends.scheduler.hear()] == [Held([THEIRS]), Subscribe([THEIRS])]

    def test_a_timeout_ends_the_wait_and_leaves_nothing(self, ends: Ends) -> None:
        ids = ends.submit(3)
        started = time.monotonic()
        assert ends.link.wait(ids, 3, 0.02) is False
        assert 0.02 <= time.monotonic() - started < 1
        assert not ends.link._values._waiters

    def test_enough_is_enough(self, ends: Ends) -> None:
        ids = ends.submit(3)
        with ends.meanwhile(lambda: ends.link.wait(ids, 2, None)) as outcome:
            ends.scheduler.say(Ready([(ids[2], b"c")]), Ready([(ids[0], b"a")]))
            assert outcome.get(timeout=5) is True
        assert ends.link.value(ids[1]) is None

    def test_an_id_that_is_named_twice_counts_once(self, ends: Ends) -> None:
        one, two = ends.submit(2)
        ends.scheduler.say(Ready([(one, b"1")]))
        assert ends.link.wait([one], 1, 5)
        assert ends.link.wait([one, one, two], 2, 0.001) is False
        with ends.meanwhile(lambda: ends.link.wait([one, two, two, one], 2, None)) as outcome:
            ends.scheduler.say(Ready([(two, b"2")]))
            assert outcome.get(timeout=5) is True

    def test_a_failure_ends_the_wait_of_get_alone(self, ends: Ends) -> None:
        ids = ends.submit(2)
        waits = ends.meanwhile(lambda: ends.link.wait(ids, 2, 0.3))
        gets = ends.meanwhile(lambda: ends.link.wait(ids, 2, None, wake_on_failure=True))
        with waits as waited, gets as got:
            ends.scheduler.say(Ready([(ids[0], Failure("exception", "it broke"))]))
            assert got.get(timeout=5) is True
            assert waited.get(timeout=5) is False
        assert ends.link.wait(ids, 2, None, wake_on_failure=True) is True, "known failures end it at once"

    def test_values_of_what_nobody_here_refers_to_are_not_kept(self, ends: Ends) -> None:
        mine, gone = ends.submit(2)
        ends.link.release(gone)
        ends.scheduler.say(Ready([(gone, b"gone"), (mine, b"mine")]))
        assert ends.link.wait([mine], 1, 5)
        assert ends.link.value(gone) is None

    def test_a_released_value_is_forgotten(self, ends: Ends) -> None:
        (mine,) = ends.submit()
        ends.scheduler.say(Ready([(mine, b"mine")]))
        assert ends.link.wait([mine], 1, 5)
        ends.link.release(mine)
        while ends.scheduler.hear() != Released([mine]):
            pass
        assert ends.link.value(mine) is None

    def test_the_process_hears_of_waits_that_block_only(self, ends: Ends) -> None:
        seen: list[str] = []

        @contextmanager
        def on_wait() -> Iterator[None]:
            seen.append("begins")
            yield
            seen.append("ends")

        def enter() -> AbstractContextManager[None]:
            return on_wait()

        ends.link.on_wait = enter
        (mine,) = ends.submit()
        ends.link.wait([mine], 1, 0)
        assert seen == []
        ends.link.wait([mine], 1, 0.001)
        assert seen == ["begins", "ends"]
        ends.scheduler.say(Ready([(mine, b"")]))
        ends.link.wait([mine], 1, 5)
        seen.clear()
        ends.link.wait([mine], 1, 5)
        assert seen == []

    def test_the_timeouts_error_says_that_tasks_go_on(self) -> None:
        error = connection.timed_out(2, 5, 1.5)
        assert isinstance(error, GetTimeoutError)
        assert str(error).startswith("after 1.5 s, 2 of 5 objects are not there yet. Their tasks go on")


class TestCallbacks:
    def test_they_come_once_when_the_object_does(self, ends: Ends) -> None:
        (mine,) = ends.submit()
        called: queue.SimpleQueue[bool] = queue.SimpleQueue()
        ends.link.call_when_ready(mine, lambda: called.put(True))
        assert called.empty()
        ends.scheduler.say(Ready([(mine, b"")]))
        assert called.get(timeout=5)
        ends.link.call_when_ready(mine, lambda: called.put(True))
        assert called.get(timeout=0)
        assert called.empty()

    def test_one_that_raises_disturbs_nobody(self, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
        reports: list[Any] = []
        monkeypatch.setattr(threading, "excepthook", reports.append)
        one, two = ends.submit(2)
        called: queue.SimpleQueue[bool] = queue.SimpleQueue()

        def fail() -> None:
            raise RuntimeError("a bug of the user's")

        ends.link.call_when_ready(one, fail)
        ends.link.call_when_ready(one, lambda: called.put(True))
        ends.link.call_when_ready(two, lambda: called.put(True))
        ends.scheduler.say(Ready([(one, b"1"), (two, b"2")]))
        assert called.get(timeout=5)
        assert called.get(timeout=5)
        assert [report.exc_type for report in reports] == [RuntimeError]

    def test_messages_for_others_come_in_order_even_when_a_handler_raises(
        self, ends: Ends, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(threading, "excepthook", lambda report: None)
        seen: list[bytes] = []
        (mine,) = ends.submit()

        def handle(message: FromScheduler) -> None:
            assert isinstance(message, Emitted)
            seen.append(message.data)
            if message.data == b"1":
                raise OSError("the notebook's output is closed")

        ends.link.on_message = handle
        emitted = [Emitted(mine, connection_cell(), "f", "worker 0", "stdout", b"%d" % number) for number in range(3)]
        ends.scheduler.say(*emitted, Ready([(mine, b"")]))
        assert ends.link.wait([mine], 1, 5)
        assert seen == [b"0", b"1", b"2"]


def connection_cell() -> Any:
    return "cell-run"


class TestRequests:
    def test_replies_find_their_request(self, ends: Ends) -> None:
        with ends.meanwhile(lambda: ends.link.allocate(1000)) as extent:
            allocate = ends.scheduler.hear()
            with ends.meanwhile(lambda: ends.link.request(lambda number: Ask(number, "snapshot"))) as answer:
                ask = ends.scheduler.hear()
                ends.scheduler.say(Answer(ask.request_id, b"body"), Granted(allocate.request_id, 4096, 1000, True))
                assert answer.get(timeout=5) == Answer(ask.request_id, b"body")
            assert extent.get(timeout=5) == Granted(allocate.request_id, 4096, 1000, True)
        assert isinstance(allocate, Allocate)

    def test_what_was_released_is_told_before(self, ends: Ends) -> None:
        (mine,) = ends.submit()
        ends.scheduler.hear()
        ends.link.release(mine)
        with ends.meanwhile(lambda: ends.link.allocate(1000)) as outcome:
            assert ends.scheduler.hear() == Released([mine])
            ends.scheduler.say(Refused(ends.scheduler.hear().request_id, Failure("store_full", "full")))
            assert isinstance(outcome.get(timeout=5), Refused)

    def test_an_extent_that_nobody_waits_for_any_more_goes_back(self, ends: Ends) -> None:
        ends.scheduler.say(Granted(99, 4096, 1000, False))
        assert ends.scheduler.hear() == GiveBack(4096)

    def test_an_interrupted_request_gives_its_extent_back(self, ends: Ends) -> None:
        def interrupt() -> None:
            ends.scheduler.hear()
            signal.raise_signal(signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            ends.link.allocate(1000)
        thread.join()
        ends.scheduler.say(Granted(1, 8192, 1000, False))
        assert ends.scheduler.hear() == GiveBack(8192)
        assert not ends.link._replies
        assert not ends.link._reply_waiters


def hear(ends: Ends, kind: type[Any]) -> Any:
    """The next message of a kind; submissions and the like come before it."""
    while type(message := ends.scheduler.hear()) is not kind:
        pass
    return message


class TestSpilled:
    """The scheduler wants the place of objects, and brings them back."""

    def learn(self, ends: Ends, *values: Stored) -> list[ObjectId]:
        ids = ends.submit(len(values))
        ends.scheduler.say(Ready(list(zip(ids, values, strict=True))))
        assert ends.link.wait(ids, len(ids), 5)
        return ids

    def test_it_lets_go_of_what_it_does_not_read(self, ends: Ends) -> None:
        first, second = self.learn(ends, Stored(0, 100), Stored(4096, 200))
        ends.link.reading = lambda: {second}
        ends.scheduler.say(LetGo(7, [first, second, THEIRS]))
        assert hear(ends, LetGone) == LetGone(7, [second])
        assert ends.link.value(first) == Spilled(100)
        assert ends.link.value(second) == Stored(4096, 200)
        assert ends.link.wait([first], 1, 0), "it is there, though not here"

    def test_it_fetches_what_it_let_go_of(self, ends: Ends) -> None:
        (first,) = self.learn(ends, Stored(0, 100))
        ends.scheduler.say(LetGo(7, [first]))
        with ends.meanwhile(lambda: ends.link.fetch(first)) as outcome:
            request = hear(ends, Fetch)
            assert request.object_id == first
            ends.scheduler.say(Fetched(request.request_id, first, Stored(8192, 100, restored=1)))
            assert outcome.get(timeout=5).value == Stored(8192, 100, restored=1)
        assert ends.link.value(first) == Stored(8192, 100, restored=1)

    def test_it_does_not_wait_longer_than_it_shall_and_the_object_comes_all_the_same(self, ends: Ends) -> None:
        (first,) = self.learn(ends, Stored(0, 100))
        ends.scheduler.say(LetGo(7, [first]))
        hear(ends, LetGone)
        with pytest.raises(GetTimeoutError, match="no answer within"):
            ends.link.fetch(first, time.monotonic() + 0.01)
        ends.scheduler.say(Fetched(hear(ends, Fetch).request_id, first, Stored(8192, 100, restored=1)))
        deadline = time.monotonic() + 5
        while ends.link.value(first) == Spilled(100) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert ends.link.value(first) == Stored(8192, 100, restored=1)

    def test_what_it_does_not_hold_any_more_it_does_not_learn(self, ends: Ends) -> None:
        with ends.meanwhile(lambda: ends.link.fetch(THEIRS)):
            request = hear(ends, Fetch)
            ends.scheduler.say(Fetched(request.request_id, THEIRS, Stored(8192, 100)))
        assert ends.link.value(THEIRS) is None


class TestLosing:
    def test_every_waiting_call_raises_at_once(self, ends: Ends) -> None:
        ids = ends.submit(2)
        called = threading.Event()
        ends.link.call_when_ready(ids[1], called.set)
        gets = ends.meanwhile(lambda: ends.link.wait(ids, 2, None))
        asks = ends.meanwhile(lambda: ends.link.allocate(10))
        with gets as got, asks as asked:
            while not isinstance(ends.scheduler.hear(), Allocate):
                pass
            lost_at = time.monotonic()
            ends.scheduler.socket.close()
            for outcome in (got, asked):
                error = outcome.get(timeout=5)
                assert isinstance(error, ClusterDied)
                assert "The cluster epoch-1 is gone: its scheduler process ended." in str(error)
            assert called.wait(1)
            assert time.monotonic() - lost_at < 1

    @pytest.mark.parametrize(
        "call",
        [
            lambda ends: ends.link.wait([THEIRS], 1, None),
            lambda ends: ends.link.wait([THEIRS], 1, 0),
            lambda ends: ends.link.wait([THEIRS], 1, 0.01),
            lambda ends: ends.link.allocate(10),
            lambda ends: ends.submit(),
        ],
    )
    def test_later_calls_raise_too(self, ends: Ends, call: Callable[[Ends], Any]) -> None:
        ends.scheduler.socket.close()
        lost = threading.Event()
        ends.link.call_when_ready(THEIRS, lost.set)
        assert lost.wait(5)
        with pytest.raises(ClusterDied):
            call(ends)
        ends.link.io.stop()
        with pytest.raises(ClusterDied):
            call(ends)

    def test_what_is_known_stays_known(self, ends: Ends) -> None:
        (mine,) = ends.submit()
        ends.scheduler.say(Ready([(mine, b"mine")]))
        assert ends.link.wait([mine], 1, 5)
        ends.link.close()
        assert ends.link.wait([mine], 1, None) is True
        assert ends.link.value(mine) == b"mine"

    def test_releases_and_posts_afterwards_are_harmless(self, ends: Ends) -> None:
        (mine,) = ends.submit()
        ends.link.close()
        ends.link.close(Goodbye())
        ends.link.release(mine)
        ends.link.post(GiveBack(1), now=True)
        ends.link.flush()
        assert "it was closed" in ends.link.lost

