from __future__ import annotations

import json
import re

from nbray.plot_points import Points
from nbray.widgets.series_chart import chart_of
from nbray.widgets.series_figure import content_of, figure_json, shape_of
from tests.widgets.test_series_chart import chart, plot


def test_the_figure_has_every_name_that_is_filled() -> None:
    for found in (chart(), chart("a", "b"), chart(names=["loss"]), chart(names=["a", "b", "c"])):
        filled = content_of(found)
        names = set(re.findall(r'"name": "([^"]+)"', figure_json(shape_of(found))))
        assert {name for group in filled.values() for name in group} <= names
        json.dumps(filled, allow_nan=False)


def test_only_another_shape_makes_another_figure() -> None:
    assert shape_of(chart(steps=10)) == shape_of(chart(steps=20))
    assert shape_of(chart("a")) != shape_of(chart("a", "b"))
    falling = plot(names=["loss"], steps=0)
    falling.take(Points(plot=1, names=("loss",), rows=tuple((float(x), 10.0**-x) for x in range(6)), items=6))
    assert shape_of(chart_of(falling, 1.0)) != shape_of(chart(names=["loss"]))
    assert "LogAxis" in figure_json(shape_of(chart_of(falling, 1.0)))


def test_a_chart_before_its_first_value_has_no_panels() -> None:
    found = chart(steps=0)
    assert shape_of(found) == ((), ())
    assert content_of(found)["sources"] == {}
    json.loads(figure_json(shape_of(found)))
