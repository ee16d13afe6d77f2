"""SIGINT never arrives inside the shield, and always right behind it."""

from __future__ import annotations

import select
import signal
import threading
from collections.abc import Iterator

import pytest

from nbray.engine.interrupts import InterruptShield, PollShield


@pytest.fixture
def shield() -> Iterator[InterruptShield]:
    handler = signal.getsignal(signal.SIGINT)
    yield InterruptShield()
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupt_inside_arrives_behind(shield: InterruptShield) -> None:
    seen = []

    def interrupted_block() -> None:
        with shield:
            signal.raise_signal(signal.SIGINT)
            seen.append("the block went on")

    with pytest.raises(KeyboardInterrupt):
        interrupted_block()
    assert seen == ["the block went on"]
    with shield:
        pass  # it is not raised twice


def test_without_an_interrupt_nothing_happens(shield: InterruptShield) -> None:
    with shield:
        pass


def test_an_error_inside_comes_through(shield: InterruptShield) -> None:
    with pytest.raises(ZeroDivisionError), shield:
        raise ZeroDivisionError


def test_the_handler_that_was_there_decides(shield: InterruptShield) -> None:
    seen: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with shield:
            signal.raise_signal(signal.SIGINT)
            assert seen == []
        assert seen == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, previous)


def test_shields_may_nest_when_they_are_two(shield: InterruptShield) -> None:
    seen = []

    def nested_blocks() -> None:
        with shield:
            with InterruptShield():
                signal.raise_signal(signal.SIGINT)
                seen.append("inner")
            seen.append("outer")

    with pytest.raises(KeyboardInterrupt):
        nested_blocks()
    assert seen == ["inner", "outer"]


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_handlers_that_are_not_pythons_are_left_alone(shield: InterruptShield, handler: signal.Handlers) -> None:
    previous = signal.signal(signal.SIGINT, handler)
    try:
        with shield:
            assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, previous)


def test_other_threads_change_nothing(shield: InterruptShield) -> None:
    seen = []

    def enter() -> None:
        with shield:
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


def test_an_interrupt_at_any_moment_never_splits_a_block(shield: InterruptShield) -> None:
    """A timer interrupts at random moments; the handler always finds the block run to its end, or not begun."""
    begun, ended, found = 0, 0, list[bool]()
    on_interrupt = signal.signal(signal.SIGINT, lambda number, frame: found.append(begun == ended))
    on_alarm = signal.signal(signal.SIGALRM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        while len(found) < 50:
            with shield:
                begun += 1
                sum(range(50))
                ended += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, on_alarm)
        signal.signal(signal.SIGINT, on_interrupt)
    assert all(found)


def interrupted_poll(where: str, poller: select.poll) -> None:
    with PollShield() as shield:
        if where == "before":
            signal.raise_signal(signal.SIGINT)
        else:
            threading.Timer(0.05, signal.raise_signal, (signal.SIGINT,)).start()
        while True:
            shield.poll(poller, None)


@pytest.mark.parametrize("where", ["before", "inside"])
def test_a_poll_ends_by_an_interrupt_also_by_one_that_came_before_it(where: str) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interrupted_poll(where, select.poll())
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupt_behind_a_poll_comes_at_the_end() -> None:
    seen = []

    def interrupted_behind() -> None:
        with PollShield() as shield:
            shield.poll(select.poll(), 0)
            signal.raise_signal(signal.SIGINT)
            seen.append("what was read is acted upon")

    with pytest.raises(KeyboardInterrupt):
        interrupted_behind()
    assert seen == ["what was read is acted upon"]


def test_a_shield_within_a_poll_shield_leaves_the_interrupt_to_that_one() -> None:
    seen = []

    def interrupted_inside() -> None:
        with PollShield():
            with InterruptShield():
                signal.raise_signal(signal.SIGINT)
            seen.append("still shielded")

    with pytest.raises(KeyboardInterrupt):
        interrupted_inside()
    assert seen == ["still shielded"]
