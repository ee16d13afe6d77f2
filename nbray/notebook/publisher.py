"""Owns the thread that puts on the page what cells have to show: their tasks' output and their cards.

    backend's I/O thread --- output, snapshots ---> inbox ---> display thread ---> iopub
    main thread (hooks) ---- calls, waits ------->

Only the display thread touches buffers and cards and asks the engine for them, so nothing here needs a lock, a flood of
output never slows the I/O thread, and a second interrupt, which can only hit the main thread, tears nothing.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from nbray import plot_points, progress_board, session
from nbray.backends.backend import AGAIN, Backend, CancelReport, OutputEvent
from nbray.engine.io_thread import call_reporting
from nbray.errors import ClusterDied
from nbray.ids import BACKGROUND, NO_TASK, CellRunId, TaskId
from nbray.notebook import stop
from nbray.notebook.card import Again, CardModel, Cleared, Drawing, Ended, Event, Lost, Replaced, Stopping
from nbray.notebook.card_html import card_html, card_text
from nbray.notebook.cell_history import CellHistory
from nbray.notebook.cell_output import NEVER, Shown
from nbray.notebook.cell_runs import CellRun, CellRuns
from nbray.notebook.charts import Charts
from nbray.notebook.display import Display, Parent
from nbray.notebook.output import OutputBuffer
from nbray.notebook.run_measures import STREAM as MEASURES
from nbray.plot_points import Points
from nbray.progress_board import BarState
from nbray.scheduler.messages import PROMPT
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot
from nbray.wording import size_text

POLL = 1.0
"""Snapshots are lossy: while work is left over and none came for so long, the engine is asked."""
MAX_CARDS = 200
MOST_AT_ONCE = 1000
"""Items of the inbox between two looks at what is due."""
SETTLE_BURST = 20.0
SETTLE_RATE = 10.0
SETTLE_SECONDS = 0.25

Call = Callable[[], None]
Work = Callable[[Sequence[CellRunSnapshot]], bool]
Item = OutputEvent | ClusterSnapshot | Call


class Publisher:
    """The display thread with all it needs; `close` ends it.

    `work` hears of the work of all cell runs, and says whether it must go on hearing although no card needs it. `history`
    writes down what cells took.
    """

    def __init__(
        self, display: Display, runs: CellRuns, work: Work = lambda cell_runs: False, history: CellHistory | None = None
    ) -> None:  # fmt: skip
        self._display = display
        self._work = work
        self._history = history
        self._works = False
        self._runs = runs
        self._inbox: SimpleQueue[Item | None] = SimpleQueue()
        self._buffer = OutputBuffer(runs.is_own_task)
        self._cards: OrderedDict[CellRunId, CardModel] = OrderedDict()
        self._live: dict[CellRunId, CardModel] = {}
        """Those of them that may still change by themselves."""
        self._backend: Backend | None = None
        self._heard_at = 0.0
        self._counts: list[CellRunSnapshot] = []
        """Of the latest snapshot."""
        self._moves: dict[CellRunId, tuple[CellRun, str, bool]] = {}
        """Cell runs that are about to be shown again, elsewhere."""
        self._asked_about: CellRunId | None = None
        """The cell run whose interrupt was told from a restart last."""
        self._charts = Charts(display, runs, wake=lambda: self._inbox.put(lambda: None))
        self._received = self._handled = self._shown = 0
        """Pieces of output: counted where they come in, when the buffer has them, when nothing is left in the buffer."""
        self._credit, self._settled_at = SETTLE_BURST, 0.0
        """How many waits may still be settled at once; main thread."""
        self.on_prompt: Callable[[OutputEvent], None] = lambda event: None
        """Hears of what tasks ask; any thread."""
        self._moved: dict[TaskId, CellRunId] = {}
        """Tasks whose output appears in another cell than their own."""
        self._thread = threading.Thread(target=self._run, name="nbray-display", daemon=True)
        self._thread.start()

    def attach(self, backend: Backend) -> None:
        """Show what the tasks of this backend print and do; any thread."""
        self._backend = backend
        backend.settle = self._settle
        backend.on_output(self._receive)
        backend.on_snapshot(self._inbox.put)

    def show_progress(self, cell_run: CellRunId, state: BarState) -> None:
        """A progress bar of the notebook's own code has moved; any thread."""
        self._receive(OutputEvent(cell_run, NO_TASK, "", "", progress_board.STREAM, state.encode()))

    def show_output(self, event: OutputEvent) -> None:
        """Put on the page what was printed in this event's cell so far; waits for that, a moment at most."""
        cell_run = self._moved.get(event.task_id, event.cell_run)
        self._call(lambda: self._show_output(self._buffer.hurry(cell_run, time.monotonic())), SETTLE_SECONDS)

    def move(self, task_id: TaskId, cell_run: CellRunId) -> None:
        """From now on what a task prints appears in this cell, where it is talked to; any thread."""
        self._moved[task_id] = cell_run

    def tell(self, cell_run: CellRunId, text: str) -> None:
        """Show a line of our own in a cell; any thread."""
        self._inbox.put(lambda: self._publish(Shown(cell_run, "stream", {"name": "stderr", "text": text})))

    def show_points(self, cell_run: CellRunId, points: Points) -> None:
        """A plot of the notebook's own code has something to add; any thread."""
        self._receive(OutputEvent(cell_run, NO_TASK, "", "", plot_points.STREAM, points.encode()))

    def stop(self, run: CellRun) -> None:
        """Stop has been pressed while this cell runs: cancel its tasks now. Does not wait; signal handlers may call it."""
        self._inbox.put(lambda: self._stop(self._card(run.id)))

    def leave_out(self, cell_run: CellRunId) -> None:
        """Something else shows the work of this cell: draw no card of its tasks. Any thread."""
        self._inbox.put(lambda: self._tell_card(self._card(cell_run), Replaced()))

    def arrange(self, run: CellRun, timeout: float) -> None:
        """The ranks of a running cell have ended: show all that they have printed rank by rank, instead of as it came.

        Waits until that is done, at most `timeout` seconds.
        """
        if self._display.live:
            self._call(lambda: self._arrange(run), timeout)

    def show_again(self, run: CellRun, head: str, *, alone: bool) -> None:
        """What comes of this cell run behind the next event `AGAIN` is shown where `run` says, below `head`.

        Unless it is `alone` there, it clears nothing. Any thread, before the event is asked for.
        """
        self._inbox.put(lambda: self._moves.update({run.id: (run, head, alone)}))

    def card_again(self, run: CellRun, counts: CellRunSnapshot, timeout: float) -> None:
        """Show what is left of the output of a cell run, then its card. Waits until that is done, at most `timeout` seconds."""
        self._call(lambda: self._card_again(run, counts), timeout)

    def end_cell(self, run: CellRun, *, raised: bool, interrupted: bool, timeout: float) -> None:
        """The code of a cell has ended: show what is left of its remote work; after a Stop cancel its tasks.

        Waits until that is done, at most `timeout` seconds.
        """
        self._call(lambda: self._end_cell(run, raised, interrupted), timeout)

    def note_end(self, run: CellRun, source: str, error: BaseException | None, *, interrupted: bool) -> None:
        """Let it be written down how a cell has ended, whose work is shown; not on the display thread."""
        if self._history is not None:
            self._history.end_cell(run, source, error, interrupted=interrupted)

    def close(self) -> None:
        """Publish what is left and end the thread; idempotent."""
        self._inbox.put(None)
        self._thread.join(2.0)

    def _receive(self, event: OutputEvent) -> None:
        if event.stream == PROMPT:
            self.on_prompt(event)
            return
        if event.task_id in self._moved:
            event = event._replace(cell_run=self._moved[event.task_id])
        if event.stream == MEASURES:
            if self._history is not None:
                self._history.measure(event)
            return
        self._received += 1
        self._inbox.put(event)

    def _settle(self) -> None:
        """A wait of the running cell is over: publish what its tasks have printed before it goes on.

        A loop of many short waits would make a message of every line, so only so many a second are obeyed; between them
        output waits its tenth of a second as always.
        """
        if self._received == self._shown:
            return
        now = time.monotonic()
        self._credit = min(SETTLE_BURST, self._credit + (now - self._settled_at) * SETTLE_RATE)
        self._settled_at = now
        run = self._runs.of_thread(threading.get_ident())
        if run is not None and self._credit >= 1:
            self._credit -= 1
            self._call(lambda: self._show_output(self._buffer.hurry(run.id, time.monotonic())), SETTLE_SECONDS)

    def _call(self, call: Call, timeout: float) -> None:
        done = threading.Event()

        def call_and_tell() -> None:
            try:
                call()
            finally:
                done.set()

        self._inbox.put(call_and_tell)
        done.wait(timeout)

    # ---------------------------------------------------------------- display thread

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            call_reporting(functools.partial(self._publish_due, now))
            if self._buffer.next_deadline() == NEVER:
                self._shown = self._handled
            deadline = self._next_deadline(now)
            try:
                item = self._inbox.get(timeout=None if deadline == NEVER else max(0.0, deadline - now))
            except Empty:
                continue
            if not self._take_all(item):
                break
        self._show_output(self._buffer.flush_all(time.monotonic()))

    def _take_all(self, item: Item | None) -> bool:
        """Take this item and those that wait behind it, at most `MOST_AT_ONCE`; False when it is time to end."""
        taken = 0
        while item is not None:
            call_reporting(functools.partial(self._take, item))
            taken += 1
            if taken == MOST_AT_ONCE or self._inbox.empty():
                return True
            item = self._inbox.get()
        return False

    def _take(self, item: Item) -> None:
        if isinstance(item, OutputEvent):
            if item.stream == AGAIN:
                self._begin_again(item)
            elif item.stream == plot_points.STREAM:
                self._charts.handle(item, time.monotonic())
            else:
                self._buffer.handle(item, time.monotonic())
            self._handled += 1
        elif isinstance(item, ClusterSnapshot):
            self._take_snapshot(item)
        else:
            item()

    def _next_deadline(self, now: float) -> float:
        cards = min((card.next_deadline() for card in self._live.values()), default=NEVER)
        poll = NEVER if self._backend is None or not self._watched() else max(now, self._heard_at + POLL)
        return min(self._buffer.next_deadline(), self._charts.deadline(), cards, poll)

    def _publish_due(self, now: float) -> None:
        self._show_output(self._buffer.due(now))
        for cell_run in self._charts.beginning(now):
            self._show_output(self._buffer.hurry(cell_run, now))
        self._charts.draw_due(now)
        if now >= self._heard_at + POLL and self._watched():
            self._ask()
        for cell_run, card in list(self._live.items()):
            self._show_card(cell_run, card.due(now))

    def _watched(self) -> bool:
        """Is there a card that will change, or does somebody wait for the end of work?"""
        return self._works or any(card.open for card in self._live.values())

    def _ask(self) -> None:
        """Ask the engine for exact numbers; when it is gone, so is what it did for our cells."""
        self._heard_at = time.monotonic()
        if self._backend is None:
            return
        try:
            self._take_snapshot(self._backend.snapshot())
        except ClusterDied as error:
            self._works = self._work([])
            for card in [card for card in self._live.values() if card.open]:
                self._tell_card(card, Lost(str(error)))

    def _take_snapshot(self, snapshot: ClusterSnapshot) -> None:
        self._heard_at = time.monotonic()
        self._counts = snapshot.cell_runs
        self._works = self._work(snapshot.cell_runs)
        if self._history is not None:
            self._history.hear(snapshot)
        for counts in snapshot.cell_runs:
            run = self._runs.get(counts.cell_run)
            if run is not None and (counts.waiting or counts.running or run.id in self._live):
                self._tell_card(self._card(run.id), snapshot)

    def _card(self, cell_run: CellRunId) -> CardModel:
        card = self._cards.get(cell_run)
        if card is None:
            card = self._cards[cell_run] = self._live[cell_run] = CardModel(cell_run)
            for old in [old for old in self._cards if old not in self._live][: len(self._cards) - MAX_CARDS]:
                del self._cards[old]
        return card

    def _tell_card(self, card: CardModel, event: Event) -> None:
        drawing = card.handle(event, time.monotonic())
        if not card.complete:
            self._live[card.cell_run] = card
        elif self._live.pop(card.cell_run, None) is not None:
            self._show_output(self._buffer.flush(card.cell_run, time.monotonic()))
            self._charts.end(card.cell_run, time.monotonic())
            self._buffer.forget_ranks(card.cell_run)
        self._show_card(card.cell_run, drawing)

    def _arrange(self, run: CellRun) -> None:
        now = time.monotonic()
        self._show_output(self._buffer.flush(run.id, now))
        clearing, *others = self._buffer.by_rank(run.id, run.ranks, run.rank_failures) or (None,)
        if clearing is not None:
            self._show_output([clearing])
            self._show_card(run.id, self._card(run.id).again(now))  # above the tabs, as it stands above the output of any cell
            self._show_output(others)

    def _end_cell(self, run: CellRun, raised: bool, interrupted: bool) -> None:
        card = self._card(run.id)
        if interrupted:
            self._stop(card)
        self._ask()
        if interrupted:
            self._tell_of_others(run)
        self._tell_card(card, Ended(raised, run.behind, interrupted and not session.is_parting(0.0)))
        self._show_output(self._buffer.flush(run.id, time.monotonic()))
        if not card.known:  # no remote work, no card
            del self._cards[run.id]

    def _begin_again(self, event: OutputEvent) -> None:
        self._show_output(self._buffer.flush(event.cell_run, time.monotonic()))
        run, head, alone = self._moves.pop(event.cell_run)
        self._runs.adopt(run)
        self._buffer.begin_again(event.cell_run, alone=alone)
        self._charts.begin_again(event.cell_run)
        cut = int(event.data)
        text = f"{head}\n" + (f"[nbray] the first {size_text(cut)} of its output are not kept\n" if cut else "")
        self._publish(Shown(run.id, "stream", {"name": "stdout", "text": text}))

    def _card_again(self, run: CellRun, counts: CellRunSnapshot) -> None:
        self._show_output(self._buffer.hurry_lines(run.id, time.monotonic()))
        card = self._card(run.id)
        if run.ended:
            card.handle(Ended(raised=False), time.monotonic())
        self._tell_card(card, Again(counts))

    def _stop(self, card: CardModel) -> None:
        if self._display.live and card.cell_run != self._asked_about:
            self._asked_about = card.cell_run
            session.is_parting()
        if session.is_parting(0.0):
            return
        try:
            report = self._backend.cancel_cell_runs([card.cell_run]) if self._backend is not None else CancelReport(0, 0)
        except ClusterDied:
            return  # the card says so
        if report.cancelled or report.stopping:
            self._tell_card(card, Stopping(report))

    def _tell_of_others(self, run: CellRun) -> None:
        others = stop.others_message(self._counts, run, self._runs)
        if others:
            self._publish(Shown(run.id, "stream", {"name": "stderr", "text": others}))

    def _show_output(self, messages: list[Shown]) -> None:
        for shown in messages:
            self._publish(shown)
            if shown.kind == "clear_output":
                self._charts.cleared(shown.cell_run)
            if shown.kind == "clear_output" and shown.cell_run in self._cards:
                self._tell_card(self._cards[shown.cell_run], Cleared())

    def _show_card(self, cell_run: CellRunId, drawing: Drawing | None) -> None:
        run = self._runs.get(cell_run)
        if drawing is None or run is None or not (self._display.live or drawing.picture.final):
            return
        content: dict[str, Any] = {
            "data": {"text/html": card_html(drawing.picture), "text/plain": card_text(drawing.picture)},
            "metadata": {},
            "transient": {"display_id": run.display_id},
        }
        first = drawing.first or not self._display.live
        self._publish(Shown(cell_run, "display_data" if first else "update_display_data", content))

    def _publish(self, shown: Shown) -> None:
        run = self._runs.get(shown.cell_run)
        if run is None and shown.cell_run == BACKGROUND:
            run = self._runs.latest()
        if run is not None:
            self._display.publish(shown.kind, shown.content, self._parent(run, shown.kind))

    def _parent(self, run: CellRun, kind: str) -> Parent:
        """Whoever executes a notebook without a page hears only of the cell that runs; a display's id finds its place."""
        running = self._runs.current
        return run.parent if kind != "update_display_data" or not run.ended or running is None else running.parent
