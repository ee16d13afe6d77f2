from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import comm
import pytest

from nbray.widgets import bokeh_script, tune_card
from nbray.widgets.curves_figure import curves_of, figure_json
from nbray.widgets.learning_curves import lines_of
from nbray.widgets.live_card import LiveCard, _keep_subshells
from nbray.widgets.picture import picture_of
from tests.widgets.sample import halving


class Card(LiveCard):
    """A card whose messages stay here."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.hellos = 0
        self.sent: list[tuple[Any, Any]] = []
        super().__init__(self.count, lambda *asked: self.asked.append(asked))

    def count(self) -> None:
        self.hellos += 1

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent.append((content, buffers))

    def hear(self, content: Any) -> None:
        self._handle_custom_msg(content, [])


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Card]:
    monkeypatch.setattr(comm, "create_comm", comm.DummyComm)  # ipykernel, once imported, puts its own there, which wants a kernel
    card = Card()
    yield card
    card.close()


def test_a_request_is_taken_each_time_and_obeyed_once(card: Card) -> None:
    for _ in range(3):
        card.hear({"ask": "stop", "of": "00003", "id": "a-1"})
    assert card.asked == [("stop", "00003")]
    assert card.sent == [({"taken": "a-1"}, None)] * 3


def test_a_page_says_hello_once(card: Card) -> None:
    assert not card.is_alive
    for id in ("a-1", "a-1", "b-1"):
        card.hear({"ask": "hello", "id": id})
    assert (card.hellos, card.is_alive, card.draws_curves) == (1, True, False)
    card.hear({"ask": "drawn", "id": "a-2"})
    assert card.draws_curves


def test_bokeh_goes_to_pages_that_have_it_not(card: Card) -> None:
    card.hear({"ask": "bokeh", "have": None, "id": "a-1"})
    card.hear({"ask": "bokeh", "have": bokeh_script.version(), "id": "b-1"})
    assert card.sent == [({"taken": "a-1"}, [bokeh_script.gzipped()]), ({"taken": "b-1"}, [])]


def test_the_figure_is_made_once_a_page_asks_for_it(card: Card) -> None:
    lines = lines_of(picture := picture_of("e", halving()))
    made: list[int] = []

    def figure() -> str:
        made.append(1)
        return f"figure {len(made)}"

    def show() -> None:
        card.show(tune_card.sections(picture, lines, drawn_live=True), curves_of(lines), "#123456", figure)

    show()
    assert card.figure == ""
    card.hear({"ask": "bokeh", "have": None, "id": "a-1"})
    assert card.figure == "figure 1"
    show()
    assert card.figure == "figure 2"


def test_what_is_shown_meanwhile_does_not_wait_for_the_first_figure(card: Card) -> None:
    lines = lines_of(picture := picture_of("e", halving()))
    made: list[str] = []

    def show(figure: Callable[[], str]) -> None:
        card.show(tune_card.sections(picture, lines, drawn_live=True), curves_of(lines), "#123456", figure)

    def early() -> str:
        made.append("while the first is made")
        return "early"

    def slow() -> str:
        show(early)
        return "first"

    show(slow)
    card.hear({"ask": "bokeh", "have": None, "id": "a-1"})
    assert card.figure == "first"
    assert made == []


@pytest.mark.parametrize("content", [None, {}, {"ask": "stop"}, {"ask": "stop", "id": 3}])
def test_what_is_no_request_is_passed_over(card: Card, content: Any) -> None:
    card.hear(content)
    assert (card.asked, card.sent) == ([], [])


def test_an_unknown_request_does_nothing(card: Card) -> None:
    card.hear({"ask": "shutdown", "id": "a-1"})
    assert card.asked == []


def test_only_what_has_changed_is_sent(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[set[str]] = []
    monkeypatch.setattr(card, "send_state", lambda key=None: sent.append(set(key)))
    picture = picture_of("e", halving())
    for _ in range(2):
        lines = lines_of(picture)
        sections = tune_card.sections(picture, lines, drawn_live=False)
        card.show(sections, curves_of(lines), tune_card.color(picture), functools.partial(figure_json, False))
    assert [names for names in sent if names] == [{"head", "best", "figures", "table", "notes", "tint", "curves"}]


def test_beside_the_widget_stands_what_needs_none(card: Card) -> None:
    bundle = card.bundle("<p>", "text")
    assert (bundle["text/html"], bundle["text/plain"]) == ("<p>", "text")
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == card.model_id


def test_messages_to_a_card_keep_their_subshell() -> None:
    class Comm:
        def _reply_subshell_for(self, data: object, default: str) -> str:
            return "main"

    opened = Comm()
    _keep_subshells(opened)
    assert opened._reply_subshell_for({}, "subshell-1") == "subshell-1"
    _keep_subshells(object())  # before 7.4 there is nothing to keep
