"""Owns what the card under a cell says, and when it is shown: counts, rate, expected time, failures, what a Stop did.

Pure: snapshots and times go in, pictures of the card come out (`card_html` draws them). When a card is shown:

- A cell gets a live card once a snapshot says that its remote work has taken `SHOW_AFTER` and goes on; it is redrawn at
  most four times a second.
- Work that was over sooner gets a card only at its end, and only when there is something to say: more than `HANDFUL`
  tasks, a failure that the cell did not raise itself, or a Stop. A call of 5 ms shows nothing but its result.
- Once the cell has ended and none of its tasks is left the card becomes final. Tasks that are left (`--bg`, references that
  nobody waited for) keep it live until they have ended.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import NamedTuple

from msgspec import structs

from nbray.backends.backend import CancelReport
from nbray.ids import CellRunId
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot, WorkerSnapshot

SHOW_AFTER = 0.3
HANDFUL = 8
REDRAW = 0.25
TICK = 1.0
"""Without news the elapsed time still moves on, so often."""
RATE_WINDOW = 15.0
NEVER = float("inf")


class Stage(enum.Enum):
    """How far a card is."""

    HIDDEN = "hidden"
    LIVE = "live"
    FINAL = "final"


MOVES: dict[Stage, tuple[Stage, ...]] = {
    Stage.HIDDEN: (Stage.LIVE, Stage.FINAL),
    Stage.LIVE: (Stage.FINAL,),
    Stage.FINAL: (Stage.LIVE,),  # a thread of the cell submitted more
}


class Ended(NamedTuple):
    """The cell's code has ended; `raised` when by an exception."""

    raised: bool
    behind: bool = False
    """Its work goes on behind it (`--bg`): the card is the one sign of that, and a page that is written without a reader takes
    no display that begins later."""
    interrupted: bool = False
    """By Stop. Code that is torn out of a wait may have cancelled its tasks before they were cancelled for it."""


class Stopping(NamedTuple):
    """The user pressed Stop; `report` once the engine has answered."""

    report: CancelReport | None


class Cleared(NamedTuple):
    """The cell's output was cleared, and the card with it."""


class Replaced(NamedTuple):
    """Something else shows what this cell's work comes to: the card stays hidden, and goes on only for the counts."""


class Again(NamedTuple):
    """The card is asked for, whatever it has to say, and not where it was drawn before; `counts` are those of now."""

    counts: CellRunSnapshot


class Lost(NamedTuple):
    """The cluster is gone; nothing more will be heard of the cell's tasks."""

    reason: str


Event = ClusterSnapshot | Ended | Stopping | Cleared | Replaced | Again | Lost


class Picture(NamedTuple):
    """Everything that a card shows at one moment."""

    counts: CellRunSnapshot
    elapsed: float
    final: bool
    stopped: bool
    rate: float | None = None
    left: float | None = None
    """Expected seconds until the last of the tasks known so far has ended."""
    workers: tuple[WorkerSnapshot, ...] = ()
    peak_memory: int = 0
    lost: str = ""

    @property
    def finished(self) -> int:
        """Tasks that gave a result or an error."""
        return self.counts.succeeded + self.counts.failed

    @property
    def open(self) -> int:
        """Tasks that have not ended."""
        return self.counts.waiting + self.counts.running

    @property
    def total(self) -> int:
        """All tasks that the cell run has submitted so far."""
        return self.finished + self.open + self.counts.cancelled


class Drawing(NamedTuple):
    """A card to be published; `first` when it is not on the page yet."""

    picture: Picture
    first: bool


class CardModel:
    """The card of one cell run."""

    def __init__(self, cell_run: CellRunId) -> None:
        self.cell_run = cell_run
        self.stage = Stage.HIDDEN
        self._counts: CellRunSnapshot | None = None
        self._sequence = -1
        self._workers: tuple[WorkerSnapshot, ...] = ()
        self._peak_memory = 0
        self._heard_at = 0.0
        self._progress: deque[tuple[float, int]] = deque(maxlen=200)
        """Times with how many tasks had given a result or an error."""
        self._ended: Ended | None = None
        self._stopped = False
        self._replaced = False
        self._asked_for = False
        self._lost = ""
        self._on_page = False
        self._drawn_at = -NEVER
        self._news = False

    @property
    def complete(self) -> bool:
        """The cell has ended, and so has every task of it that is known."""
        return self._ended is not None and (self._counts is None or _open(self._counts) == 0 or bool(self._lost))

    @property
    def known(self) -> bool:
        """The cell run has had tasks."""
        return self._counts is not None

    @property
    def open(self) -> bool:
        """Tasks of the cell run are known that have not ended."""
        return self._counts is not None and _open(self._counts) > 0 and not self._lost

    def handle(self, event: Event, now: float) -> Drawing | None:
        """Take in one event; the card when it must be redrawn now."""
        if isinstance(event, ClusterSnapshot):
            self._news |= self._take_snapshot(event, now)
        else:
            self._news = True
            self._take_event(event, now)
        return self.due(now)

    def due(self, now: float) -> Drawing | None:
        """The card when it must be redrawn now; ask again at `next_deadline`."""
        if self._counts is None or self._replaced:
            return None
        if self.complete:
            if self.stage is not Stage.FINAL and self._worth_showing():
                self._move(Stage.FINAL)
                return self._draw(now)
            return self._draw(now) if self.stage is Stage.FINAL and self._news else None
        if self.stage is Stage.HIDDEN:
            if not self._asked_for and (_open(self._counts) == 0 or self._counts.elapsed < SHOW_AFTER):
                return None  # what was running may have ended since: the next snapshot tells
            self._move(Stage.LIVE)
            return self._draw(now)
        if self.stage is Stage.FINAL:
            self._move(Stage.LIVE)
        return self._draw(now) if now >= self.next_deadline() else None

    def again(self, now: float) -> Drawing | None:
        """The card as it is, where it belongs on the page and is not there since the output was cleared."""
        return None if self.stage is Stage.HIDDEN or self._on_page or self._replaced else self._draw(now)

    def next_deadline(self) -> float:
        """When `due` may have something, if nothing is heard before."""
        if self._counts is None or self.complete or self._replaced or self.stage is Stage.HIDDEN:
            return NEVER
        busy = _open(self._counts) > 0
        return self._drawn_at + (REDRAW if self._news else TICK if busy else NEVER)

    def picture(self, now: float) -> Picture | None:
        """What the card says now; None before the first task."""
        if self._counts is None:
            return None
        return Picture(
            counts=self._counts,
            elapsed=self._elapsed(now),
            final=self.stage is Stage.FINAL,
            stopped=self._stopped,
            rate=self._rate(now),
            left=self._left(now),
            workers=self._workers,
            peak_memory=self._peak_memory,
            lost=self._lost,
        )

    def _take_event(self, event: Ended | Stopping | Cleared | Replaced | Again | Lost, now: float) -> None:
        if isinstance(event, Ended):
            self._ended = event
            self._asked_for |= event.behind
            self._stopped |= event.interrupted and self._counts is not None and self._counts.cancelled + _open(self._counts) > 0
        elif isinstance(event, Stopping):
            self._stopped = True
        elif isinstance(event, Cleared):
            self._on_page = False
        elif isinstance(event, Replaced):
            self._replaced = True
        elif isinstance(event, Again):
            self._counts, self._heard_at = event.counts, now
            self._asked_for, self._on_page, self._replaced, self._drawn_at = True, False, False, -NEVER
        else:
            self._lost = event.reason

    def _take_snapshot(self, snapshot: ClusterSnapshot, now: float) -> bool:
        """Learn the counts; says whether anything has changed but the clock."""
        counts = next((run for run in snapshot.cell_runs if run.cell_run == self.cell_run), None)
        if counts is None or snapshot.sequence < self._sequence:
            return False
        self._sequence = snapshot.sequence
        before, self._counts, self._heard_at = self._counts, counts, now
        if before is None or _finished(before) != _finished(counts):
            self._progress.append((now, _finished(counts)))
        workers = tuple(worker for worker in snapshot.workers if worker.cell_run == self.cell_run)
        self._peak_memory = max(self._peak_memory, sum(worker.rss for worker in workers))
        if before is not None and structs.replace(before, elapsed=counts.elapsed) == counts and workers == self._workers:
            return False
        self._workers = workers
        return True

    def _elapsed(self, now: float) -> float:
        assert self._counts is not None
        running = _open(self._counts) > 0 and not self._lost
        return self._counts.elapsed + (max(0.0, now - self._heard_at) if running else 0.0)

    def _worth_showing(self) -> bool:
        assert self._counts is not None
        if self._on_page or self._stopped or self._lost or self._asked_for:
            return True
        unseen_failure = self._counts.failed > 0 and self._ended is not None and not self._ended.raised
        return unseen_failure or _done(self._counts) > HANDFUL or self._counts.elapsed > SHOW_AFTER

    def _draw(self, now: float) -> Drawing:
        picture = self.picture(now)
        assert picture is not None
        first, self._on_page = not self._on_page, True
        self._drawn_at, self._news = now, False
        return Drawing(picture, first)

    def _move(self, stage: Stage) -> None:
        if stage not in MOVES[self.stage]:
            raise AssertionError(f"card of {self.cell_run}: {self.stage} -> {stage} is not allowed")
        self.stage = stage

    def _rate(self, now: float) -> float | None:
        """Tasks a second: of late, or since the beginning when too few ended of late to tell."""
        assert self._counts is not None
        finished = _finished(self._counts)
        recent = [pair for pair in self._progress if pair[0] >= now - RATE_WINDOW]
        if _open(self._counts) and len(recent) > 1 and finished - recent[0][1] >= 5:
            return (finished - recent[0][1]) / max(now - recent[0][0], 0.1)
        elapsed = self._elapsed(now)
        return finished / elapsed if finished > 1 and elapsed > 0.0 else None

    def _left(self, now: float) -> float | None:
        """From the mean run time and how many run side by side; those that run are half done on average."""
        counts = self._counts
        assert counts is not None
        if _finished(counts) < 2 or not counts.running or self._elapsed(now) < 1.0:
            return None
        mean = counts.run_seconds / _finished(counts)
        by_run_time = mean * (counts.waiting + counts.running / 2) / counts.running
        rate = self._rate(now)
        return by_run_time if rate is None else max(by_run_time, counts.waiting / rate)


def _open(counts: CellRunSnapshot) -> int:
    return counts.waiting + counts.running


def _finished(counts: CellRunSnapshot) -> int:
    return counts.succeeded + counts.failed


def _done(counts: CellRunSnapshot) -> int:
    return _finished(counts) + counts.cancelled
