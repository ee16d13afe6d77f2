"""Owns the parallel coordinates: an axis for each parameter and one for the metric, a line through them for each trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from nbray.widgets.axes import HEIGHT, LINES, WIDE, Axes, text
from nbray.widgets.elements import Element, element
from nbray.widgets.picture import MOST_SETTINGS, Picture, TrialLine, number
from nbray.widgets.scales import Scale, number_text, scale_of
from nbray.widgets.settings import settings_text, spoken, value_text
from nbray.widgets.styles import BEST, shade
from nbray.wording import one_line

MOST_TRIALS = 100
SHADES = 8
FEW = 7
"""So many different values are drawn side by side, not by their size."""
LABEL = 18


class Column(NamedTuple):
    """One axis: where a value lies on it, and what is written at which places; None has no place."""

    name: str
    place: Callable[[Any], float | None]
    marks: Sequence[tuple[float, str]]


def drawing(picture: Picture, width: float = WIDE) -> Element | None:
    """The picture as SVG; None where fewer than two trials have a value, or nothing differs between them."""
    lines = [line for line in picture.lines if line.value is not None][:MOST_TRIALS]
    names = [name for name in picture.varied if any(name in line.settings for line in lines)][:MOST_SETTINGS]
    if len(lines) < 2 or not names:
        return None
    columns = [_column(name, [line.settings[name] for line in lines if name in line.settings]) for name in names]
    metric = _by_size(picture.metric, [line.value for line in lines if line.value is not None])
    axes = Axes(Scale(0, len(columns)), Scale(0, 1), width, HEIGHT, left=64.0)
    axes.right, axes.top, axes.bottom = 66.0, 28.0, 12.0
    parts = [*_paths(axes, columns, metric, lines, picture), *_axes(axes, [*columns, metric])]
    return axes.drawing(*parts, label="Parallel coordinates")


def _paths(
    axes: Axes, columns: Sequence[Column], metric: Column, lines: Sequence[TrialLine], picture: Picture
) -> Iterable[Element]:
    """The poorest first, so that better ones are seen above them; a group for each shade. Shades stand for ranks: values
    often lie close together where it matters."""
    levels = [(index * SHADES // len(lines), line) for index, line in enumerate(reversed(lines))]
    best = None if picture.best is None else picture.best.trial_id
    levels = [(SHADES if line.trial_id == best else level, line) for level, line in levels]
    for level, group in groupby(levels, key=lambda pair: pair[0]):
        good = level / (SHADES - 1)
        color, width, opacity = (BEST, 2.8, 1.0) if level == SHADES else (shade(good), 1.3, 0.35 + 0.45 * good)
        drawn = [_path(axes, columns, metric, line) for _, line in group]
        yield element("g", *drawn, style=f"fill:none;stroke:{color};stroke-width:{width};stroke-opacity:{opacity:.2f}")


def _path(axes: Axes, columns: Sequence[Column], metric: Column, line: TrialLine) -> Element:
    places = [column.place(line.settings[column.name]) if column.name in line.settings else None for column in columns]
    hint = f"trial {line.number}: {metric.name} {number_text(line.value or 0.0)}  {settings_text(line.settings)}"
    through = _through(axes, [*places, metric.place(line.value)])
    return element("path", element("title", hint), d=through, data_trial=line.trial_id)


def _through(axes: Axes, places: Sequence[float | None]) -> str:
    """A smooth line through the places; a parameter that a trial has not is passed over."""
    points = [axes.at(index, place) for index, place in enumerate(places) if place is not None]
    steps = [f"M{points[0][0]:.0f},{points[0][1]:.0f}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        bend = 0.4 * (x2 - x1)
        steps.append(f"C{x1 + bend:.0f},{y1:.0f} {x2 - bend:.0f},{y2:.0f} {x2:.0f},{y2:.0f}")
    return "".join(steps)


def _axes(axes: Axes, columns: Sequence[Column]) -> Iterable[Element]:
    rulers = [element("line", x1=x, y1=axes.upward(0.0), x2=x, y2=axes.upward(1.0)) for x in _across(axes, len(columns))]
    yield element("g", *rulers, style=LINES.replace(".55", ".9"))
    halo = "paint-order:stroke;stroke:var(--jp-layout-color0,transparent);stroke-width:3px"
    for index, (column, x) in enumerate(zip(columns, _across(axes, len(columns)), strict=True)):
        last = index == len(columns) - 1
        anchor = "start" if index == 0 else "end" if last else "middle"
        shift = -24.0 if index == 0 else 24.0 if last else 0.0
        yield text(x + shift, axes.top - 14, one_line(column.name, LABEL), anchor, "font-weight:600")
        for place, said in column.marks:  # above where the lines come together
            side = 6 if last else -6
            yield text(x + side, axes.upward(place) - 4, said, "start" if last else "end", halo)


def _across(axes: Axes, count: int) -> list[float]:
    return [axes.across(index / (count - 1)) for index in range(count)]


def _column(name: str, values: Sequence[Any]) -> Column:
    sizes = [size for value in values if not isinstance(value, bool) and (size := number(value)) is not None]
    if len(sizes) == len(values) and len(set(sizes)) > FEW:
        return _by_size(name, sizes)
    return _by_kind(name, values)


def _by_size(name: str, values: Sequence[float]) -> Column:
    scale = scale_of(values, exact=True)
    return Column(name, lambda value: _place(scale, value), [(scale.place(tick), number_text(tick)) for tick in scale.ticks(5)])


def _place(scale: Scale, value: Any) -> float | None:
    found = number(value)
    return None if found is None else scale.place(found)


def _short(value: Any) -> str:
    return number_text(value, 2) if isinstance(value, float) else value_text(value, 12)


def _by_kind(name: str, values: Sequence[Any]) -> Column:
    """Values side by side: numbers in their order, below all else."""
    kinds = {spoken(value): value for value in values}

    def rank(kind: str) -> tuple[bool, float, str]:
        found = number(kinds[kind]) if not isinstance(kinds[kind], bool) else None
        return (found is None, found or 0.0, kind)

    order = {kind: index for index, kind in enumerate(sorted(kinds, key=rank))}
    places = {kind: (index + 0.5) / len(order) for kind, index in order.items()}
    marks = [(places[kind], _short(kinds[kind])) for kind in order]
    if len(marks) > 16:
        marks = marks[:: -(-len(marks) // 16)]
    return Column(name, lambda value: places.get(spoken(value)), marks)


