"""A plot as plain text, for terminals and for viewers that know no HTML: one line for each name, with a little picture.

Pure.
"""

from __future__ import annotations

from nbray.plot_points import Plot, Point, Series
from nbray.wording import count_text, one_line

WIDTH = 24
LEVELS = "▁▂▃▄▅▆▇█"
NOTHING = "no item came: nothing was yielded, and no generator was given"


def plot_text(plot: Plot) -> str:
    """All of it.

    >>> from nbray.plot_points import Points
    >>> plot = Plot()
    >>> plot.take(Points(plot=1, names=("loss",), rows=tuple((x, 8.0 - x) for x in range(8)), items=8, closed=True))
    >>> print(plot_text(plot))
    plot of 8 items
      loss  █▇▆▅▄▃▂▁  8 → 1
    """
    title = f"{one_line(plot.title, 60)}: " if plot.title else ""
    why = f", {'; '.join(one_line(why) for why in plot.why)}" if plot.why else "" if plot.closed else ", more to come"
    nothing = [f"  {NOTHING}"] if plot.closed and not plot.items else []
    lines = [f"{title}plot of {count_text(plot.items, 'item')}{why}"]
    labels = {(run, name): f"{one_line(name, 40)} {one_line(run, 40)}".rstrip() for name in plot.names for run in plot.runs}
    shown = {labels[run, name]: series for run, name in labels if (series := plot.series(run, name)) is not None}
    width = max(map(len, shown), default=0)
    lines += [f"  {label:<{width}}  {_sparks(series)}  {summary(series)}" for label, series in shown.items()]
    return "\n".join([*lines, *nothing, *(f"  {one_line(text)}" for text in plot.said)])


def summary(series: Series) -> str:
    """From the first value to the last, and the extremes where these are others."""
    first, last, least, greatest = series.first, series.last, series.least, series.greatest
    assert first is not None
    assert last is not None
    assert least is not None
    assert greatest is not None
    if series.count == 1:
        return _number(last.y)
    ends = (first.y, last.y)
    outside = [
        f"{word} {_number(point.y)}" for word, point in (("least", least), ("greatest", greatest)) if point.y not in ends
    ]
    return f"{_number(first.y)} → {_number(last.y)}" + (f" ({', '.join(outside)})" if outside else "")


def _sparks(series: Series) -> str:
    """The shape of a line; of many points the mean of each part."""
    points = series.points()
    if len(points) < 2:
        return ""
    parts = min(WIDTH, len(points))
    means = [_mean(points[part * len(points) // parts : (part + 1) * len(points) // parts]) for part in range(parts)]
    low, high = min(means), max(means)
    wide = high - low
    return "".join(LEVELS[min(7, int(8 * ((mean - low) / wide))) if 0 < wide < float("inf") else 0] for mean in means)


def _mean(points: list[Point]) -> float:
    return sum(point.y / len(points) for point in points)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e9 else f"{value:.4g}"
