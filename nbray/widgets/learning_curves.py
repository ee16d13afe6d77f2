"""Owns the picture of learning curves, and, where no trial reports twice, of the results in their order.

What is drawn is settled once, as `Lines`: the same goes to the static drawing and to the live figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from nbray.tune.trial import AT_WORK, TrialState
from nbray.widgets.axes import NARROW, Axes
from nbray.widgets.elements import Element, element
from nbray.widgets.picture import Curve, Picture, Point, TrialLine
from nbray.widgets.scales import Scale, number_text, scale_of
from nbray.widgets.settings import settings_text
from nbray.widgets.styles import BEST, GREY

TEAL = "#26a69a"
AT_WORK_BLUE = "#2196f3"
FAILED_RED = "#e64a19"
KINDS = {
    "ended": (TEAL, 1.3, 0.55),
    "stopped": (GREY, 1.1, 0.5),
    "failed": (FAILED_RED, 1.2, 0.7),
    "running": (AT_WORK_BLUE, 1.6, 0.9),
    "best": (BEST, 2.6, 1.0),
}
"""Colour, width and opacity of a line; the later ones are drawn above the others. Bokeh knows no variables of style sheets."""


class Stroke(NamedTuple):
    """One line of the picture; one without a trial is of no trial alone."""

    kind: str
    line: TrialLine | None
    points: tuple[Point, ...]
    label: str


class Lines(NamedTuple):
    """All that the picture shows."""

    title: str
    x_label: str
    y_label: str
    strokes: Sequence[Stroke]
    x: Scale
    y: Scale
    whole: bool = True
    """x takes whole numbers."""


def lines_of(picture: Picture) -> Lines:
    """What to draw; empty before the first report."""
    if picture.single:
        return _history(picture)
    strokes = [
        Stroke(kind_of(curve, picture.best), curve.line, curve.points, _label(curve.line))
        for curve in picture.curves if curve.points
    ]  # fmt: skip
    strokes.sort(key=lambda stroke: list(KINDS).index(stroke.kind))
    xs = [x for stroke in strokes for x, _ in stroke.points]
    ys = [y for stroke in strokes for _, y in stroke.points]
    return Lines("Learning curves", "reports", picture.metric, strokes, _reports(xs), scale_of(ys, robust=True))


def kind_of(curve: Curve, best: TrialLine | None) -> str:
    """How a curve is drawn."""
    line = curve.line
    if best is not None and line.trial_id == best.trial_id:
        return "best"
    if line.state in AT_WORK:
        return "running"
    if line.state is TrialState.ERROR:
        return "failed"
    return "stopped" if line.cut else "ended"


def drawing(lines: Lines, width: float = NARROW) -> Element:
    """The picture as SVG."""
    axes = Axes(lines.x, lines.y, width)
    parts = [*axes.frame(lines.x_label, lines.y_label, whole=lines.whole), *_strokes(axes, lines.strokes)]
    return axes.drawing(*parts, label=lines.title)


def _strokes(axes: Axes, strokes: Sequence[Stroke]) -> Iterable[Element]:
    """A group for each kind, so that colours are said once."""
    for kind, group in groupby(strokes, key=lambda stroke: stroke.kind):
        color, width, opacity = KINDS[kind]
        drawn = list(group)
        lines = [_path(axes, stroke) for stroke in drawn if len(stroke.points) > 1]
        ends = [_end(axes, stroke) for stroke in drawn if stroke.line is not None]
        style = f"stroke:{color};stroke-width:{width};stroke-opacity:{opacity}"
        yield element("g", *lines, style=f"fill:none;stroke-linejoin:round;{style}")
        yield element("g", *ends, style=f"fill:{color};fill-opacity:{opacity}")


def _path(axes: Axes, stroke: Stroke) -> Element:
    trial = None if stroke.line is None else stroke.line.trial_id
    return element("path", element("title", stroke.label), d=axes.path(stroke.points), data_trial=trial)


def _end(axes: Axes, stroke: Stroke) -> Element:
    x, y = axes.at(*stroke.points[-1])
    trial = None if stroke.line is None else stroke.line.trial_id
    return element("circle", element("title", stroke.label), cx=x, cy=y, r=4 if stroke.kind == "best" else 2.6, data_trial=trial)


def _reports(xs: Sequence[float]) -> Scale:
    """From the first report to a little behind the last."""
    last = max(xs, default=1.0)
    return Scale(min(xs, default=0.0), last + max(0.5, 0.02 * last))


def _label(line: TrialLine) -> str:
    value = "" if line.value is None else f": {number_text(line.value)}"
    return f"trial {line.number}{value}  {settings_text(line.settings)}"


def _history(picture: Picture) -> Lines:
    """Each trial is a point; a line says what was the best so far."""
    curves = sorted((curve for curve in picture.curves if curve.points), key=lambda curve: curve.line.number)
    strokes, front = [], list[Point]()
    better = max if picture.mode == "max" else min
    for curve in curves:
        value = curve.points[-1][1]
        place = float(curve.line.number)
        leader = better(front[-1][1], value) if front else value
        front += [(place, front[-1][1]), (place, leader)] if front else [(place, leader)]
        strokes.append(Stroke(kind_of(curve, picture.best), curve.line, ((place, value),), _label(curve.line)))
    if front:
        strokes.insert(0, Stroke("best", None, tuple(front), "best so far"))
    xs, ys = [x for x, _ in front], [stroke.points[-1][1] for stroke in strokes]
    return Lines("Results", "trial", picture.metric, strokes, scale_of(xs), scale_of(ys, robust=True))
