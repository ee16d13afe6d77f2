"""A plot as plain text."""

from __future__ import annotations

from nbray.plot_points import Plot, Points
from nbray.plot_text import WIDTH, plot_text


def drawn(*all_points: Points) -> list[str]:
    plot = Plot()
    for points in all_points:
        plot.take(points)
    return plot_text(plot).splitlines()


def test_each_name_has_a_line() -> None:
    rows = tuple((float(x), 1 / (x + 1), float(x)) for x in range(100))
    head, loss, acc = drawn(Points(plot=1, title="fit", names=("loss", "accuracy"), rows=rows, items=100, closed=True))
    assert head == "fit: plot of 100 items"
    assert loss.startswith("  loss      █▃")
    assert loss.endswith("▁  1 → 0.01")
    assert acc == f"  accuracy  {acc.split()[1]}  0 → 99"
    assert len(acc.split()[1]) == WIDTH


def test_it_says_what_is_missing() -> None:
    running = Points(plot=1, run="a", names=("loss",), rows=((1.0, 3.0), (2.0, 9.0), (3.0, 4.0)), items=3, said=("no 'acc'",))
    ended = Points(plot=1, run="b", names=("loss",), items=1, closed=True, why="failed: ValueError: x\ny")
    assert drawn(running, ended) == [
        "plot of 4 items, b: failed: ValueError: x y", "  loss a  ▁█▂  3 → 4 (greatest 9)", "  a: no 'acc'",
    ]  # fmt: skip
    assert drawn(running)[0] == "plot of 3 items, more to come"


def test_one_value_and_equal_values_have_no_shape() -> None:
    assert drawn(Points(plot=1, names=("n",), rows=((1.0, 0.12345678),), items=1, closed=True))[1] == "  n    0.1235"
    assert drawn(Points(plot=1, names=("n",), rows=((1.0, 2.0), (2.0, 2.0)), items=2, closed=True))[1] == "  n  ▁▁  2 → 2"


def test_huge_values_do_no_harm() -> None:
    rows = ((1.0, -1.7e308), (2.0, 1.7e308))
    assert drawn(Points(plot=1, names=("n",), rows=rows, items=2, closed=True))[1] == "  n  ▁▁  -1.7e+308 → 1.7e+308"
