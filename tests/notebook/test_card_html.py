"""A card is safe and readable, whatever its numbers and texts are."""

from __future__ import annotations

import re

import pytest

from nbray.ids import CellRunId
from nbray.notebook.card import Picture
from nbray.notebook.card_html import card_html, card_text
from nbray.snapshot import CellRunSnapshot, WorkerSnapshot

CELL = CellRunId("c1")


def counts(**values: object) -> CellRunSnapshot:
    return CellRunSnapshot(CELL, "cell [1]", "job", **values)  # type: ignore[arg-type]


def worker(slot: int = 1, task: str = "fit") -> WorkerSnapshot:
    return WorkerSnapshot(slot, 4710 + slot, "busy", task, CELL, 1.0, 0, 0.5, 2**20)


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (Picture(counts(running=2, waiting=10, succeeded=24), 12.4, False, False, 2.1, 6.2),
         "running, 24 of 36 tasks, 12.4 s, about 6 s left"),
        (Picture(counts(running=1), 7.4, False, False), "running, 1 task, 7.4 s"),
        (Picture(counts(waiting=3, waits_for="all CPUs held by cell [4] of b.ipynb"), 3.4, False, False),
         "waiting, 0 of 3 tasks, 3.4 s\n  Waits: all CPUs held by cell [4] of b.ipynb"),
        (Picture(counts(succeeded=36), 18.6, True, False, 1.9), "done, 36 tasks, 18.6 s"),
        (Picture(counts(succeeded=33, failed=3, first_failure="fit: ValueError: no"), 18.6, True, False),
         "3 failed, 33 of 36 tasks done, 18.6 s\n  fit: ValueError: no (and 2 more)"),
        (Picture(counts(failed=1, first_failure="fit: ValueError: no"), 1.0, True, False),
         "failed, 1 task, 1.0 s\n  fit: ValueError: no"),
        (Picture(counts(succeeded=12, cancelled=37), 8.9, True, True), "stopped, cancelled 37, finished 12, 8.9 s"),
        (Picture(counts(succeeded=3, cancelled=2), 5.1, True, False), "cancelled, 3 of 5 tasks done, 5.1 s"),
        (Picture(counts(succeeded=3, running=2), 5.1, True, False, lost="the cluster ended"),
         "lost, 3 of 5 tasks done, 5.1 s\n  the cluster ended"),
    ],
)  # fmt: skip
def test_what_a_card_says(picture: Picture, says: str) -> None:
    assert card_text(picture) == f"nbray: {says}"
    for part in says.replace("\n", ", ").split(", "):
        assert part.strip().lower() in card_html(picture).lower()


HOSTILE = "<img src=x onerror=alert(1)>\"'\x1b[31m\n</div>\u202e&lt;"


def test_foreign_text_is_text_everywhere() -> None:
    hostile = counts(running=1, waiting=1, failed=1, first_failure=HOSTILE, waits_for=HOSTILE)
    picture = Picture(hostile, 1.0, False, False, workers=(worker(task=HOSTILE),), lost="")
    for shown in (picture, picture._replace(lost=HOSTILE, final=True)):
        html = card_html(shown)
        assert set(re.findall(r"<(/?\w+)", html)) <= {"div", "/div", "span", "/span"}
        assert "\x1b" not in html + card_text(shown)
        assert "\u202e" not in html + card_text(shown)
        assert "&lt;img src=x onerror=alert(1)&gt;" in html
        assert html.count("<div") == html.count("</div")


def test_a_thousand_workers_stay_one_line() -> None:
    many = tuple(worker(slot) for slot in range(1000))
    assert len(card_html(Picture(counts(running=1000), 1.0, False, False, workers=many))) < 8000


def test_the_numbers_of_a_huge_map_are_readable() -> None:
    html = card_html(Picture(counts(succeeded=100_000), 0.26, True, False, rate=384_615.0))
    assert "100,000 tasks" in html
    assert "384,615/s" in html
