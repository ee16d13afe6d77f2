"""Which endings are a Stop, and what a stopped cell says of the others."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from nbray.ids import CellRunId
from nbray.notebook import stop
from nbray.notebook.cell_runs import CellRun, CellRuns
from nbray.snapshot import CellRunSnapshot


def result(in_exec: BaseException | None = None, before: BaseException | None = None) -> SimpleNamespace:
    return SimpleNamespace(error_in_exec=in_exec, error_before_exec=before)


@pytest.mark.parametrize(
    ("ended", "interrupted"),
    [
        (result(), False), (result(ValueError()), False), (result(before=SyntaxError()), False), (result(SystemExit()), False),
        (result(KeyboardInterrupt()), True), (result(asyncio.CancelledError()), True), (result(before=KeyboardInterrupt()), True),
        (None, True),
    ],
)  # fmt: skip
def test_was_interrupted(ended: object, interrupted: bool) -> None:
    assert stop.was_interrupted(ended) is interrupted


def test_a_stopped_cell_names_the_cells_that_go_on() -> None:
    runs = CellRuns()
    cells = {name: runs.begin(CellRun(CellRunId(name), number, None, 1)) for name, number in
             [("old 3", 3), ("three", 3), ("four", 4), ("five", 5)]}  # fmt: skip
    counts = [
        CellRunSnapshot(CellRunId("old 3"), "", "", running=1), CellRunSnapshot(CellRunId("three"), "", "", waiting=3, running=1),
        CellRunSnapshot(CellRunId("four"), "", "", succeeded=9), CellRunSnapshot(CellRunId("five"), "", "", running=2),
        CellRunSnapshot(CellRunId("of another notebook"), "", "", running=2),
    ]  # fmt: skip
    assert stop.others_message(counts, cells["five"], runs) == (
        "Cell [3] goes on (1 task): %nbray cancel --all stops it.\nCell [3] goes on (4 tasks): %nbray cancel 3 stops it.\n"
    )


@pytest.fixture
def interrupts() -> Iterator[stop.Interrupts]:
    before = signal.getsignal(signal.SIGINT)
    yield stop.Interrupts()
    signal.signal(signal.SIGINT, before)


def press_stop() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_is_heard_and_goes_on(interrupts: stop.Interrupts) -> None:
    before, told = signal.getsignal(signal.SIGINT), list[str]()
    interrupts.watch(lambda: told.append("stop"))
    with pytest.raises(KeyboardInterrupt):
        press_stop()
    assert (interrupts.came, told) == (True, ["stop"])
    interrupts.release(stays=False)
    assert signal.getsignal(signal.SIGINT) is before


def test_no_interrupt_gets_through_the_shield(interrupts: stop.Interrupts) -> None:
    interrupts.watch(lambda: None)
    interrupts.shield()
    press_stop()
    interrupts.release(stays=True)
    press_stop()
    assert not interrupts.came


def test_the_next_cell_hears_interrupts_again(interrupts: stop.Interrupts) -> None:
    for _ in range(3):  # the shield stayed, and no ipykernel took the signal back
        interrupts.watch(lambda: None)
        assert not interrupts.came
        with pytest.raises(KeyboardInterrupt):
            press_stop()
        interrupts.shield()
        interrupts.release(stays=True)


def test_a_handler_that_the_cell_has_set_stays(interrupts: stop.Interrupts) -> None:
    interrupts.watch(lambda: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupts.shield()
    interrupts.release(stays=False)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_cells_of_other_threads_leave_the_signal_alone(interrupts: stop.Interrupts) -> None:
    before, seen = signal.getsignal(signal.SIGINT), list[object]()

    def cell() -> None:
        interrupts.watch(lambda: None)
        seen.append(signal.getsignal(signal.SIGINT))
        interrupts.shield()
        interrupts.release(stays=False)

    thread = threading.Thread(target=cell)
    thread.start()
    thread.join()
    assert seen == [before]
