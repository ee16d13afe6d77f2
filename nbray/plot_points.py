"""What plots say on their way to the page: numbers in rows, and how ever more of them stay few enough to be drawn.

Pure. Whoever draws them stands above; the rows are made in `plot_items`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from nbray.unreadable import UNREADABLE

STREAM = "points"
"""The stream of a task's output on which its plots travel, as JSON."""

MOST_BUCKETS = 160
"""Of one line: between half as many and so many are drawn, each with its least and its greatest value."""
MOST_AT_ONCE = 96
"""Rows in one message: of more only those with the least and greatest values go."""

Row = tuple[float | None, ...]
"""x, then a value for each name; None where an item has no number of that name."""


class Points(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a plot has to add."""

    plot: int
    """Tells the plots of a process apart."""
    run: str = ""
    """Which of the lines of each name; "" where there is one."""
    title: str = ""
    x_name: str = ""
    """"" where x is the number of the item."""
    names: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    items: int
    """How many have come so far, drawn or not."""
    said: tuple[str, ...] = ()
    """What cannot be drawn, in words."""
    closed: bool = False
    why: str = ""
    """Why it ended before its end."""
    whole: bool = False
    """Whether `rows` are all that has come of this run so far, thinned: for whoever has not seen what came before."""

    def encode(self) -> bytes:
        """As it travels."""
        return msgspec.json.encode(self)


def decode(data: bytes) -> Points | None:
    """What `encode` made; None for anything else.

    >>> decode(Points(plot=1, names=("loss",), rows=((1.0, 0.5),), items=1).encode()).rows, decode(b"[]")
    (((1.0, 0.5),), None)
    """
    try:
        return msgspec.json.decode(data, type=Points)
    except UNREADABLE:
        return None


class Point(NamedTuple):
    """A value where it stands."""

    x: float
    y: float


class _Bucket(NamedTuple):
    """Neighbours in the order in which they came, of which the least, the greatest and the last are known."""

    least: Point
    greatest: Point
    first_is_least: bool
    last: Point

    def joined(self, later: _Bucket) -> _Bucket:
        least_is_mine, greatest_is_mine = self.least.y <= later.least.y, self.greatest.y >= later.greatest.y
        least = self.least if least_is_mine else later.least
        greatest = self.greatest if greatest_is_mine else later.greatest
        if least_is_mine and greatest_is_mine:
            first_is_least = self.first_is_least
        elif least_is_mine or greatest_is_mine:
            first_is_least = least_is_mine
        else:
            first_is_least = later.first_is_least
        return _Bucket(least, greatest, first_is_least, later.last)

    def points(self) -> list[Point]:
        if self.least == self.greatest:
            return [self.least]
        return [self.least, self.greatest] if self.first_is_least else [self.greatest, self.least]


class Series:
    """One line: all its values counted, and so many points kept that its shape and every peak can be seen.

    >>> series = Series()
    >>> for step in range(1000):
    ...     series.add(float(step), float(step == 500))
    >>> len(series.points()) <= 2 * MOST_BUCKETS + 2, Point(500.0, 1.0) in series.points(), series.count
    (True, True, 1000)
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: Point | None = None
        self.last: Point | None = None
        self.least: Point | None = None
        self.greatest: Point | None = None
        self._buckets: list[_Bucket] = []
        self._width = 1
        self._filled = 0
        """Values in the last bucket."""

    def add(self, x: float, y: float) -> None:
        """The next value; numbers that are finite."""
        point = Point(x, y)
        self.count += 1
        self.first, self.last = self.first or point, point
        self.least = point if self.least is None or y < self.least.y else self.least
        self.greatest = point if self.greatest is None or y > self.greatest.y else self.greatest
        single = _Bucket(point, point, True, point)
        if self._buckets and self._filled < self._width:
            self._buckets[-1] = self._buckets[-1].joined(single)
            self._filled += 1
            return
        if len(self._buckets) == MOST_BUCKETS:
            self._join_neighbours()
        self._buckets.append(single)
        self._filled = 1

    def _join_neighbours(self) -> None:
        pairs = zip(self._buckets[::2], self._buckets[1::2], strict=True)
        self._buckets = [one.joined(other) for one, other in pairs]
        self._width *= 2

    def points(self) -> list[Point]:
        """What is drawn, in order; the first and the last value are always among it."""
        found = [point for bucket in self._buckets for point in bucket.points()]
        if self.first is None or self.last is None:
            return found
        ahead = [] if found[0] == self.first else [self.first]
        return [*ahead, *found] if found[-1] == self.last else [*ahead, *found, self.last]


def thinned(rows: Sequence[Row], most: int = MOST_AT_ONCE) -> tuple[Row, ...]:
    """At most about so many of the rows: where each name is least and greatest in each part, and the last.

    >>> len(thinned([(float(x), 0.0) for x in range(10_000)])) <= MOST_AT_ONCE
    True
    """
    if len(rows) <= most:
        return tuple(rows)
    width = max(map(len, rows)) - 1
    parts = max(1, (most - 1) // (2 * max(1, width)))
    kept = {len(rows) - 1}
    for part in range(parts):
        numbers = range(part * len(rows) // parts, (part + 1) * len(rows) // parts)
        for column in range(1, width + 1):
            known = [(row[column], number) for number in numbers if column < len(row := rows[number]) and row[column] is not None]
            if known:
                kept |= {min(known)[1], max(known)[1]}
    return tuple(rows[number] for number in sorted(kept))


class Plot:
    """All lines of one plot, as far as they have come."""

    def __init__(self) -> None:
        self.title = ""
        self.x_name = ""
        self.names: tuple[str, ...] = ()
        self._series: dict[tuple[str, str], Series] = {}
        self._latest: dict[str, Points] = {}
        """Of each run."""

    def take(self, points: Points) -> None:
        """Add what has come. A run that counts its items anew, as that of a task that is run again, begins anew."""
        before = self._latest.get(points.run)
        if points.whole and before is not None and before.items >= points.items:
            return
        if before is not None and points.items < before.items:
            self._series = {key: series for key, series in self._series.items() if key[0] != points.run}
        self._latest[points.run] = points
        self.title, self.x_name = points.title or self.title, points.x_name
        self.names = tuple(dict.fromkeys((*self.names, *points.names)))
        for x, *values in points.rows:
            for name, value in zip(points.names, values, strict=False):
                if x is not None and value is not None and math.isfinite(x) and math.isfinite(value):
                    self._series.setdefault((points.run, name), Series()).add(x, value)

    @property
    def runs(self) -> tuple[str, ...]:
        """In the order in which they came; one "" where there is one."""
        return tuple(self._latest)

    def series(self, run: str, name: str) -> Series | None:
        """One line; None where it has no value yet."""
        return self._series.get((run, name))

    @property
    def items(self) -> int:
        """Of all runs."""
        return sum(points.items for points in self._latest.values())

    @property
    def closed(self) -> bool:
        """Whether no more comes of any run."""
        return all(points.closed for points in self._latest.values())

    @property
    def why(self) -> tuple[str, ...]:
        """Why runs ended before their end, each with its name where there are several."""
        return self._told((run, [points.why] if points.why else []) for run, points in self._latest.items())

    @property
    def said(self) -> tuple[str, ...]:
        """What cannot be drawn."""
        return self._told((run, points.said) for run, points in self._latest.items())

    def _told(self, by_run: Iterable[tuple[str, Sequence[str]]]) -> tuple[str, ...]:
        found = [f"{run}: {text}" if run and len(self._latest) > 1 else text for run, texts in by_run for text in texts]
        return tuple(dict.fromkeys(found))

    def whole(self) -> list[Points]:
        """All that has come, for each run as one message."""
        return [
            msgspec.structs.replace(points, names=self.names, rows=tuple(self._rows(run)), closed=False, why="", whole=True)
            for run, points in self._latest.items()
        ]

    def _rows(self, run: str) -> Iterable[Row]:
        for place, name in enumerate(self.names):
            series = self._series.get((run, name))
            for x, y in series.points() if series is not None else ():
                yield (x, *(y if other == place else None for other in range(place + 1)))

    def cut_off(self, why: str) -> None:
        """Whoever filled it is gone."""
        for run, points in self._latest.items():
            if not points.closed:
                self._latest[run] = msgspec.structs.replace(points, closed=True, why=why)
