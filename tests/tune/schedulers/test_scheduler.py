"""What holds for every scheduler, whatever happens to its trials."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from nbray.tune import schedulers
from nbray.tune.events import CloseReason, Slots
from nbray.tune.experiment import Experiment
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.replay import replay
from nbray.tune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)
from nbray.tune.search.concurrency_limiter import ConcurrencyLimiter
from nbray.tune.search.random_search import RandomSearch
from nbray.tune.search.searcher import Searcher
from nbray.tune.spaces import uniform
from nbray.tune.trial import Trial, TrialState
from tests.tune.stage import Stage, picture

LONGEST = 12
"""Reports that a trial makes if nobody stops it."""
TIME: dict[str, Any] = {"time_attr": "training_iteration"}
POPULATION: dict[str, Any] = {**TIME, "perturbation_interval": 2, "hyperparam_mutations": {"x": uniform(0, 1), "y": [1, 2, 3]}}
MAKERS: dict[str, Callable[[], TrialScheduler]] = {
    "fifo": FIFOScheduler,
    "stop": lambda: ASHAScheduler(max_t=9, reduction_factor=2, brackets=2, verbose=2),
    "stop on": lambda: ASHAScheduler(max_t=9, reduction_factor=3, stop_last_trials=False),
    "promote": lambda: ASHAScheduler(max_t=9, reduction_factor=2, brackets=2, type="promote", verbose=2),
    "hyperband": lambda: HyperBandScheduler(max_t=9, reduction_factor=2, verbose=1),
    "median": lambda: MedianStoppingRule(**TIME, grace_period=1, min_samples_required=2),
    "soft median": lambda: MedianStoppingRule(**TIME, grace_period=1, min_samples_required=2, hard_stop=False, min_time_slice=1),
    "pbt": lambda: PopulationBasedTraining(**POPULATION),
    "pbt together": lambda: PopulationBasedTraining(**POPULATION, synch=True),
}


class Weather:
    """Happenings, drawn from a seed, to an experiment's trials."""

    def __init__(self, stage: Stage, seed: int, checkpoints: bool) -> None:
        self.stage = stage
        self.lots = random.Random(seed)
        self.checkpoints = checkpoints

    def strike(self) -> None:
        """One thing happens that might happen any day."""
        lot = self.lots.random()
        unfinished = [trial for trial in self.stage.trials.values() if not trial.ended]
        if lot < 0.04:
            self.stage.tell(Slots(self.lots.randint(0, 5)))
        elif lot < 0.12 and unfinished:
            what = self.lots.choice(["pause", "resume", "resume", "stop"])
            self.stage.ask(what, self.lots.choice(unfinished).trial_id)
        elif lot < 0.14:
            self.stage.add(self.lots.random())
        else:
            self.work(failing=0.03)

    def work(self, failing: float = 0.0) -> None:
        """A trial at work does what it has to do next."""
        at_work = [trial for trial in self.stage.trials.values() if trial.at_work]
        if not at_work:
            self.stage.tick()
            return
        trial = self.lots.choice(at_work)
        if self.lots.random() < failing:
            self.stage.fail(trial.trial_id)
        elif trial.state is not TrialState.RUNNING or trial.iteration >= LONGEST:
            self.stage.end(trial.trial_id, obeyed=trial.iteration < LONGEST, checkpoint=self.checkpoint(trial))
        else:
            self.report(trial)

    def report(self, trial: Trial) -> None:
        value = self.lots.choice([trial.iteration * self.lots.random(), 1.0, math.nan])
        self.stage.report(trial.trial_id, loss=value, resumable=self.checkpoints)

    def checkpoint(self, trial: Trial) -> str | None:
        return f"{trial.trial_id}/{trial.iteration}" if self.checkpoints else None


def searcher(limited: bool) -> Searcher:
    return ConcurrencyLimiter(RandomSearch(), max_concurrent=2) if limited else RandomSearch()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limited", [False, True], ids=["free", "limited"])
@pytest.mark.parametrize("checkpoints", [True, False], ids=["checkpoints", "none"])
@pytest.mark.parametrize("name", MAKERS)
def test_every_experiment_ends_and_can_be_replayed(name: str, checkpoints: bool, limited: bool, seed: int) -> None:
    options: dict[str, Any] = {"num_samples": 9, "space": {"x": uniform(0, 1), "y": 2}, "seed": seed, "max_failures": 2}
    stage = Stage(searcher(limited), MAKERS[name](), slots=3, **options)
    weather = Weather(stage, seed, checkpoints)
    for _ in range(120):
        weather.strike()
    stage.tell(Slots(2))
    stage.ask("resume")
    for _ in range(600):
        if stage.experiment.closed is not None:
            break
        weather.work()
    assert stage.experiment.closed is not None, stage.trials
    assert stage.experiment.closed.why is CloseReason.DONE, stage.experiment.closed.text
    again = Experiment(ExperimentConfig(searcher(limited), MAKERS[name](), metric="loss", mode="min", **options))
    assert replay(stage.entries, again) == []
    assert repr(picture(again)) == repr(stage.picture())


@pytest.mark.parametrize("name", MAKERS)
def test_whoever_decides_says_whether_it_needs_checkpoints_and_a_metric(name: str) -> None:
    scheduler = MAKERS[name]()
    assert scheduler.needs_metric == (name != "fifo")
    assert scheduler.needs_checkpoints == (name in ("promote", "hyperband", "soft median", "pbt", "pbt together"))
    assert type(scheduler).__name__ in repr(scheduler)


@pytest.mark.parametrize("name", MAKERS)
def test_its_own_metric_and_mode_go_with_the_experiments(name: str) -> None:
    scheduler = MAKERS[name]()
    scheduler.metric, scheduler.mode = "loss", "min"
    scheduler.set_search_properties(None, None)
    scheduler.set_search_properties("loss", "min", seed=3)
    assert (scheduler.metric, scheduler.mode) == ("loss", "min")


def test_every_public_name_is_found_when_it_is_asked_for() -> None:
    for name in schedulers.__all__:
        assert getattr(schedulers, name).__module__.startswith("nbray.tune.schedulers.")
    assert set(schedulers.__all__) <= set(dir(schedulers))
    with pytest.raises(AttributeError, match="no attribute 'ASHA'"):
        schedulers.__getattr__("ASHA")
