from __future__ import annotations

import json
import re

from bokeh.layouts import column

from nbray.widgets.live_figure import as_json, content, empty_plot, short, source
from nbray.widgets.scales import Scale


def names(written: str) -> set[str]:
    return set(re.findall(r'"name": "([^"]+)"', written))


def test_a_figure_has_every_name_that_is_filled_and_dressed() -> None:
    plot = empty_plot(200, logarithmic=False, part="-1")
    plot.line("x", "y", source=source("data", ("x", "y")))
    filled = content({"data": {"x": [], "y": []}}, {"title-1": {"text": "a"}}, {"x": Scale(0, 1), "y-1": Scale(0, 1)}, ["-1"])
    wanted = {name for group in filled.values() for name in group}
    assert wanted <= names(as_json(plot))
    json.dumps(filled, allow_nan=False)


def test_what_is_said_in_a_figure_is_no_mathematics() -> None:
    """BokehJS typesets texts with dollars, but not those of this kind, of which the page's script makes more."""
    plot = empty_plot(200, logarithmic=True)
    kinds = [type(each).__name__ for each in (plot.title.text, plot.xaxis[0].axis_label, plot.yaxis[0].axis_label)]
    assert kinds == ["PlainText"] * 3


def test_plots_may_share_what_they_are_drawn_against() -> None:
    first = empty_plot(200, logarithmic=False)
    second = empty_plot(200, logarithmic=True, part="-1", x_range=first.x_range)
    assert second.x_range is first.x_range
    for plot in (first, second):
        plot.line([1.0], [1.0])
    written = as_json(column(first, second))
    assert written.count('"name": "LogAxis"') == written.count('"name": "LinearScale"') - 2 == 1


def test_values_are_sent_as_they_can_be_seen() -> None:
    assert short(0.123456789) == 0.123457
    assert short(1234567.0) == 1234570.0
