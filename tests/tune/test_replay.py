from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nbray.tune.configs import RunConfig, TuneConfig
from nbray.tune.events import Entry, Slots
from nbray.tune.experiment import Experiment
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.journal_lines import EntryReader, EntryWriter, body_of
from nbray.tune.plan import Plan
from nbray.tune.replay import replay, resume
from nbray.tune.retention import Retention
from nbray.tune.schedulers import ASHAScheduler, FIFOScheduler, HyperBandScheduler, TrialScheduler
from nbray.tune.schedulers.scheduler import Decision, Resumption
from nbray.tune.search.random_search import RandomSearch
from nbray.tune.search.searcher import Exhausted, Searcher
from nbray.tune.spaces import uniform
from nbray.tune.stoppers import stopper_of
from nbray.tune.trial import Trial
from tests.tune.random_play import played
from tests.tune.stage import ListSearcher, ScriptedScheduler, Stage, picture

SCHEDULERS: dict[str, Callable[[], TrialScheduler]] = {
    "fifo": FIFOScheduler,
    "asha": lambda: ASHAScheduler(max_t=9, reduction_factor=3),
    "promote": lambda: ASHAScheduler(max_t=9, reduction_factor=3, type="promote"),
    "hyperband": lambda: HyperBandScheduler(max_t=9, reduction_factor=3),
}


def stage_with(scheduler: Callable[[], TrialScheduler]) -> Callable[[], Stage]:
    return lambda: Stage(
        RandomSearch(), scheduler(), stopper_of({"training_iteration": 12}), space={"x": uniform(0, 1)}, num_samples=15,
        max_failures=1, max_concurrent=4, keep=Retention(num_to_keep=1),
    )  # fmt: skip


def fresh(stage: Callable[[], Stage]) -> Experiment:
    return stage().experiment


def through_the_disk(entries: list[Entry]) -> list[Entry]:
    writer, reader = EntryWriter(), EntryReader()
    bodies = [body_of(writer.line(entry)) for entry in entries]
    return [reader.entry(body) for body in bodies if body is not None]


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_promises_are_kept_and_a_replay_leads_to_the_same(name: str, seed: int) -> None:
    stage = played(stage_with(SCHEDULERS[name]), seed)
    again = fresh(stage_with(SCHEDULERS[name]))
    assert replay(through_the_disk(stage.entries), again) == []
    assert picture(again) == stage.picture()


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_replay_of_any_beginning_leads_to_where_it_was_then(name: str) -> None:
    stage = stage_with(SCHEDULERS[name])()
    pictures = []
    tell = stage.tell

    def tell_and_look(*arguments: Any, **more: Any) -> Any:
        actions = tell(*arguments, **more)
        pictures.append(repr(stage.picture()))
        return actions

    stage.tell = tell_and_look  # type: ignore[method-assign]
    played(lambda: stage, seed=99, events=60, crashes=False)
    for end in range(0, len(stage.entries), 3):
        again = fresh(stage_with(SCHEDULERS[name]))
        assert replay(stage.entries[: end + 1], again) == []
        assert repr(picture(again)) == pictures[end]


def test_the_replayed_goes_on_as_the_first_would() -> None:
    make = stage_with(SCHEDULERS["promote"])
    stage = played(make, seed=4, crashes=False)
    for cut in range(5, len(stage.entries), 17):
        again = fresh(make)
        replay(stage.entries[:cut], again)
        for entry in stage.entries[cut:]:
            assert again.handle(entry.event, entry.now) == entry.actions


class Moody(TrialScheduler):
    """Decides by lots that fall differently in each process, as a scheduler must not."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._chance = random.Random(seed)
        self._paused: list[str] = []

    def on_trial_result(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        decision = self._chance.choice([Decision.CONTINUE, Decision.CONTINUE, Decision.PAUSE, Decision.STOP])
        if decision is Decision.PAUSE:
            self._paused.append(trial.trial_id)
        return decision

    def choose_trial_to_run(self) -> Resumption | None:
        if self._paused and self._chance.random() < 0.5:
            return Resumption(self._paused.pop(0))
        return None

    def take_dropped(self) -> list[str]:
        return [self._paused.pop()] if self._paused and self._chance.random() < 0.1 else []


class Whimsical(Searcher):
    """Suggests other values in each process."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._chance = random.Random(seed)
        self.given: dict[str, Any] = {}

    def set_search_properties(
        self, metric: str | None, mode: str | None, space: Mapping[str, Any], num_samples: int, seed: int
    ) -> None:
        self.metric, self.mode = metric, mode

    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        return {"x": self._chance.random()} if self._chance.random() < 0.8 else None

    def on_trial_given(self, trial_id: str, config: Mapping[str, Any]) -> None:
        self.given[trial_id] = config["x"]


def test_a_trial_that_the_scheduler_gave_up_then_is_given_up_in_a_replay() -> None:
    def pausing() -> ScriptedScheduler:
        return ScriptedScheduler({("00000", 1): Decision.PAUSE})

    first = Stage(ListSearcher([1, 2]), scheduler := pausing(), slots=1)
    first.report("00000", checkpoint="c1")
    first.obey("00000")
    scheduler.drop.append("00000")
    first.report("00001")
    again = Stage(ListSearcher([1, 2]), pausing()).experiment
    assert replay(first.entries, again) == ["entry 4: trial 00000 was given up then, and would not be now"]
    assert first.states() == {trial_id: str(trial.state) for trial_id, trial in again.trials.items()}


@pytest.mark.parametrize("seed", range(10))
def test_what_the_journal_says_goes_before_what_is_decided_now(seed: int) -> None:
    def moody(mood: int) -> Callable[[], Stage]:
        return lambda: Stage(Whimsical(mood), Moody(mood), num_samples=20, max_failures=1)

    stage = played(moody(1), seed)
    again = fresh(moody(2))
    differences = replay(stage.entries, again)
    assert differences != []
    assert [repr(each) for each in again.trials.values()] == [repr(each) for each in stage.trials.values()]
    assert [trial.config for trial in again.trials.values()] == [trial.config for trial in stage.trials.values()]
    assert again.closed == stage.experiment.closed


def test_differences_are_sentences_and_the_searcher_is_told_what_was_tried() -> None:
    first = Stage(Whimsical(1), FIFOScheduler(), num_samples=1, slots=1)
    searcher = Whimsical(3)
    again = Experiment(ExperimentConfig(searcher, FIFOScheduler(), metric="loss", mode="min", num_samples=1))
    (difference,) = replay(first.entries, again)
    assert difference.startswith("entry 1: trial 00000, run 1: {'x': 0.84")
    assert searcher.given == {"00000": first.trials["00000"].config["x"]}


def test_resume_makes_the_experiment_of_a_plan(tmp_path: Path) -> None:
    def plan() -> Plan:
        tune = TuneConfig(metric="loss", mode="min", search_alg=RandomSearch(), scheduler=FIFOScheduler(), num_samples=3, seed=5)
        return Plan("trees", str(tmp_path), len, {"x": uniform(0, 1)}, tune, RunConfig(stop=stopper_of(None)))

    first = Experiment.of(plan())
    entries = [Entry(1, 0.0, Slots(2), first.handle(Slots(2), 0.0))]
    again, differences = resume(plan(), entries)
    assert differences == []
    assert picture(again) == picture(first)
