"""Experiments in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbray import tune
from nbray.tune.attempt import Workplace
from nbray.tune.course import Course
from nbray.tune.events import Asked, CloseReason, Entry
from nbray.tune.inline import Inline
from nbray.tune.plan import Plan
from nbray.tune.schedulers.asha import ASHAScheduler
from nbray.tune.view import View
from tests.tune.plans import make_plan


class Told:
    """Follows an experiment."""

    def __init__(self) -> None:
        self.view = View("loss", "min")
        self.rungs: list[Any] = []

    def __call__(self, entries: list[Entry], rungs: list[Any]) -> None:
        self.view.fold_all(entries)
        self.rungs = rungs


def make(plan: Plan, told: Told) -> Inline:
    return Inline(plan, Course(plan), Workplace.of(plan, {"CPU": 1.0}, "loss"), told)


def steps(config: dict[str, Any]) -> None:
    for step in range(9):
        tune.report(loss=config["x"] / (step + 1))


def test_trials_run_one_after_the_other_under_the_same_rules(tmp_path: Path) -> None:
    told = Told()
    scheduler = ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3)
    plan = make_plan(steps, tmp_path / "e", {"x": tune.grid_search([1, 2, 3, 4])}, scheduler=scheduler)
    make(plan, told).run()
    assert told.view.closed is not None
    assert told.view.closed.why is CloseReason.DONE
    assert [trial.iteration for trial in told.view.trials.values()] == [9, 1, 1, 1]
    assert told.rungs


def fails(config: dict[str, Any]) -> None:
    raise ValueError(config["x"])


def test_a_trial_that_fails(tmp_path: Path) -> None:
    told = Told()
    make(make_plan(fails, tmp_path / "e", {"x": 1}), told).run()
    assert [trial.state.value for trial in told.view.trials.values()] == ["ERROR"]


def test_an_interrupt_ends_the_trial_and_passes(tmp_path: Path) -> None:
    def interrupted(config: dict[str, Any]) -> None:
        tune.report(loss=1)
        raise KeyboardInterrupt

    told = Told()
    with pytest.raises(KeyboardInterrupt):
        make(make_plan(interrupted, tmp_path / "e", {"x": tune.grid_search([1, 2])}), told).run()
    assert told.view.closed is not None
    assert told.view.closed.why is CloseReason.INTERRUPTED
    assert [trial.iteration for trial in told.view.trials.values()] == [1]


def test_a_pause_that_nobody_could_end_ends_it(tmp_path: Path) -> None:
    told = Told()

    def paused(config: dict[str, Any]) -> None:
        inline.take(Asked("pause", "00000"))
        tune.report(loss=1, checkpoint={"a": 1})
        raise AssertionError("it was told to pause")

    inline = make(make_plan(paused, tmp_path / "e", {"x": 1}), told)
    inline.run()
    assert told.view.closed is not None
    assert told.view.closed.why is CloseReason.INTERRUPTED
    assert "nobody can resume them meanwhile" in " ".join(told.view.lines)


def test_a_time_budget_ends_it(tmp_path: Path) -> None:
    told = Told()
    plan = make_plan(for_ever, tmp_path / "e", {"x": 1}, time_budget_s=0.2)
    make(plan, told).run()
    assert told.view.closed is not None
    assert told.view.closed.why is CloseReason.TIME_BUDGET


def for_ever(config: dict[str, Any]) -> None:
    while True:
        tune.report(loss=1)
