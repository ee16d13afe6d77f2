"""Owns the live figure of a plot: a Bokeh plot for each panel, side by side, which the page's script fills by their names."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from nbray.widgets.live_figure import Content, as_json, content, empty_plot, short, source
from nbray.widgets.series_chart import Chart
from nbray.wording import one_line

HEIGHT = 220
COLUMNS = 2


class Shape(NamedTuple):
    """What makes another figure of it than data."""

    panels: tuple[bool, ...]
    """Whether each is on a logarithmic scale."""
    colors: tuple[str, ...]
    """Of the runs."""


def shape_of(chart: Chart) -> Shape:
    """The shape of the figure that this chart fills."""
    colors = {line.run: line.color for panel in chart.panels for line in panel.lines}
    return Shape(tuple(panel.y.logarithmic for panel in chart.panels), tuple(colors[run] for run in chart.runs if run in colors))


def content_of(chart: Chart) -> Content:
    """What the page fills the figure with."""
    runs = [run for run in chart.runs if any(line.run == run for panel in chart.panels for line in panel.lines)]
    sources, properties, ranges = {}, {}, {"x": chart.x}
    for part, panel in enumerate(chart.panels):
        for line in panel.lines:
            xs, ys = ([short(point[axis]) for point in line.points] for axis in (0, 1))
            sources[f"line-{part}-{runs.index(line.run)}"] = {"x": xs, "y": ys, "run": [one_line(line.run, 40)] * len(xs)}
        properties[f"across-{part}"] = {"axis_label": one_line(chart.x_label, 40)}
        properties[f"title-{part}"] = {"text": f"{panel.title}   {panel.extremes}".rstrip()}
        ranges[f"y-{part}"] = panel.y
    return content(sources, properties, ranges, [f"-{part}" for part in range(len(chart.panels))])


@functools.lru_cache(16)
def figure_json(shape: Shape) -> str:
    """The figure, as `Bokeh.embed.embed_item` takes it. The first call imports bokeh, which takes half a second."""
    from bokeh.layouts import gridplot
    from bokeh.models import HoverTool

    plots: list[Any] = []
    for part, logarithmic in enumerate(shape.panels):
        shared = plots[0].x_range if plots else None
        plot = empty_plot(HEIGHT, logarithmic=logarithmic, part=f"-{part}", x_range=shared)
        plot.title.update(text_font_size="12px", text_font_style="bold")
        lines = [
            plot.line("x", "y", source=source(f"line-{part}-{run}", ("x", "y", "run")), line_color=color, line_width=1.8)
            for run, color in enumerate(shape.colors)
        ]
        shown = "<div>@run <b>@y{0.[00000]}</b> at @x{0.[00]}</div>"
        plot.add_tools(HoverTool(renderers=lines, tooltips=shown, line_policy="nearest"))
        plots.append(plot)
    columns = min(COLUMNS, len(plots))
    return as_json(gridplot(plots, ncols=columns, sizing_mode="stretch_width", toolbar_location="above"))
