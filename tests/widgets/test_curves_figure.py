from __future__ import annotations

import json
import re

from nbray.widgets.curves_figure import LINES, POINTS, curves_of, figure_json
from nbray.widgets.learning_curves import lines_of
from nbray.widgets.picture import picture_of
from tests.widgets.sample import halving, single_reports


def test_the_figure_has_the_names_that_the_script_fills() -> None:
    names = set(re.findall(r'"name": "([^"]+)"', figure_json(False)))
    assert {"lines", "points", "lit", "x", "y", "across", "upward", "grid-x", "grid-y"} <= names
    assert "LogAxis" in figure_json(True)
    assert "LogAxis" not in figure_json(False)


def test_columns_fit_together() -> None:
    for view in (halving(running=2), single_reports()):
        curves = curves_of(lines_of(picture_of("e", view)))
        lines, points = curves["sources"]["lines"], curves["sources"]["points"]
        assert (tuple(lines), tuple(points)) == (LINES, POINTS)
        for columns in (lines, points):
            assert len({len(column) for column in columns.values()}) == 1
        assert all(len(xs) == len(ys) > 1 for xs, ys in zip(lines["xs"], lines["ys"], strict=True))
        json.dumps(curves, allow_nan=False)
        colors = {*lines["color"], *points["color"]}
        assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in colors)  # Bokeh draws nothing in a colour it knows not
