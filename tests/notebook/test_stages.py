"""Moments become stages: each second of a cell run stands in one of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbray.notebook.manifest import Stages
from nbray.notebook.stages import Errand, OnWorker, split

THERE = OnWorker(2.0, 2.5, 5.0, 5.25)


def test_nothing_was_sent() -> None:
    assert split([], 1.0, 3.0) == Stages(here=2.0)


def test_a_cell_with_code_of_its_own_around() -> None:
    stages = split([Errand(1.0, 1.0, 1.5, 6.0, THERE)], 0.0, 7.0)
    assert stages == Stages(start=0.0, ship=1.0, queue=0.5, run=2.5, back=2.0, here=1.0)
    assert stages.total == 7.0


def test_a_worker_that_told_nothing() -> None:
    silent = Errand(0.0, 0.0, 1.0, 4.0)
    assert split([silent], 0.0, 4.0) == Stages(ship=1.0, run=3.0)
    assert split([silent], 0.0, 4.0, queued=2.0) == Stages(ship=1.0, queue=2.0, run=1.0)
    assert split([silent], 0.0, 4.0, queued=9.0) == Stages(ship=1.0, queue=3.0)


def test_waiting_before_it_was_sent_is_queue_too() -> None:
    late = Errand(5.0, 5.0, 5.0, 8.0, OnWorker(5.0, 5.0, 8.0, 8.0))
    assert split([late], 0.0, 8.0, waited=4.0) == Stages(queue=4.0, run=3.0, here=1.0)


@pytest.mark.parametrize("hours", [-3600.0, 3600.0])
def test_a_worker_with_another_clock(hours: float) -> None:
    far = OnWorker(*(moment + hours for moment in THERE))
    stages = split([Errand(0.0, 0.0, 1.0, 6.0, far)], 0.0, 6.0)
    assert stages == Stages(ship=1.5, queue=1.75, run=2.5, back=0.25)


def test_of_tasks_side_by_side_the_last_counts() -> None:
    slow, quick = Errand(0.0, 0.0, 1.0, 6.0, THERE), Errand(0.0, 0.0, 1.0, 3.0, OnWorker(1.0, 1.0, 2.0, 2.0))
    assert split([slow, quick], 0.0, 6.0) == split([slow], 0.0, 6.0)


spans = st.lists(st.floats(0.0, 100.0), min_size=8, max_size=8)


@given(spans, st.floats(-1000.0, 1000.0))
def test_all_time_is_told_once(steps: list[float], shift: float) -> None:
    moments = [sum(steps[: index + 1]) for index in range(8)]
    asked, ready, sent, began, unpacked, ran, packed, came = moments
    there = OnWorker(began + shift, unpacked + shift, ran + shift, packed + shift)
    stages = split([Errand(asked, ready, sent, came, there)], 0.0, came + 1.0)
    assert stages.total == pytest.approx(came + 1.0)
    assert min(stages.start, stages.ship, stages.queue, stages.run, stages.back, stages.here) >= -1e-9
    assert stages.run == pytest.approx(ran - unpacked, abs=1e-6)
