from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from nbray.ids import CellRunId
from nbray.notebook import tuning
from nbray.notebook.cell_runs import RUNS, CellRun
from nbray.notebook.display import Display
from nbray.notebook.tuning import TuneCard, card_of, steer
from nbray.tune.view import View
from tests.widgets.sample import Story, halving

WIDGET = "application/vnd.jupyter.widget-view+json"


class Page(Display):
    """Keeps what is published."""

    live = True

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any], Any]] = []

    def publish(self, kind: str, content: dict[str, Any], parent: Any) -> None:
        self.messages.append((kind, content["data"], parent))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.messages]


class Run:
    """An experiment that is asked for things."""

    class plan:  # noqa: N801 - an attribute
        name = "digits"

        class run:  # noqa: N801 - an attribute
            verbose = 1

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.heard = threading.Event()
        self.view: View

    def __getattr__(self, name: str) -> Callable[..., None]:
        def ask(*args: str) -> None:
            self.asked.append((name, *args))
            self.heard.set()

        return ask


class Widget:
    """Stands for the widget, which has tests of its own."""

    draws_curves = False

    def __init__(self, greet: Callable[[], None], ask: Callable[[str, str], None]) -> None:
        self.greet, self.ask = greet, ask
        self.shown = 0
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def show(self, *args: object, **more: object) -> None:
        self.shown += 1

    def bundle(self, html: str, text: str) -> dict[str, Any]:
        return {WIDGET: {}, "text/html": html, "text/plain": text}


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def widget(monkeypatch: pytest.MonkeyPatch) -> list[Widget]:
    """The widgets that cards have made."""
    made: list[Widget] = []

    def make(card: TuneCard) -> Widget:
        made.append(Widget(card._greet, card._ask))
        return made[-1]

    monkeypatch.setattr(TuneCard, "_new_card", make)
    monkeypatch.setattr(tuning, "LIVE_AFTER", -1.0)
    monkeypatch.setattr(tuning, "REDRAW", 0.0)
    monkeypatch.setattr(tuning, "REPUBLISH", 0.0)
    monkeypatch.setattr(tuning, "SHARE", 1e9)
    return made


def test_a_short_experiment_needs_no_widget(page: Page) -> None:
    card = TuneCard(Run(), page, None)  # type: ignore[arg-type]
    view = halving()
    card.show(view)
    assert card._card is None
    card.close(view, "")
    assert page.kinds == ["display_data", "update_display_data"]


@pytest.mark.usefixtures("widget")
def test_a_page_without_widgets_is_shown_html(page: Page) -> None:
    card = TuneCard(Run(), page, CellRun(CellRunId("c"), 1, {"header": {}}, 0))  # type: ignore[arg-type]
    card.show(halving(running=2))
    card.show(halving(running=2))
    card.close(halving(), "")
    assert page.kinds == ["display_data", "update_display_data", "update_display_data"]
    assert all(set(data) == {"text/html", "text/plain"} for _, data, _ in page.messages)
    assert {str(parent) for _, _, parent in page.messages} == {"{'header': {}}"}


def test_a_page_that_answers_gets_the_live_card(page: Page, widget: list[Widget]) -> None:
    card = TuneCard(Run(), page, None)  # type: ignore[arg-type]
    card.show(halving(running=2))
    widget[0].greet()
    for _ in range(3):
        card.show(halving(running=2))
    assert [WIDGET in data for _, data, _ in page.messages] == [False, True]
    assert widget[0].shown == 3
    card.close(halving(), "")
    assert set(page.messages[-1][1]) == {"text/html", "text/plain"}
    assert widget[0].closed
    assert "Done" in page.messages[-1][1]["text/html"]


def test_it_is_not_drawn_more_often_than_it_may(page: Page, widget: list[Widget], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "REPUBLISH", 60.0)
    card = TuneCard(Run(), page, None)  # type: ignore[arg-type]
    for _ in range(5):
        card.show(halving(9, running=2))
    assert len(page.messages) == 1
    widget[0].greet()  # a page that answers is served at once
    card.show(halving(9, running=2))
    assert len(page.messages) == 2


@pytest.mark.usefixtures("widget")
def test_the_clock_goes_on_without_news(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    story = Story()
    story.report(story.begin({}), 0.5)
    card = TuneCard(Run(), page, None)  # type: ignore[arg-type]
    card.show(story.view)
    now += 100
    card.show(story.view)
    assert "1 min 40 s" in page.messages[-1][1]["text/plain"]


def test_a_button_does_not_keep_the_kernel_waiting(page: Page, widget: list[Widget]) -> None:
    run = Run()
    card = TuneCard(run, page, None)  # type: ignore[arg-type]
    card.show(halving(running=2))
    widget[0].ask("pause", "00003")
    assert run.heard.wait(5)
    assert run.asked == [("pause_trial", "00003")]


def test_what_can_be_asked() -> None:
    run = Run()
    for ask, trial in (("stop", ""), ("stop", "1"), ("pause", "1"), ("resume", "1")):
        steer(run, ask, trial)  # type: ignore[arg-type]
    steer(run, "pause")  # type: ignore[arg-type]
    steer(run, "resume")  # type: ignore[arg-type]
    assert run.asked == [("stop",), ("stop_trial", "1"), ("pause_trial", "1"), ("resume_trial", "1"), ("pause",), ("resume",)]


def test_the_card_is_in_the_cell_that_runs(page: Page) -> None:
    run = Run()
    run.view = halving(running=2)
    cell = RUNS.begin(CellRun(CellRunId("c-1"), 4, {"header": {"msg_id": "c-1"}}, threading.get_ident()))
    try:
        card = card_of(run, page)  # type: ignore[arg-type]
    finally:
        RUNS.end(cell.id)
    assert card is not None
    assert page.messages[0][2] == {"header": {"msg_id": "c-1"}}


def test_news_that_come_while_another_cell_runs_name_that_one(page: Page, widget: list[Widget]) -> None:
    first, second = (CellRun(CellRunId(name), 1, {"header": {"msg_id": name}}, threading.get_ident()) for name in ("a", "b"))
    RUNS.begin(first)
    card = TuneCard(Run(), page, first)  # type: ignore[arg-type]
    card.show(halving(running=2))
    RUNS.end(first.id)
    card.show(halving(running=2))
    RUNS.begin(second)
    card.close(halving(), "")
    RUNS.end(second.id)
    assert [parent["header"]["msg_id"] for _, _, parent in page.messages] == ["a", "a", "b"]


def test_what_nobody_can_steer_needs_no_widget(page: Page, widget: list[Widget]) -> None:
    card = TuneCard(Run(), page, None, may_live=False)  # type: ignore[arg-type]
    for _ in range(3):
        card.show(halving(running=2))
    assert widget == []
    assert page.kinds == ["display_data", "update_display_data", "update_display_data"]


def test_silence_is_kept_where_it_is_asked_for(page: Page) -> None:
    run = Run()
    run.plan.run.verbose = 0
    try:
        assert card_of(run, page) is None  # type: ignore[arg-type]
    finally:
        run.plan.run.verbose = 1
    assert page.messages == []
