"""Cells that run with `--bg`: names between cells, on the main thread; failures and warnings in their own cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray import call_options, session
from nbray.ids import CellRunId
from nbray.notebook import cells
from nbray.notebook.background import Background
from nbray.notebook.cell_runs import RUNS, CellRun
from nbray.notebook.cells import CellOptions
from nbray.notebook.display import Display, Parent
from nbray.objects import ObjectRef
from tests.fakes import FakeBackend, fake_session

PARENT = {"header": {"msg_id": "bg"}}


class Loop:
    """The kernel's event loop, as far as it is used."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def add_callback(self, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)

    def turn(self) -> None:
        for callback in self.waiting:
            callback()
        self.waiting.clear()


class Kernel:
    def __init__(self) -> None:
        self.io_loop = Loop()


class Page(Display):
    def __init__(self) -> None:
        self.shown: list[tuple[str, dict[str, Any], Parent]] = []

    def publish(self, kind: str, content: dict[str, Any], parent: Parent) -> None:
        self.shown.append((kind, content, parent))


class Desk:
    """A shell with a background, and cells to put there."""

    def __init__(self, shell: Any, backend: FakeBackend) -> None:
        self.shell, self.backend, self.page, self.kernel = shell, backend, Page(), Kernel()
        shell.kernel = self.kernel
        self.background = Background(shell, self.page)

    def start(self, cell: str) -> None:
        """Submit a cell; the backend runs nothing before `finish`."""
        self.backend.frozen = True
        run = RUNS.begin(CellRun(CellRunId("bg"), 4, PARENT, 1))
        session.set_cell_run(run.id)
        ready = cells.read_cell(self.shell, "--bg", cell, CellOptions())
        self.background.follow(cells.submit(ready, call_options.build({"name": "cell [4]"})))
        RUNS.end(run.id)

    def finish(self) -> None:
        self.backend.frozen = False
        self.backend._wait_until(lambda: not self.backend._queue, None)


@pytest.fixture
def desk(shell: InteractiveShell) -> Iterator[Desk]:
    with fake_session() as backend:
        yield Desk(shell, backend)


def test_names_are_assigned_when_the_kernel_is_idle(desk: Desk) -> None:
    desk.start("x = 1")
    desk.finish()
    assert "x" not in desk.shell.user_ns
    desk.kernel.io_loop.turn()
    assert desk.shell.user_ns["x"] == 1
    assert desk.page.shown == []


def test_nothing_is_assigned_while_a_cell_runs(desk: Desk) -> None:
    desk.start("x = 1")
    run = RUNS.begin(CellRun(CellRunId("other"), 5, None, 1))
    desk.finish()
    desk.kernel.io_loop.turn()
    assert "x" not in desk.shell.user_ns
    RUNS.end(run.id)
    desk.background.pre_run_cell(None)
    assert desk.shell.user_ns["x"] == 1


def test_a_failure_is_shown_in_its_own_cell(desk: Desk) -> None:
    desk.start("x = 1 / 0")
    desk.finish()
    desk.background.take_over()
    [(kind, content, parent)] = desk.page.shown
    assert (kind, content["ename"], parent) == ("error", "ZeroDivisionError", PARENT)
    assert "x" not in desk.shell.user_ns


def test_what_stayed_behind_is_told_in_its_own_cell(desk: Desk) -> None:
    desk.start("g = (n for n in range(3))")
    desk.finish()
    desk.background.take_over()
    [(kind, content, parent)] = desk.page.shown
    assert (kind, content["name"], parent) == ("stream", "stderr", PARENT)
    assert content["text"].startswith("nbray: g stays behind:")


def test_the_end_of_the_cluster_is_shown_too(desk: Desk) -> None:
    desk.start("x = 1")
    desk.backend.die()
    desk.background.take_over()
    assert desk.page.shown[0][1]["ename"] == "ClusterDied"


class Several:
    """Something that waits for several tasks."""

    def __init__(self, backend: FakeBackend, count: int) -> None:
        ids = [backend.submit(abs, (-n,), {}, call_options.build({"name": "abs"}), CellRunId("bg"))[0] for n in range(count)]
        self.refs = [ObjectRef(each, backend.epoch) for each in ids]
        self.backend: Any = backend
        self.run = None
        self.taken = 0

    def take_over(self, shell: Any) -> str:
        self.taken += 1
        return ""


def test_what_waits_for_several_tasks_is_taken_over_once_after_the_last(desk: Desk) -> None:
    desk.backend.frozen = True
    several = Several(desk.backend, 3)
    desk.background.follow(several)
    desk.background.take_over()
    assert several.taken == 0
    desk.finish()
    desk.kernel.io_loop.turn()
    assert several.taken == 1
