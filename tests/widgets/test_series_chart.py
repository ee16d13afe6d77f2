from __future__ import annotations

import re
from collections.abc import Sequence

from nbray.plot_points import Plot, Points
from nbray.plot_text import NOTHING
from nbray.widgets.series_chart import COLORS, Chart, chart_of, color, sections, static_html
from nbray.widgets.styles import BLUE, GREEN, GREY, RED
from nbray.wording import NO_MATHEMATICS


def plot(*runs: str, names: Sequence[str] = ("loss", "acc"), steps: int = 40, closed: bool = True, **more: object) -> Plot:
    found = Plot()
    for place, run in enumerate(runs or ("",)):
        rows = tuple((float(step), *(1 / step + place for _ in names)) for step in range(1, steps + 1))
        found.take(Points(plot=1, run=run, names=tuple(names), rows=rows, items=steps, closed=closed, **more))  # type: ignore[arg-type]
    return found


def chart(*runs: str, **more: object) -> Chart:
    return chart_of(plot(*runs, **more), 12.3)  # type: ignore[arg-type]


def images(html: str) -> list[str]:
    return re.findall('alt="([^"]*)"', html)


def test_each_name_has_a_panel_with_its_last_value() -> None:
    html = static_html(chart())
    assert images(html) == ["loss 0.025", "acc 0.025"]
    assert "least 0.025, greatest 1" in html
    assert "40 items" in html
    assert "Done" in html
    assert "12.3 s" in html


def test_the_static_page_needs_no_script_and_no_style_sheet() -> None:
    html = static_html(chart("a", "b", names=["<b>loss</b>"], title="<i>fit</i>", said=("<script>",)))
    assert html.count("class=") == html.count(NO_MATHEMATICS) == 1
    assert not re.search(r"<script|<svg|var\(--jp-[a-z]+-color|<i>|<b>", html)
    assert "&lt;b&gt;loss" in html


def test_without_styles_it_can_still_be_read() -> None:
    bare = re.sub("<[^>]*>", "", static_html(chart("a", "b", title="fit")))
    assert bare.startswith("Done fit 2 runs 80 items 12.3 s● a loss 0.025, acc 0.025 ● b loss 1.02")


def test_runs_share_panels_and_are_told_apart_by_colour() -> None:
    found = chart("lr=0.1", "lr=0.01")
    assert [line.color for line in found.panels[0].lines] == list(COLORS[:2])
    html = static_html(found)
    assert images(html) == ["loss", "acc"]
    assert re.search(r"lr=0.1<span[^>]*> loss 0.025, acc 0.025</span>", html)
    assert "2 runs" in html


def test_a_live_page_leaves_the_place_to_the_script() -> None:
    before, after = (str(sections(chart(closed=False), drawn_live=live)["figures"]) for live in (False, True))
    assert "'svg'" in before
    assert "'svg'" not in after
    assert "data-slot" in after
    assert set(sections(chart(), drawn_live=True)) == {"head", "best", "figures", "notes"}


def test_the_colour_says_how_it_stands() -> None:
    assert color(chart(closed=False)) == BLUE
    assert color(chart()) == GREEN
    assert color(chart(why="stopped")) == GREY
    assert "stopped" not in static_html(chart(why="stopped"))  # the state says so
    assert "b: stopped" in static_html(chart("a", "b", why="stopped"))
    assert color(chart(why="failed: ValueError: x")) == RED
    assert "failed: ValueError: x" in static_html(chart(why="failed: ValueError: x"))


def test_without_items_it_says_so() -> None:
    empty = Plot()
    empty.take(Points(plot=1, names=("loss",), items=0, closed=True))
    assert NOTHING in static_html(chart_of(empty, 1.0))
    waiting = Plot()
    waiting.take(Points(plot=1, names=("loss",), items=0))
    assert NOTHING not in static_html(chart_of(waiting, 1.0))


def test_what_cannot_be_drawn_is_said_beside_it() -> None:
    assert "no item has &#x27;los&#x27; yet" in static_html(chart(said=("no item has 'los' yet: did you mean loss?",)))


def test_one_value_is_drawn_as_a_point() -> None:
    assert images(static_html(chart(steps=1, names=["loss"]))) == ["loss 1"]


def test_long_plots_stay_small() -> None:
    assert len(static_html(chart(steps=100_000))) < 30_000


def test_a_few_tiny_values_do_not_stretch_the_others() -> None:
    def scaled(values: list[float]) -> bool:
        found = Plot()
        rows = tuple((float(x), value) for x, value in enumerate(values))
        found.take(Points(plot=1, names=("loss",), rows=rows, items=len(rows)))
        return chart_of(found, 1.0).panels[0].y.logarithmic

    noisy = [0.5 + x / 100 for x in range(50)]
    assert not scaled(noisy)
    assert not scaled([*noisy, 0.0001])
    assert not scaled([*(10.0**-x for x in range(6)), 0.0])
    assert scaled([10.0**-x for x in range(6)])
