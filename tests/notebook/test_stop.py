"""Which endings are a Stop, and what a stopped cell says of the others."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from types import SimpleNamespace

import pytest

from nbray.ids import CellRunId
from nbray.notebook import stop
from nbray.notebook.cell_runs import CellRun, CellRuns
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot, StoreSnapshot


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
    snapshot = ClusterSnapshot(1, "e", {}, {}, StoreSnapshot(0, 0, 0), [], counts)
    assert stop.others_message(snapshot, cells["five"], runs) == (
        "Cell [3] goes on (1 task): %nbray cancel --all stops it.\nCell [3] goes on (4 tasks): %nbray cancel 3 stops it.\n"
    )


def test_interrupts_pass_by_while_a_stop_is_brought_to_its_end() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop.Shield():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_after_a_stop_the_shield_stays_until_the_reply() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        with stop.Shield() as shield:
            shield.stays = True
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_have_no_shield() -> None:
    before = signal.getsignal(signal.SIGINT)

    def enter() -> None:
        with stop.Shield():
            seen.append(signal.getsignal(signal.SIGINT))

    seen: list[object] = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]
