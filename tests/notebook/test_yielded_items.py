"""What a worker does with the items of a cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nbray import plots
from nbray.notebook import yielded_items
from nbray.notebook.yields import ITEMS
from nbray.plot_items import PlotOrder
from nbray.plot_points import Points


@pytest.fixture
def told() -> Iterator[list[Points]]:
    heard: list[Points] = []
    plots.show_with(lambda cell_run, points: heard.append(points))
    yield heard
    plots.show_with(None)


def test_items_are_kept_and_left_for_the_notebook(told: list[Points]) -> None:
    items = yielded_items.begin(None)
    yielded_items.take(1)
    yielded_items.take_all([2, 3])
    items.close(None)
    namespace: dict[str, Any] = {}
    assert yielded_items.leave(namespace, items, expected=True) == ""
    assert namespace == {ITEMS: [1, 2, 3]}
    assert told == []


def test_items_are_drawn_where_that_was_asked(told: list[Points]) -> None:
    items = yielded_items.begin(PlotOrder(("loss",)))
    yielded_items.take({"loss": 0.5})
    items.close(ValueError("no"))
    assert [points.items for points in told] == [0, 1, 1]
    assert told[-1].why == "failed: ValueError: no"


def test_a_last_expression_is_taken_apart_only_where_it_gives_items_to_be_drawn(told: list[Points]) -> None:
    drawn = yielded_items.begin(PlotOrder())
    assert yielded_items.takes(iter([1]))
    assert not yielded_items.takes([1])
    drawn.close(None)
    yielded_items.begin(None)
    assert not yielded_items.takes(iter([1]))


def test_so_many_items_come_back_and_the_rest_is_said(told: list[Points], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yielded_items, "MOST_KEPT", 3)
    items = yielded_items.begin(PlotOrder())
    yielded_items.take_all(range(5))
    items.close(None)
    namespace: dict[str, Any] = {}
    assert yielded_items.leave(namespace, items, expected=True) == "nbray: of 5 items the first 3 come back\n"
    assert namespace[ITEMS] == [0, 1, 2]
    assert told[-1].items == 5


def test_items_that_nobody_expects_are_told() -> None:
    items = yielded_items.begin(None)
    yielded_items.take(1)
    items.close(None)
    namespace: dict[str, Any] = {}
    said = yielded_items.leave(namespace, items, expected=False)
    assert said.startswith("nbray: 1 item yielded within a magic do not come back: --plot draws and keeps them")
    assert namespace == {}
    assert yielded_items.leave(namespace, yielded_items.begin(None), expected=False) == ""
