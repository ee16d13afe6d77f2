"""Owns the live figure of learning curves: a Bokeh document without data, which the page's script fills by the names in it."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

from nbray.widgets.learning_curves import KINDS, Lines, Stroke
from nbray.widgets.scales import Scale

LINES = ("xs", "ys", "trial", "label", "color", "width", "alpha")
POINTS = ("x", "y", "trial", "label", "color", "size", "alpha")
HEIGHT = 266
"""With the tools, which stand beside the title, 30 pixels above the plot."""


def curves_of(lines: Lines) -> dict[str, Any]:
    """What the page needs to draw them: columns for the sources of the figure, labels, ranges."""
    drawn = [stroke for stroke in lines.strokes if len(stroke.points) > 1]
    ends = [stroke for stroke in lines.strokes if stroke.line is not None]
    return {
        "lines": _columns(LINES, [_line(stroke) for stroke in drawn]),
        "points": _columns(POINTS, [_end(stroke) for stroke in ends]), "x_label": lines.x_label,
        "y_label": lines.y_label, "x": _range(lines.x), "y": _range(lines.y),
    }  # fmt: skip


@functools.cache
def figure_json(logarithmic: bool) -> str:
    """The figure, as `Bokeh.embed.embed_item` takes it. The first call imports bokeh, which takes half a second."""
    from bokeh.embed import json_item
    from bokeh.models import ColumnDataSource, HoverTool, PanTool, Range1d, ResetTool, SaveTool, WheelZoomTool
    from bokeh.plotting import figure

    def source(name: str, columns: Sequence[str]) -> Any:
        return ColumnDataSource({column: [] for column in columns}, name=name)

    plot = figure(
        height=HEIGHT, sizing_mode="stretch_width", y_axis_type="log" if logarithmic else "linear", tools=[], min_border=2,
        x_range=Range1d(start=0, end=1, name="x"), y_range=Range1d(start=0.1, end=1, name="y"), toolbar_location="above",
        outline_line_color=None, background_fill_color=None, border_fill_color=None,
    )  # fmt: skip
    many = plot.multi_line("xs", "ys", source=source("lines", LINES), color="color", line_width="width", line_alpha="alpha")
    plot.multi_line("xs", "ys", source=source("lit", ("xs", "ys", "color")), color="color", line_width=4)
    ends = plot.scatter("x", "y", source=source("points", POINTS), color="color", size="size", alpha="alpha")
    shown = '<div style="max-width:340px;white-space:normal">@label</div>'
    hover = HoverTool(renderers=[many, ends], tooltips=shown, line_policy="nearest")
    zoom = WheelZoomTool()
    plot.add_tools(PanTool(), zoom, ResetTool(), SaveTool(), hover)
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    for name, axis, grid in (("across", plot.xaxis[0], plot.xgrid[0]), ("upward", plot.yaxis[0], plot.ygrid[0])):
        axis.update(name=name, axis_label_text_font_style="normal", axis_label_text_font_size="11px", minor_tick_line_color=None)
        grid.name = f"grid-{'x' if name == 'across' else 'y'}"
    plot.xgrid[0].visible = False
    plot.toolbar.active_scroll = None
    return json.dumps(json_item(plot))


def _columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [row[index] for row in rows] for index, name in enumerate(names)}


def _line(stroke: Stroke) -> tuple[Any, ...]:
    color, width, alpha = KINDS[stroke.kind]
    trial = "" if stroke.line is None else stroke.line.trial_id
    xs, ys = ([_short(point[axis]) for point in stroke.points] for axis in (0, 1))
    return xs, ys, trial, stroke.label, color, width, alpha


def _end(stroke: Stroke) -> tuple[Any, ...]:
    color, _, alpha = KINDS[stroke.kind]
    x, y = stroke.points[-1]
    trial = "" if stroke.line is None else stroke.line.trial_id
    return _short(x), _short(y), trial, stroke.label, color, 9 if stroke.kind == "best" else 5, alpha


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _range(scale: Scale) -> list[float]:
    return [scale.low, scale.high]
