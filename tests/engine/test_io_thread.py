"""One thread that watches, keeps time and calls back; whatever callbacks do, it goes on."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator

import pytest

from nbray.engine.io_thread import IoThread


@pytest.fixture
def io() -> Iterator[IoThread]:
    thread = IoThread("test-io")
    thread.start()
    yield thread
    thread.stop()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def ask(io: IoThread) -> None:
    """Return once the thread has done everything that was asked before."""
    done = threading.Event()
    io.call_soon(done.set)
    assert done.wait(5)


def divide_by_zero() -> None:
    _ = 1 // 0


def test_calls_run_in_order_on_the_thread(io: IoThread) -> None:
    seen: list[object] = []
    for number in range(100):
        io.call_soon(lambda number=number: seen.append((number, io.on_this_thread())))  # type: ignore[misc]
    ask(io)
    assert seen == [(number, True) for number in range(100)]
    assert not io.on_this_thread()


def test_timers_fire_in_the_order_of_their_times(io: IoThread) -> None:
    seen: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
    now = time.monotonic()
    for name, delay in (("late", 0.02), ("soon", 0.005), ("overdue", -1.0)):
        io.call_at(now + delay, lambda name=name: seen.put((name, time.monotonic())))  # type: ignore[misc]
    fired = [seen.get(timeout=5) for _ in range(3)]
    assert [name for name, _ in fired] == ["overdue", "soon", "late"]
    assert fired[1][1] >= now + 0.005
    assert fired[2][1] >= now + 0.02


def test_a_timer_set_while_it_sleeps_for_a_later_one_is_not_missed(io: IoThread) -> None:
    io.call_at(time.monotonic() + 60, lambda: None)
    ask(io)
    done = threading.Event()
    io.call_at(time.monotonic() + 0.001, done.set)
    assert done.wait(5)


def test_timers_of_the_same_time_never_compare_callbacks(io: IoThread) -> None:
    seen: list[int] = []
    when = time.monotonic() + 0.002
    for number in range(5):
        io.call_at(when, lambda number=number: seen.append(number))  # type: ignore[misc]
    done = threading.Event()
    io.call_at(when, done.set)
    assert done.wait(5)
    assert seen == [0, 1, 2, 3, 4]


def test_watching_reads_and_writes(io: IoThread, pipe: tuple[int, int]) -> None:
    read, write = pipe
    got: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    io.watch(read, read=lambda: got.put(os.read(read, 100)))
    os.write(write, b"one")
    assert got.get(timeout=5) == b"one"
    writable = threading.Event()
    io.watch(write, write=writable.set)
    assert writable.wait(5)
    io.unwatch(write)
    io.unwatch(read)
    ask(io)
    os.write(write, b"two")
    ask(io)
    assert got.empty()
    io.unwatch(read)  # nothing to unwatch: no error


def test_a_callback_that_raises_is_reported_and_the_thread_goes_on(io: IoThread, monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", reports.append)
    io.call_soon(divide_by_zero)
    io.call_at(time.monotonic(), divide_by_zero)
    ask(io)
    ask(io)
    assert [report.exc_type for report in reports] == [ZeroDivisionError, ZeroDivisionError]


def test_what_was_asked_before_the_stop_is_done() -> None:
    for _ in range(50):
        io, seen = IoThread("test-io"), list[int]()
        io.start()
        io.call_soon(lambda seen=seen: seen.append(1))  # type: ignore[misc]
        io.stop()
        assert seen == [1]


def test_stop_is_idempotent_and_later_calls_are_harmless(io: IoThread) -> None:
    io.stop()
    io.stop()
    io.call_soon(lambda: None)
    io.call_at(0.0, lambda: None)
    io.watch(0, read=lambda: None)
    io.unwatch(0)


def test_stop_without_start_closes_its_descriptors() -> None:
    IoThread("never started").stop()


def test_stop_from_a_callback_ends_the_thread() -> None:
    io = IoThread("test-io")
    io.start()
    io.call_soon(io.stop)
    io._thread.join(5)
    assert not io._thread.is_alive()


def test_a_finalizer_that_calls_back_inside_does_not_deadlock(io: IoThread) -> None:
    """A garbage collection may run anywhere, also while this thread holds the locks, and finalizers use them."""
    with io._wake_lock, io._timer_lock:
        io.call_at(time.monotonic(), lambda: None)
        io.call_soon(lambda: None)


@pytest.mark.local
def test_a_forked_child_neither_wakes_nor_waits_for_the_parents_thread(io: IoThread) -> None:
    seen: list[str] = []
    holding, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with io._wake_lock, io._timer_lock:
            holding.set()
            let_go.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    holding.wait(5)
    pid = os.fork()
    if not pid:
        io.call_soon(lambda: seen.append("never"))
        io.call_at(0.0, lambda: seen.append("never"))
        io.stop()
        os._exit(0)
    let_go.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    ask(io)
    assert seen == []
