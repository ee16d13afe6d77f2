"""Owns the live figure of learning curves: a Bokeh document without data, which the page's script fills by the names in it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from nbray.widgets.learning_curves import KINDS, Lines, Stroke
from nbray.widgets.live_figure import Content, as_json, content, empty_plot, short, source

LINES = ("xs", "ys", "trial", "label", "color", "width", "alpha")
POINTS = ("x", "y", "trial", "label", "color", "size", "alpha")
HEIGHT = 266
"""With the tools, which stand beside the title, 30 pixels above the plot."""


def curves_of(lines: Lines) -> Content:
    """What the page fills the figure with."""
    drawn = [stroke for stroke in lines.strokes if len(stroke.points) > 1]
    ends = [stroke for stroke in lines.strokes if stroke.line is not None]
    sources = {
        "lines": _columns(LINES, [_line(stroke) for stroke in drawn]),
        "points": _columns(POINTS, [_end(stroke) for stroke in ends]),
    }  # fmt: skip
    labels = {"across": {"axis_label": lines.x_label}, "upward": {"axis_label": lines.y_label}}
    return content(sources, labels, {"x": lines.x, "y": lines.y})


@functools.cache
def figure_json(logarithmic: bool) -> str:
    """The figure, as `Bokeh.embed.embed_item` takes it. The first call imports bokeh, which takes half a second."""
    from bokeh.models import HoverTool

    plot = empty_plot(HEIGHT, logarithmic=logarithmic)
    many = plot.multi_line("xs", "ys", source=source("lines", LINES), color="color", line_width="width", line_alpha="alpha")
    plot.multi_line("xs", "ys", source=source("lit", ("xs", "ys", "color")), color="color", line_width=4)
    ends = plot.scatter("x", "y", source=source("points", POINTS), color="color", size="size", alpha="alpha")
    shown = '<div style="max-width:340px;white-space:normal">@label</div>'
    plot.add_tools(HoverTool(renderers=[many, ends], tooltips=shown, line_policy="nearest"))
    return as_json(plot)


def _columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [row[index] for row in rows] for index, name in enumerate(names)}


def _line(stroke: Stroke) -> tuple[Any, ...]:
    color, width, alpha = KINDS[stroke.kind]
    trial = "" if stroke.line is None else stroke.line.trial_id
    xs, ys = ([short(point[axis]) for point in stroke.points] for axis in (0, 1))
    return xs, ys, trial, stroke.label, color, width, alpha


def _end(stroke: Stroke) -> tuple[Any, ...]:
    color, _, alpha = KINDS[stroke.kind]
    x, y = stroke.points[-1]
    trial = "" if stroke.line is None else stroke.line.trial_id
    return short(x), short(y), trial, stroke.label, color, 9 if stroke.kind == "best" else 5, alpha
