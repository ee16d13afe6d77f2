"""When a card is shown, what it counts, and that it is safe to look at."""

from __future__ import annotations

from itertools import pairwise

import pytest

from nbray.backends.backend import CancelReport
from nbray.ids import CellRunId
from nbray.notebook import card as cards
from nbray.notebook.card import HANDFUL, NEVER, REDRAW, SHOW_AFTER, CardModel, Cleared, Drawing, Ended, Picture, Stage
from nbray.notebook.card_html import card_html, card_text
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot, StoreSnapshot, WorkerSnapshot

CELL = CellRunId("c1")
FINE = Ended(raised=False)


def counts(**values: object) -> CellRunSnapshot:
    return CellRunSnapshot(CELL, "cell [1]", "job", **values)  # type: ignore[arg-type]


def snapshot(sequence: int = 0, *workers: WorkerSnapshot, **values: object) -> ClusterSnapshot:
    other = CellRunSnapshot(CellRunId("other"), "", "job", waiting=99)
    runs = [other, counts(**values)] if values else [other]
    return ClusterSnapshot(sequence, "e", {}, {}, StoreSnapshot(0, 0, 0), list(workers), runs)


def worker(slot: int = 1, cpu: float = 0.5, rss: int = 2**20, cell_run: CellRunId = CELL, task: str = "fit") -> WorkerSnapshot:
    return WorkerSnapshot(slot, 4710 + slot, "busy", task, cell_run, 1.0, 0, cpu, rss)


class Page:
    """A card and what the page shows of it, on a clock that the test moves."""

    def __init__(self) -> None:
        self.card = CardModel(CELL)
        self.now = 100.0
        self.drawings: list[tuple[float, Drawing]] = []

    def hears(self, event: object) -> None:
        self._note(self.card.handle(event, self.now))  # type: ignore[arg-type]

    def passes(self, seconds: float) -> None:
        end = self.now + seconds
        while (deadline := self.card.next_deadline()) <= end:
            self.now = max(self.now, deadline)
            before = len(self.drawings)
            self._note(self.card.due(self.now))
            assert len(self.drawings) > before, "a deadline came and there was nothing to draw"
        self.now = end

    def _note(self, drawing: Drawing | None) -> None:
        if drawing is not None:
            self.drawings.append((self.now, drawing))

    @property
    def stage(self) -> str:
        return self.card.stage.value

    @property
    def last(self) -> Picture:
        return self.drawings[-1][1].picture


def test_a_quick_call_shows_no_card() -> None:
    page = Page()
    page.hears(snapshot(1, succeeded=1, elapsed=0.005))
    page.hears(FINE)
    page.passes(10)
    assert page.drawings == []
    assert page.card.complete


def test_a_cell_without_tasks_shows_no_card() -> None:
    page = Page()
    page.hears(snapshot(1))
    page.hears(FINE)
    assert page.drawings == []


def test_a_quick_map_is_summed_up_at_the_end() -> None:
    page = Page()
    page.hears(snapshot(1, succeeded=HANDFUL + 1, elapsed=0.05))
    assert page.drawings == []
    page.hears(FINE)
    assert [drawing.first for _, drawing in page.drawings] == [True]
    assert page.last.final
    assert page.last.elapsed == pytest.approx(0.05)


def test_a_quick_failure_is_told_unless_the_cell_raised() -> None:
    silent, loud = Page(), Page()
    for page, ended in [(silent, FINE), (loud, Ended(raised=True))]:
        page.hears(snapshot(1, failed=1, elapsed=0.01))
        page.hears(ended)
    assert len(silent.drawings) == 1
    assert loud.drawings == []


def test_longer_work_gets_a_live_card_then_a_final_one() -> None:
    page = Page()
    page.hears(snapshot(1, running=2, waiting=2, elapsed=0.1))
    assert page.drawings == []
    page.passes(SHOW_AFTER)
    assert page.drawings == []
    page.hears(snapshot(1, running=2, waiting=2, elapsed=SHOW_AFTER))
    assert len(page.drawings) == 1
    assert page.stage == "live"
    page.hears(snapshot(2, succeeded=4, elapsed=2.0))
    page.hears(FINE)
    assert page.stage == "final"
    assert [drawing.first for _, drawing in page.drawings][0:2] == [True, False]
    assert page.last.final
    assert page.last.elapsed == 2.0


def test_a_card_is_redrawn_four_times_a_second_at_most() -> None:
    page = Page()
    for number in range(400):
        page.hears(snapshot(number, running=1, succeeded=number, elapsed=1 + number * 0.01))
        page.passes(0.01)
    times = [now for now, _ in page.drawings]
    assert 12 <= len(times) <= 4 / REDRAW + 1
    assert min(b - a for a, b in pairwise(times)) >= REDRAW - 1e-6


def test_the_clock_moves_without_news() -> None:
    page = Page()
    page.hears(snapshot(1, running=1, elapsed=1.0))
    page.passes(5)
    assert 5 <= len(page.drawings) <= 7
    assert page.last.elapsed == pytest.approx(6.0, abs=1.0)


def test_an_unchanged_snapshot_draws_nothing_once_final() -> None:
    page = Page()
    page.hears(snapshot(1, succeeded=20, elapsed=1.0))
    page.hears(FINE)
    drawn = len(page.drawings)
    for number in range(2, 50):
        page.hears(snapshot(number, succeeded=20, elapsed=1.0))
    assert len(page.drawings) == drawn
    assert page.card.next_deadline() == NEVER


def test_work_that_is_left_over_keeps_the_card_live() -> None:
    page = Page()
    page.hears(snapshot(1, running=2, waiting=5, elapsed=0.5))
    page.hears(FINE)
    assert page.stage == "live"
    assert not page.card.complete
    page.hears(snapshot(2, succeeded=7, elapsed=9.0))
    assert page.stage == "final"
    assert page.last.final


def test_work_behind_its_cell_has_a_card_at_once() -> None:
    page = Page()
    page.hears(snapshot(1, running=1, elapsed=0.01))
    page.hears(Ended(raised=False, behind=True))
    assert [drawing.first for _, drawing in page.drawings] == [True]
    assert page.stage == "live"
    page.hears(snapshot(2, succeeded=1, elapsed=0.02))
    assert page.stage == "final"


def test_an_older_snapshot_that_comes_late_is_not_believed() -> None:
    page = Page()
    page.hears(snapshot(5, succeeded=9, elapsed=1.0))
    page.hears(FINE)
    page.hears(snapshot(4, running=3, succeeded=6, elapsed=0.9))
    assert page.card.complete
    assert page.last.counts.succeeded == 9


def test_a_cell_that_goes_on_submitting_becomes_live_again() -> None:
    page = Page()
    page.hears(snapshot(1, succeeded=20, elapsed=1.0))
    page.hears(FINE)
    page.hears(snapshot(2, succeeded=20, running=1, elapsed=1.5))
    page.passes(1)
    assert page.stage == "live"
    assert not page.last.final


def test_a_stop_shows_what_it_did() -> None:
    page = Page()
    page.hears(snapshot(1, running=2, waiting=35, succeeded=12, elapsed=0.5))
    page.hears(cards.Stopping(CancelReport(35, 12, 2)))
    page.hears(snapshot(2, running=2, cancelled=35, succeeded=12, elapsed=0.6))
    page.hears(Ended(raised=True))
    page.passes(1.0)
    assert "Stopping" in card_html(page.last)
    assert "cancelled 35, finished 12, 2 still stopping" in card_html(page.last)
    page.hears(snapshot(3, cancelled=37, succeeded=12, elapsed=0.9))
    assert page.last.final
    assert "cancelled 37, finished 12<" in card_html(page.last)
    assert card_text(page.last) == "nbray: stopped, cancelled 37, finished 12, 0.9 s"


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"cancelled": 6}, "nbray: stopped, cancelled 6, finished 0, 1.0 s"),
        ({"succeeded": 12}, "nbray: done, 12 tasks, 1.0 s"),
    ],
)
def test_a_cell_that_cancels_its_own_tasks_when_stop_tears_it_away_was_stopped(counts: dict[str, int], text: str) -> None:
    page = Page()
    page.hears(snapshot(1, elapsed=1.0, **counts))
    page.hears(Ended(raised=True, interrupted=True))
    assert card_text(page.last) == text


def test_a_cleared_card_is_displayed_anew() -> None:
    page = Page()
    page.hears(snapshot(1, running=2, elapsed=1.0))
    page.passes(1)
    page.hears(cards.Cleared())
    page.passes(1)
    assert [drawing.first for _, drawing in page.drawings].count(True) == 2


def test_a_replaced_card_is_never_shown() -> None:
    page = Page()
    page.hears(cards.Replaced())
    page.hears(snapshot(1, running=2, failed=20, elapsed=1.0))
    page.passes(5)
    page.hears(cards.Stopping(CancelReport(2, 0)))
    page.hears(snapshot(2, cancelled=2, failed=20, elapsed=6.0))
    page.hears(FINE)
    assert page.drawings == []
    assert page.card.complete


@pytest.mark.parametrize("values", [{"running": 1}, {"succeeded": 1, "elapsed": 0.01}])
def test_a_card_that_is_asked_for_is_drawn_whatever_it_says(values: dict[str, float]) -> None:
    page = Page()
    page.hears(FINE)
    page.hears(cards.Again(counts(**values)))
    assert page.stage == ("live" if "running" in values else "final")
    assert page.drawings[-1][1].first


def test_a_card_that_is_asked_for_is_drawn_in_the_new_place() -> None:
    page = Page()
    page.hears(snapshot(1, running=2, elapsed=1.0))
    page.hears(cards.Again(counts(running=2, elapsed=1.0)))
    assert [drawing.first for _, drawing in page.drawings] == [True, True]
    page.hears(snapshot(2, succeeded=2, elapsed=2.0))
    page.hears(FINE)
    page.hears(cards.Again(counts(succeeded=2, elapsed=2.0)))
    assert [drawing.first for _, drawing in page.drawings][-2:] == [False, True]
    assert page.last.final


def test_a_lost_cluster_ends_the_card() -> None:
    page = Page()
    page.hears(snapshot(1, running=2, succeeded=1, elapsed=1.0))
    page.hears(cards.Lost("the scheduler process is gone"))
    page.hears(Ended(raised=True))
    page.passes(10)
    assert page.last.final
    assert "the scheduler process is gone" in card_html(page.last)
    assert "2 lost" in card_html(page.last)
    assert page.card.next_deadline() == NEVER


def test_only_allowed_moves() -> None:
    assert set(cards.MOVES) == set(Stage)
    card = CardModel(CELL)
    with pytest.raises(AssertionError, match=r"HIDDEN .* is not allowed"):
        card._move(Stage.HIDDEN)


def test_rate_and_expected_time_come_from_what_ended() -> None:
    page = Page()
    for second in range(1, 11):
        page.hears(snapshot(second, running=2, waiting=40 - 2 * second, succeeded=2 * second, run_seconds=2.0 * second,
                            elapsed=float(second)))  # fmt: skip
        page.passes(1.0)
    picture = page.card.picture(page.now)
    assert picture is not None
    assert picture.rate == pytest.approx(2.0, rel=0.2)
    assert picture.left == pytest.approx((20 + 1) / 2, rel=0.2)


def test_no_expected_time_before_two_tasks_ended() -> None:
    page = Page()
    page.hears(snapshot(1, running=2, waiting=30, succeeded=1, run_seconds=3.0, elapsed=3.0))
    picture = page.card.picture(page.now)
    assert picture is not None
    assert picture.left is None


def test_only_the_workers_of_this_cell_are_counted() -> None:
    page = Page()
    others = worker(3, cpu=1.0, rss=2**30, cell_run=CellRunId("other"))
    page.hears(snapshot(1, worker(1, 0.9, 2**28), worker(2, 0.6, 2**28), others, running=2, elapsed=1.0))
    page.passes(0.5)
    assert "2 workers · 1.5 CPU · 512 MiB" in card_html(page.last)
    page.hears(snapshot(2, succeeded=2, elapsed=2.0))
    page.hears(FINE)
    assert "peak 512 MiB" in card_html(page.last)


def test_a_card_is_shown_again_only_where_it_was_and_is_not() -> None:
    page = Page()
    assert page.card.again(page.now) is None
    page.hears(snapshot(1, running=1, elapsed=SHOW_AFTER))
    assert page.stage == "live"
    assert page.card.again(page.now) is None
    page.hears(Cleared())
    again = page.card.again(page.now)
    assert again is not None
    assert again.first
    assert page.card.again(page.now) is None
