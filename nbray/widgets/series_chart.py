"""Owns the chart of a plot: a panel for each name, a line for each run, what is said beside them; live and as a static page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nbray.plot_points import Plot, Point, Series
from nbray.plot_text import NOTHING
from nbray.widgets.axes import NARROW, WIDE, Axes
from nbray.widgets.elements import Element, as_image, element, markup, spaced
from nbray.widgets.scales import Scale, number_text, scale_of, spans_decades
from nbray.widgets.styles import BLUE, GREEN, GREY, RED, style_of, without_variables
from nbray.wording import count_text, one_line, plain_html, time_text

SLOT = "curves"
"""Marks the place where the page's script draws the live figure."""
COLORS = (
    "#2196f3", "#f57c00", "#26a69a", "#ab47bc", "#e64a19", "#7cb342", "#5c6bc0", "#d4a017", "#ec407a", "#00acc1", "#8d6e63",
    "#78909c",
)  # fmt: skip
"""Of the runs in their order: each is seen on white and on black."""
MOST_SAID = 6
PANEL_HEIGHT = 190.0


class Line(NamedTuple):
    """One run in one panel."""

    run: str
    color: str
    points: Sequence[Point]
    series: Series


class Panel(NamedTuple):
    """All runs of one name."""

    name: str
    lines: Sequence[Line]
    y: Scale

    @property
    def title(self) -> str:
        """The name and, of one run, its last value."""
        name = one_line(self.name, 60)
        return f"{name} {_last(self.lines[0])}" if len(self.lines) == 1 else name

    @property
    def extremes(self) -> str:
        """Of one run."""
        series = self.lines[0].series
        if len(self.lines) > 1 or series.count < 2:
            return ""
        assert series.least is not None
        assert series.greatest is not None
        return f"least {number_text(series.least.y)}, greatest {number_text(series.greatest.y)}"


class Chart(NamedTuple):
    """All that is drawn of a plot at one moment."""

    title: str
    x_label: str
    whole: bool
    """x takes whole numbers."""
    panels: Sequence[Panel]
    x: Scale
    runs: Sequence[str]
    items: int
    elapsed: float
    closed: bool
    why: Sequence[str]
    said: Sequence[str]

    @property
    def wide(self) -> bool:
        """Whether the only panel has the whole width."""
        return len(self.panels) == 1


def chart_of(plot: Plot, elapsed: float) -> Chart:
    """What is drawn of a plot now."""
    colors = {run: COLORS[index % len(COLORS)] for index, run in enumerate(plot.runs)}
    panels = []
    for name in plot.names:
        found = [(run, series) for run in plot.runs if (series := plot.series(run, name)) is not None]
        lines = [Line(run, colors[run], series.points(), series) for run, series in found]
        if lines:
            panels.append(Panel(name, lines, _upward([y for line in lines for _, y in line.points])))
    xs = [x for panel in panels for line in panel.lines for x, _ in line.points]
    return Chart(
        title=plot.title, x_label=plot.x_name or "item", whole=not plot.x_name, panels=panels, x=_across(xs), runs=plot.runs,
        items=plot.items, elapsed=elapsed, closed=plot.closed, why=plot.why, said=plot.said,
    )  # fmt: skip


def _upward(ys: Sequence[float]) -> Scale:
    """Logarithmic only where most values span powers of ten: a few that are next to nothing shall not stretch all others."""
    ranked = sorted(ys)
    few = len(ranked) // 10
    typical = ranked[few : len(ranked) - few]
    return scale_of(ys, robust=True, linear=not (ranked[0] > 0 and spans_decades(typical[0], typical[-1])))


def _across(xs: Sequence[float]) -> Scale:
    """From the first to the last, with a little air behind it."""
    low, high = min(xs, default=0.0), max(xs, default=1.0)
    return Scale(low, high + 0.02 * (high - low)) if low < high else Scale(low - 0.5, high + 0.5)


# -------------------------------------------------------------------- what the page gets


def sections(chart: Chart, *, drawn_live: bool) -> dict[str, Element]:
    """The chart for a live page; with `drawn_live` the place of the panels is left to the page's script."""
    panels = [] if drawn_live else [_grid([_panel(chart, panel, drawing(chart, panel)) for panel in chart.panels])]
    slot = element("div", *panels, data_slot=SLOT, style=f"margin-top:{-14 if drawn_live else 0}px")  # the tools need room
    return {
        "head": element("div", _head(chart)), "best": element("div", *_legend(chart)), "figures": element("div", slot),
        "notes": element("div", *_notes(chart)),
    }  # fmt: skip


def static_html(chart: Chart) -> str:
    """The whole chart as HTML without a script, for pages without widgets and for saved notebooks; panels are images."""
    panels = [_panel(chart, panel, as_image(drawing(chart, panel), panel.title)) for panel in chart.panels]
    parts = [_head(chart), *_legend(chart), _grid(panels) if panels else None, *_notes(chart)]
    card = element("div", *parts, class_="nbray-card")
    return plain_html(without_variables(markup(card, lambda classes: style_of(classes, color(chart)))))


def drawing(chart: Chart, panel: Panel) -> Element:
    """A panel as SVG."""
    axes = Axes(chart.x, panel.y, WIDE if chart.wide else NARROW, PANEL_HEIGHT)
    parts = axes.frame(one_line(chart.x_label, 40), panel.name, whole=chart.whole)
    for line in panel.lines:
        x, y = axes.at(*line.points[-1])
        if len(line.points) > 1:
            style = f"fill:none;stroke-linejoin:round;stroke:{line.color};stroke-width:1.6"
            parts.append(element("path", d=axes.path(line.points), style=style))
        parts.append(element("circle", cx=x, cy=y, r=2.8, style=f"fill:{line.color}"))
    return axes.drawing(*parts, label=panel.title)


def color(chart: Chart) -> str:
    """The colour of the chart's state."""
    return _state(chart)[0]


def _state(chart: Chart) -> tuple[str, str]:
    if not chart.closed:
        return BLUE, "Live"
    if any("failed" in why for why in chart.why):
        return RED, "Failed"
    return (GREY, "Stopped") if chart.why else (GREEN, "Done")


def _head(chart: Chart) -> Element:
    tint, word = _state(chart)
    title = element("span", one_line(chart.title, 80), class_="nbray-name") if chart.title else None
    runs = element("span", count_text(len(chart.runs), "run")) if len(chart.runs) > 1 else None
    clock = time_text(chart.elapsed) if chart.closed or chart.elapsed < 10 else time_text(float(int(chart.elapsed)))
    state = element("span", word, class_="nbray-state", style=f"color:{tint}")
    items, time = element("span", count_text(chart.items, "item")), element("span", clock, class_="nbray-clock")
    return element("div", *spaced(state, title, runs, items, time), class_="nbray-head")


def _legend(chart: Chart) -> Iterable[Element]:
    """Of several runs the colours, with their last values."""
    if len(chart.runs) < 2:
        return
    entries = []
    for index, run in enumerate(chart.runs):
        dot = element("span", "● ", style=f"color:{COLORS[index % len(COLORS)]}")
        lines = [(panel, line) for panel in chart.panels for line in panel.lines if line.run == run]
        values = [f"{one_line(panel.name, 20)} {_last(line)}" for panel, line in lines]
        entries.append(element("span", dot, one_line(run, 40), element("span", f" {', '.join(values)}", class_="nbray-quiet")))
    yield element("div", *spaced(*entries), class_="nbray-best")


def _grid(panels: Sequence[Element]) -> Element:
    return element("div", *panels, class_="nbray-figures")


def _panel(chart: Chart, panel: Panel, drawn: Element) -> Element:
    extremes = element("span", f" {panel.extremes}", style="font-weight:400;opacity:.7") if panel.extremes else None
    title = element("div", panel.title, extremes, class_="nbray-title")
    return element("div", title, drawn, class_="nbray-wide" if chart.wide else "nbray-figure", data_key=f"panel-{panel.name}")


def _notes(chart: Chart) -> Iterable[Element]:
    for why in [why for why in chart.why if why.lower() != _state(chart)[1].lower()]:
        yield element("div", one_line(why, 400), class_="nbray-note")
    if chart.closed and not chart.items:
        yield element("div", NOTHING, class_="nbray-warning")
    for said in chart.said[:MOST_SAID]:
        yield element("div", one_line(said, 400), class_="nbray-warning")


def _last(line: Line) -> str:
    return number_text(line.points[-1].y)
