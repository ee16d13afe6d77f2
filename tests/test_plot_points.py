"""Rows of a plot on their way, and how many points of a line are kept."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbray.plot_points import MOST_AT_ONCE, MOST_BUCKETS, Plot, Point, Points, Row, Series, decode, thinned


def points(*rows: Row, items: int = 0, run: str = "", names: tuple[str, ...] = ("loss",), closed: bool = False) -> Points:
    return Points(plot=1, run=run, names=names, rows=rows, items=items or len(rows), closed=closed)


def test_what_travels_arrives_as_it_was() -> None:
    sent = Points(plot=3, run="lr=0.1", names=("loss", "acc"), rows=((1.0, 0.5, None),), items=1, said=("a",), why="stopped")
    assert decode(sent.encode()) == sent


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"plot": "x"}', b"\xff"])
def test_foreign_bytes_are_no_points(data: bytes) -> None:
    assert decode(data) is None


def test_few_values_are_all_drawn() -> None:
    series = Series()
    for x in range(MOST_BUCKETS):
        series.add(float(x), float(-x))
    assert series.points() == [Point(float(x), float(-x)) for x in range(MOST_BUCKETS)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1_500), st.randoms(use_true_random=False))
def test_of_many_values_the_extremes_and_the_last_are_drawn_in_order(count: int, chance: random.Random) -> None:
    series, values = Series(), [chance.gauss(0, 1) for _ in range(count)]
    for x, y in enumerate(values):
        series.add(float(x), y)
    drawn = series.points()
    assert len(drawn) <= 2 * MOST_BUCKETS + 2
    assert [point.x for point in drawn] == sorted(point.x for point in drawn)
    assert {(point.x, point.y) for point in drawn} <= set(map(tuple, enumerate(values)))
    assert series.count == count
    if values:
        assert {min(values), max(values)} <= {point.y for point in drawn}
        assert drawn[-1] == series.last == (count - 1, values[-1])
        assert (series.least, series.greatest) == (
            (values.index(min(values)), min(values)), (values.index(max(values)), max(values)),
        )  # fmt: skip


def test_a_line_keeps_its_shape_however_long_it_is() -> None:
    series = Series()
    for x in range(100_000):
        series.add(float(x), math.sin(x / 100_000 * 6 * math.pi))
    for wanted in (1.0, -1.0):
        assert sum(abs(point.y - wanted) < 0.01 for point in series.points()) >= 6  # each of three crests is there
    gaps = [later.x - earlier.x for earlier, later in zip(series.points(), series.points()[1:], strict=False)]
    assert max(gaps) < 100_000 / 40


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 600), st.integers(1, 8), st.randoms(use_true_random=False))
def test_thinned_rows_have_the_extremes_of_each_name_and_the_last(count: int, width: int, chance: random.Random) -> None:
    rows: list[Row] = [
        (float(x), *(chance.choice([None, chance.random()]) for _ in range(width))) for x in range(count)
    ]
    kept = thinned(rows)
    assert len(kept) <= max(MOST_AT_ONCE, 2 * width + 1)
    assert list(kept) == sorted(kept, key=lambda row: row[0] or 0.0)
    assert set(kept) <= set(rows)
    if rows:
        assert kept[-1] == rows[-1]
    for column in range(1, width + 1):
        values = [value for row in rows if (value := row[column]) is not None]
        if values:
            assert {min(values), max(values)} <= {row[column] for row in kept}


def test_rows_of_different_lengths_are_thinned_too() -> None:
    rows: list[Row] = [(float(x), 0.0) if x < 500 else (float(x), 0.0, float(x)) for x in range(1000)]
    assert thinned(rows)[-1] == (999.0, 0.0, 999.0)


def test_a_plot_gathers_what_comes() -> None:
    plot = Plot()
    plot.take(points((1.0, 0.5), (2.0, None), names=("loss",)))
    plot.take(points((3.0, 0.25, 0.9), items=3, names=("loss", "acc")))
    assert plot.names == ("loss", "acc")
    assert plot.items == 3
    loss, acc = plot.series("", "loss"), plot.series("", "acc")
    assert loss is not None
    assert acc is not None
    assert loss.points() == [(1.0, 0.5), (3.0, 0.25)]
    assert acc.points() == [(3.0, 0.9)]
    assert not plot.closed
    plot.take(points(items=3, closed=True))
    assert plot.closed


def test_what_is_not_finite_is_never_drawn() -> None:
    plot = Plot()
    plot.take(points((1.0, math.inf), (math.nan, 1.0), (2.0, math.nan), (None, 2.0)))
    assert plot.series("", "loss") is None


def test_runs_are_told_apart_and_end_by_themselves() -> None:
    plot = Plot()
    plot.take(points((1.0, 0.5), run="a"))
    plot.take(points((1.0, 0.7), run="b", closed=True))
    assert plot.runs == ("a", "b")
    assert plot.items == 2
    assert not plot.closed
    plot.cut_off("its worker died")
    assert plot.closed
    assert plot.why == ("a: its worker died",)


def test_a_task_that_runs_again_begins_its_line_anew() -> None:
    plot = Plot()
    plot.take(points((1.0, 0.5), (2.0, 0.4), (3.0, 0.3)))
    plot.take(points((1.0, 9.0), items=1))
    series = plot.series("", "loss")
    assert series is not None
    assert series.points() == [(1.0, 9.0)]
    assert plot.items == 1


def test_a_whole_is_for_those_who_have_not_seen_what_came_before() -> None:
    plot = Plot()
    rows: list[Row] = [(float(x), math.sin(x), None if x % 3 else float(x)) for x in range(2000)]
    plot.take(points(*rows, names=("loss", "acc")))
    [whole] = plot.whole()
    assert len(whole.encode()) < 40_000
    other = Plot()
    other.take(whole)
    for name in ("loss", "acc"):
        mine, theirs = plot.series("", name), other.series("", name)
        assert mine is not None
        assert theirs is not None
        assert (theirs.first, theirs.last, theirs.least.y if theirs.least else 0) == (
            mine.first, mine.last, mine.least.y if mine.least else 1,
        )  # fmt: skip
    assert other.items == 2000
    before = plot.series("", "loss")
    plot.take(whole)
    assert plot.series("", "loss") is before
    assert before is not None
    assert before.count == 2000


def test_the_first_value_is_drawn_however_many_follow() -> None:
    series = Series()
    series.add(0.0, 0.5)
    for x in range(1, 5000):
        series.add(float(x), float(x % 2))
    assert series.points()[0] == (0.0, 0.5)
