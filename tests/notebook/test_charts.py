"""When charts of plots are drawn, in which cell, when they are live and when over; without a kernel."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from nbray.backends.backend import OutputEvent
from nbray.ids import BACKGROUND, CellRunId, TaskId
from nbray.notebook import charts
from nbray.notebook.cell_runs import CellRun, CellRuns
from nbray.notebook.charts import CUT_OFF, LIVE_AFTER, MOST_CHARTS, NEVER, REDRAW, REPUBLISH, Charts
from nbray.notebook.display import Display, Parent
from nbray.plot_points import STREAM, Points

WIDGET = "application/vnd.jupyter.widget-view+json"


class Page(Display):
    live = True

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any], Parent]] = []

    def publish(self, kind: str, content: dict[str, Any], parent: Parent) -> None:
        self.messages.append((kind, content, parent))

    @property
    def last(self) -> str:
        return str(self.messages[-1][1]["data"]["text/plain"])


class Widget:
    """Stands for the live card, which has tests of its own."""

    made: list[Widget]
    draws_curves = False

    def __init__(self, greet: Callable[[], None], ask: Callable[[str, str], None]) -> None:
        self.greet = greet
        self.shown = 0
        self.closed = False
        self.made.append(self)

    def show(self, *args: object) -> None:
        self.shown += 1

    def close(self) -> None:
        self.closed = True

    def bundle(self, html: str, text: str) -> dict[str, Any]:
        return {WIDGET: {}, "text/html": html, "text/plain": text}


@pytest.fixture
def widgets(monkeypatch: pytest.MonkeyPatch) -> list[Widget]:
    Widget.made = []
    monkeypatch.setitem(sys.modules, "nbray.widgets.live_card", SimpleNamespace(LiveCard=Widget))
    return Widget.made


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def runs() -> CellRuns:
    runs = CellRuns()
    runs.begin(CellRun(CellRunId("c1"), 1, {"header": {"msg_id": "c1"}}, threading.get_ident()))
    return runs


@pytest.fixture
def woken() -> list[int]:
    return []


@pytest.fixture
def board(page: Page, runs: CellRuns, widgets: list[Widget], woken: list[int]) -> Charts:
    return Charts(page, runs, lambda: woken.append(1))


def points(items: int, *, plot: int = 1, rows: bool = True, closed: bool = False) -> bytes:
    values = ((float(items), 1.0 / (items or 1)),) if rows and items else ()
    return Points(plot=plot, names=("loss",), rows=values, items=items, closed=closed).encode()


def event(data: bytes, cell_run: str = "c1", task: int = 7) -> OutputEvent:
    return OutputEvent(CellRunId(cell_run), TaskId(task), "train", "worker 1", STREAM, data)


def test_it_begins_as_html_is_updated_and_ends(board: Charts, page: Page) -> None:
    assert board.deadline() == NEVER
    assert board.handle(event(points(0)), 0.0)
    assert board.beginning(0.0) == ["c1"]
    board.draw_due(0.0)
    assert board.beginning(0.0) == []
    board.handle(event(points(1)), 0.01)
    assert board.deadline() == REDRAW
    board.draw_due(0.01)
    board.handle(event(points(2)), 0.02)
    board.draw_due(REDRAW)
    board.handle(event(points(2, closed=True, rows=False)), 0.3)
    assert board.deadline() <= 0.3
    board.draw_due(0.3)
    assert [kind for kind, _, _ in page.messages] == ["display_data", "update_display_data", "update_display_data"]
    assert page.last == "plot of 2 items\n  loss  █▁  1 → 0.5"
    assert len({content["transient"]["display_id"] for _, content, _ in page.messages}) == 1
    assert board.deadline() == NEVER


def test_it_is_live_once_a_page_has_answered(board: Charts, page: Page, widgets: list[Widget], woken: list[int]) -> None:
    board.handle(event(points(1)), 0.0)
    board.draw_due(0.0)
    board.handle(event(points(2)), LIVE_AFTER)
    board.draw_due(LIVE_AFTER)
    [widget] = widgets
    board.handle(event(points(3)), 1.0)
    assert board.deadline() == LIVE_AFTER + REPUBLISH
    widget.greet()
    assert woken == [1]
    assert board.deadline() <= 1.0
    board.draw_due(1.0)
    assert WIDGET in page.messages[-1][1]["data"]
    count = len(page.messages)
    board.handle(event(points(4)), 1.1)
    assert board.deadline() == 1.0 + REDRAW
    board.draw_due(1.0 + REDRAW)
    assert (widget.shown, len(page.messages)) == (2, count)
    board.handle(event(points(4, closed=True, rows=False)), 2.0)
    board.draw_due(2.0)
    assert set(page.messages[-1][1]["data"]) == {"text/html", "text/plain"}
    assert widget.closed


def test_a_short_plot_needs_no_widget(board: Charts, widgets: list[Widget]) -> None:
    board.handle(event(points(1)), 0.0)
    board.draw_due(0.0)
    board.handle(event(points(2, closed=True)), 0.3)
    board.draw_due(0.3)
    assert widgets == []


def test_a_terminal_shows_only_the_end(runs: CellRuns, page: Page, widgets: list[Widget]) -> None:
    page.live = False
    board = Charts(page, runs, lambda: None)
    board.handle(event(points(1)), 0.0)
    board.draw_due(5.0)
    assert page.messages == []
    board.handle(event(points(1, closed=True, rows=False)), 6.0)
    board.draw_due(6.0)
    assert [kind for kind, _, _ in page.messages] == ["display_data"]


def test_what_ends_with_its_work_is_cut_off(board: Charts, page: Page) -> None:
    board.handle(event(points(3)), 0.0)
    board.end(CellRunId("c2"), 0.1)
    board.end(CellRunId("c1"), 0.2)
    assert page.last.startswith(f"plot of 3 items, {CUT_OFF}")
    assert board.deadline() == NEVER


def test_a_last_word_that_comes_late_mends_the_chart(board: Charts, page: Page) -> None:
    board.handle(event(points(3)), 0.0)
    board.end(CellRunId("c1"), 0.1)
    board.handle(event(points(4)), 0.2)
    board.draw_due(0.2)
    assert page.last.startswith(f"plot of 4 items, {CUT_OFF}")
    board.handle(event(Points(plot=1, names=("loss",), items=4, closed=True, why="stopped").encode()), 0.3)
    board.draw_due(0.3)
    assert page.last.startswith("plot of 4 items, stopped")
    assert len({content["transient"]["display_id"] for _, content, _ in page.messages}) == 1
    assert board.deadline() == NEVER


def test_what_is_shown_again_begins_a_new_chart(board: Charts, page: Page, widgets: list[Widget]) -> None:
    for moment in (0.0, LIVE_AFTER):
        board.handle(event(points(3)), moment)
        board.draw_due(moment)
    board.begin_again(CellRunId("c1"))
    assert widgets[0].closed
    board.handle(event(points(3, closed=True)), 1.0)
    board.draw_due(1.0)
    kinds = [kind for kind, _, _ in page.messages]
    assert kinds == ["display_data", "update_display_data", "update_display_data", "display_data"]
    assert len({content["transient"]["display_id"] for _, content, _ in page.messages}) == 2


def test_tasks_and_plots_are_told_apart(board: Charts, page: Page) -> None:
    for task, plot in ((7, 1), (7, 2), (8, 1)):
        board.handle(event(points(1, plot=plot), task=task), 0.0)
    board.draw_due(0.0)
    assert len({content["transient"]["display_id"] for _, content, _ in page.messages}) == 3


def test_a_cell_shows_so_many_and_says_so_once(board: Charts, page: Page) -> None:
    for plot in range(MOST_CHARTS + 3):
        board.handle(event(points(1, plot=plot)), 0.0)
        board.handle(event(points(2, plot=plot)), 0.0)
    board.draw_due(0.0)
    kinds = [kind for kind, _, _ in page.messages]
    assert kinds.count("display_data") == MOST_CHARTS
    assert [content["text"] for kind, content, _ in page.messages if kind == "stream"] == [
        f"nbray: a cell shows {MOST_CHARTS} plots; its others are not shown\n"
    ]


def test_a_cleared_cell_gets_its_chart_anew(board: Charts, page: Page) -> None:
    board.handle(event(points(1)), 0.0)
    board.draw_due(0.0)
    board.cleared(CellRunId("c1"))
    board.handle(event(points(2)), 0.1)
    board.draw_due(5.0)
    assert [kind for kind, _, _ in page.messages] == ["display_data", "display_data"]


def test_an_end_that_comes_while_another_cell_runs_finds_its_display(board: Charts, page: Page, runs: CellRuns) -> None:
    board.handle(event(points(1)), 0.0)
    board.draw_due(0.0)
    runs.end(CellRunId("c1"))
    runs.begin(CellRun(CellRunId("c2"), 2, {"header": {"msg_id": "c2"}}, threading.get_ident()))
    board.handle(event(points(2, closed=True)), 1.0)
    board.draw_due(1.0)
    assert [parent and parent["header"]["msg_id"] for _, _, parent in page.messages] == ["c1", "c2"]


def test_work_of_no_cell_is_shown_in_the_latest(board: Charts, page: Page) -> None:
    board.handle(event(points(1), cell_run=BACKGROUND), 0.0)
    board.draw_due(0.0)
    assert page.messages[0][2] == {"header": {"msg_id": "c1"}}
    assert board.handle(event(points(1), cell_run="unknown"), 0.0)
    assert not board.handle(event(b"[1]"), 0.0)


def test_where_widgets_are_missing_html_goes_on(page: Page, runs: CellRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.delitem(sys.modules, "nbray.widgets.live_card", raising=False)
    monkeypatch.setattr(charts, "_import_widgets", lambda: asked.append(1))
    board = Charts(page, runs, lambda: None)
    for second in range(4):
        board.handle(event(points(second + 1)), float(second))
        board.draw_due(float(second))
    assert len(page.messages) == 4
    assert asked
