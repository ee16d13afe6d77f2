from __future__ import annotations

from nbray.widgets.axes import Axes
from nbray.widgets.elements import texts
from nbray.widgets.scales import Scale


def test_values_lie_within_the_frame() -> None:
    axes = Axes(Scale(0, 10), Scale(0, 1))
    assert axes.at(0, 0) == (axes.left, axes.height - axes.bottom)
    assert axes.at(10, 1) == (axes.width - axes.right, axes.top)
    assert axes.path([(0, 0), (10, 1)]) == "M50,202L468,8"


def test_between_whole_numbers_lies_no_tick() -> None:
    parts = Axes(Scale(1, 3), Scale(0, 1)).frame("reports", "loss", whole=True)
    said = [said for part in parts for said in texts(part)]
    assert {"1", "2", "3", "reports"} <= set(said)
    assert "1.5" not in said
