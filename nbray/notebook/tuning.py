"""Owns the cards of experiments in a notebook: which cell they are in, when they are drawn, what their buttons do.

A card begins as HTML under a display id, which every frontend shows and every saved notebook keeps. Once a page answers that
it has widgets, the display becomes the live card; at the end it is HTML again, which is what the notebook saves.
"""

from __future__ import annotations

import functools
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from nbray import session
from nbray.engine.io_thread import call_reporting
from nbray.notebook.cell_runs import RUNS, CellRun
from nbray.notebook.display import Display, Parent
from nbray.widgets import learning_curves, tune_card
from nbray.widgets.curves_figure import curves_of, figure_json
from nbray.widgets.picture import Picture, picture_of

if TYPE_CHECKING:
    from nbray.tune.tune_run import TuneRun
    from nbray.tune.view import View
    from nbray.widgets.live_card import LiveCard

LIVE_AFTER = 0.3
"""An experiment that is over sooner needs no live card."""
REDRAW = 0.4
REPUBLISH = 1.0
"""The same for a page without widgets, to which everything goes each time."""
SHARE = 0.1
"""Of the following thread's time that goes into drawing, at most."""


class TuneCard:
    """The card of one experiment, in one cell; an observer of its run. All but `_ask` and `_greet` come on one thread."""

    def __init__(self, run: TuneRun, display: Display, cell: CellRun | None, *, may_live: bool = True) -> None:
        self._run = run
        self._may_live = may_live
        """Whether anybody can steer the experiment while it runs: else it needs no buttons, and HTML will do."""
        self._display = display
        self._cell = cell
        self._display_id = f"nbray-tune-{uuid.uuid4().hex[:12]}"
        self._card: LiveCard | None = None
        self._on_page = False
        self._greeted = False
        """Whether a page has answered that has widgets; set on a thread of the kernel."""
        self._is_live = False
        """Whether the display shows the live card."""
        self._born = self._heard_at = time.monotonic()
        self._due = 0.0
        self._number = -1

    def show(self, view: View) -> None:
        """See `Observer.show`."""
        now = time.monotonic()
        if view.number != self._number:
            self._number, self._heard_at = view.number, now
        if now < self._due and not (self._greeted and not self._is_live):
            return
        elapsed = view.now + (0.0 if view.closed is not None else now - self._heard_at)
        self._draw(picture_of(self._run.plan.name, view, elapsed), now)
        ended = time.monotonic()
        usual = REDRAW if self._greeted or self._card is None else REPUBLISH
        self._due = ended + max(usual, (ended - now) / SHARE)

    def close(self, view: View, why: str) -> None:
        """See `Observer.close`. What stays needs no kernel: a live card of one that has ended could not be shown again."""
        card, self._card = self._card, None
        self._publish(picture_of(self._run.plan.name, view, left=why))
        if card is not None:
            card.close()

    def _draw(self, picture: Picture, now: float) -> None:
        if self._card is None and self._may_live and now >= self._born + LIVE_AFTER:
            self._card = self._new_card()
        if self._card is None or not self._greeted:
            self._publish(picture)
            return
        self._send(self._card, picture)
        if not self._is_live:
            self._is_live = True
            self._publish(picture)

    def _new_card(self) -> LiveCard | None:
        """The widget; None where anywidget is not installed. Its import takes a quarter of a second."""
        try:
            from nbray.widgets.live_card import LiveCard
        except ImportError:
            return None
        return LiveCard(self._greet, self._ask)

    def _send(self, card: LiveCard, picture: Picture) -> None:
        lines = learning_curves.lines_of(picture)
        sections = tune_card.sections(picture, lines, drawn_live=card.draws_curves)
        figure = functools.partial(figure_json, lines.y.logarithmic)
        card.show(sections, curves_of(lines), tune_card.color(picture), figure)

    def _publish(self, picture: Picture) -> None:
        html, text = tune_card.static_html(picture), tune_card.text(picture)
        data: dict[str, Any] = {"text/html": html, "text/plain": text}
        if self._card is not None and self._is_live:
            data = self._card.bundle(html, text)
        content = {"data": data, "metadata": {}, "transient": {"display_id": self._display_id}}
        self._display.publish("update_display_data" if self._on_page else "display_data", content, self._parent())
        self._on_page = True

    def _parent(self) -> Parent:
        """Whoever executes a notebook without a page hears only of the cell that runs; the display's id finds its place."""
        running = RUNS.current
        cell = running if self._on_page and self._cell is not None and self._cell.ended and running is not None else self._cell
        return None if cell is None else cell.parent

    def _greet(self) -> None:
        """A page has widgets; on a thread of the kernel."""
        self._greeted = True

    def _ask(self, ask: str, trial_id: str) -> None:
        """A button was pressed; on a thread of the kernel, which must not wait for the cluster."""
        step = functools.partial(steer, self._run, ask, trial_id)
        threading.Thread(target=call_reporting, args=(step,), name=f"nbray-{ask}", daemon=True).start()


def steer(run: TuneRun, ask: str, trial_id: str = "") -> None:
    """Stop, pause or resume a trial, or all of them. Waits until the experiment has heard it."""
    if trial_id:
        {"stop": run.stop_trial, "pause": run.pause_trial, "resume": run.resume_trial}[ask](trial_id)
    else:
        {"stop": run.stop, "pause": run.pause, "resume": run.resume}[ask]()


def card_of(run: TuneRun, display: Display) -> TuneCard | None:
    """A card in the cell that runs now; none where the user asked for silence."""
    if not run.plan.run.verbose:
        return None
    cell = RUNS.of_thread(threading.get_ident()) or RUNS.current or RUNS.latest()
    backend = session.current.backend
    card = TuneCard(run, display, cell, may_live=backend is None or backend.name != "serial")
    card.show(run.view)  # a display that begins when its cell has ended is lost where notebooks run without a page
    return card
