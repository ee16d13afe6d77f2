"""What a plot makes of the items that a generator yields, and what it says of those it can make nothing of."""

from __future__ import annotations

import math
import re
from collections import namedtuple
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy
import pytest

from nbray.errors import UsageError, WrongType
from nbray.plot_items import MOST_NAMES, ItemReader, PlotOrder

Step = namedtuple("Step", "loss acc")


@dataclass
class Epoch:
    loss: float
    note: str


class Stubborn:
    def __float__(self) -> NoReturn:
        raise RuntimeError("not now")

    def __repr__(self) -> NoReturn:
        raise RuntimeError("nor this")


def read(items: list[Any], *names: str, x: str = "") -> tuple[ItemReader, list[Any]]:
    reader = ItemReader(PlotOrder(names, x))
    return reader, [reader.read(item) for item in items]


@pytest.mark.parametrize(("item", "row"), [
    ({"loss": 0.5, "acc": 1}, (1.0, 0.5, 1.0)),
    ({"acc": True}, (1.0, None, 1.0)),
    ({"loss": numpy.float32(0.5), "acc": numpy.array([0.25])}, (1.0, 0.5, 0.25)),
    (Step(0.5, 0.25), (1.0, 0.5, 0.25)),
    (Epoch(0.5, "a"), (1.0, 0.5, None)),
    ((0.5, 0.25), (1.0, 0.5, 0.25)),
    ([0.5], (1.0, 0.5, None)),
    (numpy.array([0.5, 0.25]), (1.0, 0.5, 0.25)),
    (0.5, (1.0, 0.5, None)),
    (numpy.int64(3), (1.0, 3.0, None)),
    ({"other": 1}, None),
    ({}, None),
    ("0.5", None),
    (None, None),
    (object(), None),
    (Stubborn(), None),
])  # fmt: skip
def test_items_become_rows(item: Any, row: Any) -> None:
    assert read([item], "loss", "acc")[1] == [row]


def test_nested_values_are_named_by_their_path() -> None:
    assert read([{"train": {"loss": 0.5}}], "train/loss")[1] == [(1.0, 0.5)]


def test_without_names_all_numbers_are_drawn() -> None:
    reader, rows = read([{"loss": 0.5, "note": "a"}, {"loss": 0.4, "acc": 0.1}])
    assert reader.names == ("loss", "acc")
    assert rows == [(1.0, 0.5), (2.0, 0.4, 0.1)]
    assert reader.said() == ()
    assert read([0.5])[0].names == ("value",)
    assert read([(1, 2)])[0].names == ("0", "1")


def test_without_names_so_many_numbers_are_drawn_and_the_others_said() -> None:
    reader, _ = read([{f"n{index}": index for index in range(MOST_NAMES + 2)}])
    assert len(reader.names) == MOST_NAMES
    assert reader.said() == ("not drawn: n8, n9; say which to draw, as 'loss,acc'",)


def test_x_may_be_one_of_the_values() -> None:
    reader, rows = read([{"epoch": 10, "loss": 0.5}, {"loss": 0.4}, {"epoch": 30, "loss": 0.3}], "loss", x="epoch")
    assert rows == [(10.0, 0.5), None, (30.0, 0.3)]
    assert reader.said() == ()
    assert read([{"epoch": 10, "loss": 0.5}], x="epoch")[0].names == ("loss",)


@pytest.mark.parametrize(("items", "said"), [
    ([{"loss": 1.0}] * 3, "no item has 'los' yet: did you mean loss?"),
    ([{"a": 1.0, "b": 1}], "no item has 'los' yet: they have a, b"),
    ([{"los": 0.5}, {"los": math.nan}, {"los": math.inf}], "los: 2 of 3 values cannot be drawn, the first is nan in item 2"),
    ([{"los": "0.5"}], "los: 1 of 1 value cannot be drawn, the first is '0.5' in item 1"),
    (["a", 1.0, None], "2 of 3 items cannot be drawn, the first is 'a': yield numbers, dicts, or tuples of numbers"),
    ([[Stubborn()]], "los: 1 of 1 value cannot be drawn, the first is <Stubborn instance at 0x0> in item 1"),
    ([(1, 2)], "items have 2 values, of which the first 1 are drawn, as los"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_said(items: list[Any], said: str) -> None:
    reader, _ = read(items, "los")
    assert [re.sub("0x[0-9a-f]+", "0x0", text) for text in reader.said()] == [said]


def test_a_value_that_only_some_items_have_is_nothing_to_speak_of() -> None:
    reader, rows = read([{"loss": 1}, {"loss": 1, "val": 2}, {"loss": 1, "val": None}], "loss", "val")
    assert rows == [(1.0, 1.0, None), (2.0, 1.0, 2.0), (3.0, 1.0, None)]
    assert reader.said() == ()


def test_names_come_with_commas_or_one_by_one() -> None:
    assert PlotOrder.of([]) == PlotOrder()
    assert PlotOrder.of(["loss,acc", "loss", " lr "], "epoch") == PlotOrder(("loss", "acc", "lr"), "epoch")


@pytest.mark.parametrize(("names", "x", "message"), [
    (["loss,"], None, "'loss,': a name is empty; expected names with a comma between them, as 'loss,acc'"),
    (["loss"], " ", "x=' ': expected what the items call it, as x='epoch', or leave it out to count them"),
])  # fmt: skip
def test_names_that_are_none_are_refused(names: list[str], x: str | None, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        PlotOrder.of(names, x)
    assert str(caught.value) == message


@pytest.mark.parametrize(("names", "x"), [([3], None), ([["loss"]], None), (["loss"], 3)])
def test_names_that_are_no_text_are_refused(names: list[Any], x: Any) -> None:
    with pytest.raises(WrongType, match="is no name of a number: expected text, as 'loss' or 'loss,acc'"):
        PlotOrder.of(names, x)
