"""Owns the charts of plots on the page: which cell each is in, when it is drawn, when it is over.

A chart begins as HTML under a display id, which every frontend shows and every saved notebook keeps. Once a page answers that
it has widgets, the display becomes a live figure; at the end it is HTML again. All but `_greet` come on the display thread.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbray.backends.backend import OutputEvent
from nbray.engine.io_thread import call_reporting
from nbray.ids import BACKGROUND, CellRunId
from nbray.notebook.cell_runs import CellRun, CellRuns
from nbray.notebook.display import Display, Parent
from nbray.plot_points import Plot, Points, decode
from nbray.plot_text import plot_text
from nbray.widgets import series_chart, series_figure
from nbray.widgets.series_chart import Chart

if TYPE_CHECKING:
    from nbray.widgets.live_card import LiveCard

REDRAW = 0.2
"""Seconds between two updates of a live figure."""
REPUBLISH = 1.0
"""The same for a page without widgets, to which everything goes each time."""
LIVE_AFTER = 0.4
"""A plot that is over sooner needs no live figure."""
MOST_CHARTS = 12
"""Of one cell."""
MOST_ENDED = 50
CUT_OFF = "cut off: the work that filled it has ended"
NEVER = float("inf")
_LIVE_CARD = "nbray.widgets.live_card"

Key = tuple[CellRunId, int, int]
"""Cell run, task, number of the plot in its process."""


class PlotChart:
    """The chart of one plot, in one cell."""

    def __init__(
        self, run: CellRun, runs: CellRuns, display: Display, number: int, now: float, wake: Callable[[], None]
    ) -> None:  # fmt: skip
        self._run, self._runs, self._display, self._wake = run, runs, display, wake
        self._display_id = f"nbray-plot-{run.id}-{number}"
        self._plot = Plot()
        self._card: LiveCard | None = None
        self.on_page = False
        """Whether its display is there, to be updated."""
        self._greeted = False
        """Whether a page has answered that has widgets; set on a thread of the kernel."""
        self._is_live = False
        self._changed = False
        self._born = now
        self._drawn_at = -NEVER

    @property
    def cell_run(self) -> CellRunId:
        """Where it is."""
        return self._run.id

    @property
    def closed(self) -> bool:
        """Whether no more comes."""
        return self._plot.closed

    def take(self, points: Points) -> None:
        """Add what has come."""
        self._plot.take(points)
        self._changed = True

    def cut_off(self) -> None:
        """Whoever filled it is gone."""
        self._plot.cut_off(CUT_OFF)
        self._changed = True

    def leave(self) -> None:
        """It stays on the page as it is, and needs no kernel."""
        if self._card is not None:
            self._finish(series_chart.chart_of(self._plot, self._drawn_at - self._born))

    def cleared(self) -> None:
        """The cell's output was cleared, and the chart with it."""
        self.on_page, self._changed = False, True

    def deadline(self) -> float:
        """When it is to be drawn, if nothing else comes."""
        if not self._changed:
            return NEVER
        if self.closed or (self._greeted and not self._is_live):
            return self._drawn_at
        begins = self._card is None and self._drawn_at < self._born + LIVE_AFTER
        return self._drawn_at + (REDRAW if self._is_live or begins else REPUBLISH)

    def draw(self, now: float) -> None:
        """Bring it up to date on the page."""
        self._changed, self._drawn_at = False, now
        chart = series_chart.chart_of(self._plot, now - self._born)
        if self.closed:
            self._finish(chart)
            return
        if not self._display.live:
            return
        if self._card is None:
            self._card = self._new_card(now)
        if self._card is not None and self._greeted:
            self._send(self._card, chart)
        if not self._is_live:
            self._is_live = self._greeted
            self._publish(chart)

    def _finish(self, chart: Chart) -> None:
        """What stays needs no kernel: a live figure of one that has ended could not be shown again."""
        card, self._card, self._is_live = self._card, None, False
        self._publish(chart)
        if card is not None:
            card.close()

    def _new_card(self, now: float) -> LiveCard | None:
        """The widget; None at the beginning, and where anywidget is not installed.

        It is imported on a thread of its own meanwhile: that takes a quarter second, in which output and Stop go on.
        """
        module = sys.modules.get(_LIVE_CARD)
        if module is None or getattr(getattr(module, "__spec__", None), "_initializing", False):
            _import_widgets()
            return None
        return None if now < self._born + LIVE_AFTER else module.LiveCard(self._greet, lambda ask, of: None)

    def _send(self, card: LiveCard, chart: Chart) -> None:
        parts = series_chart.sections(chart, drawn_live=card.draws_curves)
        figure = functools.partial(series_figure.figure_json, series_figure.shape_of(chart))
        card.show(parts, series_figure.content_of(chart), series_chart.color(chart), figure)

    def _publish(self, chart: Chart) -> None:
        html, text = series_chart.static_html(chart), plot_text(self._plot)
        data: dict[str, Any] = {"text/html": html, "text/plain": text}
        if self._card is not None and self._is_live:
            data = self._card.bundle(html, text)
        content = {"data": data, "metadata": {}, "transient": {"display_id": self._display_id}}
        self._display.publish("update_display_data" if self.on_page else "display_data", content, self._parent())
        self.on_page = self._display.live

    def _parent(self) -> Parent:
        """Whoever executes a notebook without a page hears only of the cell that runs; the display's id finds its place."""
        running = self._runs.current
        elsewhere = self.on_page and self._run.ended and running is not None
        return running.parent if elsewhere and running is not None else self._run.parent

    def _greet(self) -> None:
        """A page has widgets; on a thread of the kernel."""
        self._greeted = self._changed = True
        self._wake()


class Charts:
    """The charts of all cells that may still change."""

    def __init__(self, display: Display, runs: CellRuns, wake: Callable[[], None]) -> None:
        """`wake` makes the display thread look again at what is due; any thread calls it."""
        self._display = display
        self._runs = runs
        self._wake = wake
        self._charts: dict[Key, PlotChart] = {}
        self._keys: dict[CellRunId, set[Key]] = {}
        """All plots that a cell has had, until its work has ended."""
        self._ended: OrderedDict[Key, PlotChart] = OrderedDict()
        """Those that were cut off, of which a last word may come late."""
        self._count = 0

    def handle(self, event: OutputEvent, now: float) -> bool:
        """Take in what a plot says; False where that is not well formed."""
        points = decode(event.data)
        run = self._runs.latest() if event.cell_run == BACKGROUND else self._runs.get(event.cell_run)
        if points is None or run is None:
            return points is not None
        key = (run.id, int(event.task_id), points.plot)
        if key in self._ended:
            self._take_late(key, points)
            return True
        if key not in self._charts:
            self._begin(key, run, now)
        if key in self._charts:
            self._charts[key].take(points)
        return True

    def _take_late(self, key: Key, points: Points) -> None:
        chart = self._charts[key] = self._ended[key]
        chart.take(points)
        if not chart.closed:
            chart.cut_off()

    def _begin(self, key: Key, run: CellRun, now: float) -> None:
        known = self._keys.setdefault(run.id, set())
        if key not in known and len(known) == MOST_CHARTS:
            text = f"nbray: a cell shows {MOST_CHARTS} plots; its others are not shown\n"
            self._display.publish("stream", {"name": "stderr", "text": text}, run.parent)
        known.add(key)
        if len(known) <= MOST_CHARTS:
            self._count += 1
            self._charts[key] = PlotChart(run, self._runs, self._display, self._count, now, self._wake)

    def beginning(self, now: float) -> list[CellRunId]:
        """The cells in which a chart is about to be seen for the first time: what was printed before belongs above it."""
        return [chart.cell_run for chart in self._charts.values() if not chart.on_page and chart.deadline() <= now]

    def deadline(self) -> float:
        """When `draw_due` has something to do, if nothing else comes."""
        return min((chart.deadline() for chart in self._charts.values()), default=NEVER)

    def draw_due(self, now: float) -> None:
        """Draw what is due, and keep nothing of what is over."""
        for key, chart in list(self._charts.items()):
            if chart.deadline() <= now:
                call_reporting(functools.partial(chart.draw, now))
            if chart.closed:
                del self._charts[key]

    def end(self, cell_run: CellRunId, now: float) -> None:
        """All work of the cell has ended, and with it what fills its charts."""
        for key in self._keys.pop(cell_run, ()):
            if key in self._charts and not self._charts[key].closed:
                self._charts[key].cut_off()
                self._ended[key] = self._charts[key]
        while len(self._ended) > MOST_ENDED:
            self._ended.popitem(last=False)
        self.draw_due(now)

    def begin_again(self, cell_run: CellRunId) -> None:
        """What the cell has said comes once more, to be shown in another place."""
        self._keys.pop(cell_run, None)
        for charts in (self._charts, self._ended):
            for key in [key for key in charts if key[0] == cell_run]:
                charts.pop(key).leave()

    def cleared(self, cell_run: CellRunId) -> None:
        """The cell's output was cleared."""
        for chart in self._charts.values():
            if chart.cell_run == cell_run:
                chart.cleared()


@functools.cache
def _import_widgets() -> None:
    """Import what draws live figures, on a thread of its own."""

    def import_it() -> None:
        try:
            import nbray.widgets.live_card  # noqa: F401
        except ImportError:  # without anywidget charts are HTML
            return

    threading.Thread(target=import_it, name="nbray-widgets", daemon=True).start()
