from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nbray.errors import InternalError, UsageError
from nbray.tune.configs import TuneConfig
from nbray.tune.events import Action, CloseReason, Entry, Event
from nbray.tune.experiment import Experiment
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.schedulers import ASHAScheduler, FIFOScheduler, HyperBandScheduler, TrialScheduler
from nbray.tune.search.random_search import RandomSearch
from nbray.tune.simulator import Curve, Simulated, SimulatedReport, simulate
from nbray.tune.spaces import uniform
from nbray.tune.stoppers import TimeoutStopper
from nbray.tune.trial import TrialState
from nbray.tune.view import View


def experiment(scheduler: TrialScheduler | None = None, samples: int = 20, **options: Any) -> Experiment:
    return Experiment(
        ExperimentConfig(
            RandomSearch(), scheduler or FIFOScheduler(), space={"x": uniform(0, 1)}, metric="score", mode="max",
            num_samples=samples, **options,
        )
    )  # fmt: skip


def nine(config: Mapping[str, Any]) -> Curve:
    return Curve([{"score": config["x"] * t} for t in range(1, 10)])


def test_time_is_that_of_the_workers() -> None:
    for workers, seconds in ((1, 180), (2, 90), (20, 9), (99, 9)):
        simulated = simulate(experiment(), nine, workers)
        assert (simulated.seconds, simulated.work, len(simulated.reports)) == (seconds, 180, 180)
        assert all(trial.state is TrialState.TERMINATED for trial in simulated.trials.values())


def test_each_report_may_take_its_own_time() -> None:
    simulated = simulate(experiment(samples=1), lambda config: Curve([{"score": 1}] * 3, [0.5, 2, 4]), 1)
    assert [report.time for report in simulated.reports] == [0.5, 2.5, 6.5]
    assert [report.iteration for report in simulated.reports] == [1, 2, 3]
    (trial,) = simulated.trials.values()
    assert trial.last_result["time_this_iter_s"] == 4
    assert trial.last_result["time_total_s"] == 6.5


def test_stopped_trials_take_no_more_time() -> None:
    simulated = simulate(experiment(ASHAScheduler(max_t=9, reduction_factor=3)), nine, 1)
    assert simulated.work == simulated.seconds == len(simulated.reports) < 100


def test_paused_trials_run_on_where_they_stopped() -> None:
    simulated = simulate(experiment(ASHAScheduler(max_t=9, reduction_factor=3, type="promote")), nine, 2)
    made = [(report.trial_id, report.iteration) for report in simulated.reports]
    assert len(made) == len(set(made)), "no report was made twice"
    assert max(trial.attempt for trial in simulated.trials.values()) > 1
    best = max(simulated.trials.values(), key=lambda trial: float(trial.config["x"]))
    assert best.iteration == 9


def test_without_checkpoints_nobody_pauses() -> None:
    entries: list[Entry] = []
    scheduler = ASHAScheduler(max_t=9, reduction_factor=3, type="promote")
    simulated = simulate(experiment(scheduler), nine, 2, checkpoints=False, listen=entries.append)
    assert all(trial.attempt == 1 for trial in simulated.trials.values())
    assert all(trial.checkpoint is None for trial in simulated.trials.values())
    assert not any("PAUS" in str(entry.actions) for entry in entries)


def test_the_best_so_far_and_when_a_target_was_reached() -> None:
    reports = [SimulatedReport(t, "a", int(t), {"loss": loss}) for t, loss in ((1, 0.5), (2, 0.6), (3, float("nan")), (4, 0.2))]
    simulated = Simulated(reports)
    assert simulated.best_over_time("loss", "min") == [(1, 0.5), (4, 0.2)]
    assert simulated.best_over_time("loss", "max") == [(1, 0.5), (2, 0.6)]
    assert simulated.seconds_until("loss", "min", 0.2) == 4
    assert simulated.seconds_until("loss", "min", 0.1) is None


def test_the_experiment_hears_the_time() -> None:
    simulated = simulate(experiment(stopper=TimeoutStopper(10)), nine, 1)
    assert simulated.seconds == pytest.approx(10.7), "the trial that had just been let go on is interrupted"
    late = experiment(time_budget_s=10.5)
    assert simulate(late, nine, 1).seconds == pytest.approx(11)
    assert late.closed is not None
    assert late.closed.why is CloseReason.TIME_BUDGET


def test_long_reports_are_interrupted_when_the_budget_is_used_up() -> None:
    slow = simulate(experiment(time_budget_s=10.5), lambda config: Curve([{"score": 1}], 100.0), 1)
    assert slow.seconds == pytest.approx(11.2)
    assert slow.reports == []


def test_a_view_can_listen() -> None:
    view = View("score", "max")
    simulated = simulate(experiment(HyperBandScheduler(max_t=9)), nine, 3, listen=view.fold)
    assert view.closed is not None
    assert view.number == simulated.handled
    assert sum(len(trial.history) for trial in view.trials.values()) == len(simulated.reports)


def test_an_experiment_that_would_wait_for_ever_is_a_bug() -> None:
    class Idle(Experiment):
        def handle(self, event: Event, now: float, recorded: object = None) -> list[Action]:
            return []

    with pytest.raises(InternalError, match="waits for nothing"):
        simulate(Idle(experiment().config), nine, 1)


def test_a_tune_config_may_be_simulated_again_and_again() -> None:
    scheduler = ASHAScheduler(max_t=9, reduction_factor=3)
    config = TuneConfig(metric="score", mode="max", num_samples=20, scheduler=scheduler, seed=3)
    first, second = (simulate(config, nine, 2, param_space={"x": uniform(0, 1)}) for _ in range(2))
    assert first.reports == second.reports
    assert first.work < 150
    assert scheduler.rungs()[0].values == {}, "the scheduler that was given has seen nothing"


def test_a_tune_configs_other_wishes_count_too() -> None:
    config = TuneConfig(metric="score", mode="max", num_samples=20, max_concurrent_trials=1, time_budget_s=30)
    assert len(simulate(config, nine, 9, param_space={"x": uniform(0, 1)}).reports) == 30
    three = TuneConfig(metric="score", mode="max", num_samples=3)
    short = simulate(three, nine, 9, param_space={"x": 1}, stop={"training_iteration": 2})
    assert [trial.iteration for trial in short.trials.values()] == [2, 2, 2]


def test_bad_calls_are_refused() -> None:
    with pytest.raises(UsageError, match=r"simulate\(\) got workers=0; type how many trials run at once"):
        simulate(experiment(), nine, 0)
    with pytest.raises(UsageError, match="leave param_space= and stop= out"):
        simulate(experiment(), nine, 1, stop={"score": 1})
