"""Waiters wake when enough has come, when a failure ends their wait, and when the connection is lost; never otherwise."""

from __future__ import annotations

import threading
import time

import pytest

from nbray.engine.values import Callback, Values, Waiter
from nbray.ids import ObjectId
from nbray.scheduler.messages import Failure, Spilled, Stored, Value

A, B, C = ObjectId(1), ObjectId(2), ObjectId(3)
FAILED = Failure("exception", "it broke")


def test_a_waiter_wakes_when_enough_have_come() -> None:
    values = Values()
    waiter = values.wait_for([A, B, C], 2, wake_on_failure=False)
    values.learn(A, b"a")
    assert not waiter.done
    values.learn(C, FAILED)
    assert waiter.done
    values.learn(B, b"b")  # a value more does not wake it twice


@pytest.mark.parametrize("wakes", [True, False])
def test_a_failure_ends_the_wait_of_those_who_asked_for_that(wakes: bool) -> None:
    values = Values()
    waiter = values.wait_for([A, B], 2, wake_on_failure=wakes)
    values.learn(A, FAILED)
    assert waiter.done is wakes


def test_a_forgotten_waiter_leaves_nothing() -> None:
    values = Values()
    one = values.wait_for([A, B], 2, wake_on_failure=False)
    other = values.wait_for([B], 1, wake_on_failure=False)
    values.learn(A, b"a")
    values.forget_waiter(one, [A, B])
    values.learn(B, b"b")
    assert not one.done
    assert other.done
    values.forget_waiter(other, [B])
    assert not values._waiters


def test_nothing_is_asked_for_twice_nor_when_it_is_known() -> None:
    values = Values()
    values.learn(C, b"c")
    assert values.unexpected([A, B, C]) == [A, B]
    values.expect([A])
    assert values.unexpected([A, B, C]) == [B]
    values.forget([A])
    assert values.unexpected([A]) == [A]


def test_a_value_that_is_forgotten_is_asked_for_again() -> None:
    values = Values()
    values.learn(A, Stored(0, 10))
    values.forget([A])
    assert A not in values.known
    assert values.unexpected([A]) == [A]


def test_callbacks_come_back_once() -> None:
    values, called = Values(), list[str]()
    assert values.call_back(A, lambda: called.append("one"))
    assert values.call_back(A, lambda: called.append("two"))
    for callback in values.learn(A, b""):
        callback()
    assert called == ["one", "two"]
    assert values.learn(A, b"") == []
    assert not values.call_back(A, lambda: called.append("too late"))


def test_losing_the_connection_wakes_everybody() -> None:
    values = Values()
    waiters = [values.wait_for([A, B], 2, wake_on_failure=False) for _ in range(3)]
    callback: Callback = lambda: None  # noqa: E731
    values.call_back(C, callback)
    assert values.abandon() == [callback]
    assert all(waiter.done for waiter in waiters)
    assert values.abandon() == []


class TestLetGo:
    def test_where_an_object_was_is_forgotten_before_it_is_asked_who_reads(self) -> None:
        values, seen = Values(), list[Value]()
        values.learn(A, Stored(4096, 100, [C]))

        def reading() -> set[ObjectId]:
            seen.append(values.known[A])
            return set()

        assert values.let_go([A, B], reading) == []
        assert seen == [Spilled(100, [C])]
        assert values.known == {A: Spilled(100, [C])}

    def test_one_that_is_read_is_known_again_where_it_is(self) -> None:
        values = Values()
        values.learn(A, Stored(4096, 100))
        values.learn(B, Stored(8192, 100))
        assert values.let_go([A, B, C], lambda: {A, C}) == [A, C], "C is the argument of a task, and was never told here"
        assert values.known == {A: Stored(4096, 100), B: Spilled(100)}

    def test_who_waits_for_it_need_not_wait(self) -> None:
        values = Values()
        values.learn(A, Stored(4096, 100))
        values.let_go([A], set)
        assert values.unexpected([A]) == []
        assert not values.call_back(A, lambda: None)


class TestWaiter:
    def test_sleep_ends_after_its_time(self) -> None:
        waiter = Waiter(1, wake_on_failure=False)
        waiter.sleep(0.001)
        assert not waiter.done

    def test_sleep_after_the_wake_returns_at_once_however_often(self) -> None:
        waiter = Waiter(1, wake_on_failure=False)
        waiter.wake()
        waiter.wake()
        started = time.monotonic()
        waiter.sleep(10)
        waiter.sleep(10)
        assert time.monotonic() - started < 5

    def test_another_thread_wakes_the_sleeper(self) -> None:
        waiter = Waiter(1, wake_on_failure=False)
        sleeper = threading.Thread(target=waiter.sleep, args=(10,))
        sleeper.start()
        waiter.wake()
        sleeper.join(5)
        assert not sleeper.is_alive()
