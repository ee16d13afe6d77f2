"""Owns live figures as such: Bokeh documents without data, whose parts have the names by which the page's script fills them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nbray.widgets.scales import Scale

Content = dict[str, Any]
"""What the page fills a figure with: columns of `sources`, texts to `set`, `ranges`, and which names are axes, grids and
titles, which wear the colours of the page."""


def content(
    sources: Mapping[str, Any], properties: Mapping[str, Mapping[str, Any]], ranges: Mapping[str, Scale],
    parts: Iterable[str] = ("",),
) -> Content:  # fmt: skip
    """What fills a figure of these parts, each made by `empty_plot`."""
    known = list(parts)
    return {
        "sources": dict(sources), "set": dict(properties),
        "ranges": {name: [scale.low, scale.high] for name, scale in ranges.items()},
        "axes": [f"{side}{part}" for part in known for side in ("across", "upward")],
        "grids": [f"grid-{axis}{part}" for part in known for axis in ("x", "y")], "titles": [f"title{part}" for part in known],
    }  # fmt: skip


def source(name: str, columns: Sequence[str]) -> Any:
    """A source of that name, empty."""
    from bokeh.models import ColumnDataSource

    return ColumnDataSource({column: [] for column in columns}, name=name)


def empty_plot(height: int, *, logarithmic: bool, part: str = "", x_range: Any = None) -> Any:
    """A Bokeh plot with its tools, without data; its names end with `part`. With `x_range` it moves along with another plot."""
    from bokeh.models import PanTool, Range1d, ResetTool, SaveTool, WheelZoomTool
    from bokeh.models.annotations import Title
    from bokeh.models.text import PlainText
    from bokeh.plotting import figure

    plot = figure(
        height=height, sizing_mode="stretch_width", y_axis_type="log" if logarithmic else "linear", tools=[], min_border=2,
        x_range=x_range or Range1d(start=0, end=1, name="x"), y_range=Range1d(start=0.1, end=1, name=f"y{part}"),
        toolbar_location="above", outline_line_color=None, background_fill_color=None, border_fill_color=None,
    )  # fmt: skip
    plot.add_tools(PanTool(), WheelZoomTool(), ResetTool(), SaveTool())
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.toolbar.active_scroll = None
    plot.title = Title(name=f"title{part}", text=PlainText(text=""))
    for name, axis, grid in (("across", plot.xaxis[0], plot.xgrid[0]), ("upward", plot.yaxis[0], plot.ygrid[0])):
        axis.update(name=f"{name}{part}", axis_label_text_font_style="normal", axis_label_text_font_size="11px")
        axis.axis_label = PlainText(text="")
        axis.minor_tick_line_color = None
        grid.name = f"grid-{'x' if name == 'across' else 'y'}{part}"
    plot.xgrid[0].visible = False
    return plot


def as_json(layout: Any) -> str:
    """A layout of plots, as `Bokeh.embed.embed_item` takes it."""
    from bokeh.embed import json_item

    return json.dumps(json_item(layout))


def short(value: float) -> float:
    """As many digits as can be seen."""
    return float(f"{value:.6g}")
