"""What a notebook does with the items of a cell, and what `--plot` may say."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray.errors import UsageError
from nbray.ids import CellRunId
from nbray.notebook.cell_runs import RUNS, CellRun
from nbray.notebook.given_items import hand_over, order_of, taken
from nbray.notebook.remote_cell import CellCode, CellOutcome
from nbray.notebook.yields import ITEMS
from nbray.plot_items import PlotOrder


def asked(plot: list[str] | None, x: str | None = None) -> Any:
    return SimpleNamespace(plot=plot, x=x)


def test_options_say_what_to_draw() -> None:
    assert order_of(asked(None)) is None
    assert order_of(asked([])) == PlotOrder()
    assert order_of(asked(["'loss,acc'", "lr"], "'epoch'")) == PlotOrder(("loss", "acc", "lr"), "epoch")


def test_x_belongs_to_plot() -> None:
    with pytest.raises(UsageError, match=r"--x epoch: it says what --plot draws against, as --plot loss,acc --x epoch"):
        order_of(asked(None, "epoch"))


@pytest.fixture
def running(shell: InteractiveShell) -> InteractiveShell:
    RUNS.begin(CellRun(CellRunId("c"), shell.execution_count, None, threading.get_ident()))
    return shell


def code(number: int, plot: PlotOrder | None = None) -> CellCode:
    return CellCode("yield 1", "<cell>", f"[{number}]", plot, True)


def test_items_are_the_result_of_their_cell(running: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = CellOutcome({ITEMS: [1, 2], "x": 3}, {})
    number = running.execution_count
    assert hand_over(running, code(number), outcome) == ""
    assert outcome.values == {"x": 3}
    assert running.user_ns["_"] == running.user_ns["Out"][number] == [1, 2]
    said = f"nbray: 2 items yielded: _ and Out[{number}]. --plot draws numbers while they come.\n"
    assert capsys.readouterr().out == said


def test_where_they_were_drawn_nothing_more_is_said(running: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    hand_over(running, code(running.execution_count, PlotOrder()), CellOutcome({ITEMS: [1]}, {}))
    assert capsys.readouterr().out == ""


def test_those_of_a_background_cell_disturb_no_other(running: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    running.user_ns["_"] = "mine"
    hand_over(running, code(77), CellOutcome({ITEMS: [1]}, {}))
    assert (running.user_ns["_"], running.user_ns["Out"][77]) == ("mine", [1])
    assert "1 item yielded: Out[77]." in capsys.readouterr().out


def test_items_that_cannot_be_sent_are_told(running: InteractiveShell) -> None:
    outcome = CellOutcome({}, {ITEMS: "the items cannot be sent: the items -> [0]: a thread lock", "y": "y cannot be sent"})
    said = "nbray: the items stay behind: the items cannot be sent: the items -> [0]: a thread lock\n"
    assert hand_over(running, code(1), outcome) == said
    assert outcome.left_out == {"y": "y cannot be sent"}


def test_arrays_among_them_may_be_changed() -> None:
    array = numpy.zeros(3)
    array.flags.writeable = False
    [own] = taken(CellOutcome({ITEMS: [array]}, {}))
    own[0] = 1
    assert taken(CellOutcome({}, {})) is None
