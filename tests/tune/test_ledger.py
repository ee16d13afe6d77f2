from __future__ import annotations

import pytest

from nbray.tune.events import Moved, Say, Start
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.ledger import Ledger
from nbray.tune.retention import Retention
from nbray.tune.trial import TrialState
from tests.tune.stage import ListSearcher, ScriptedScheduler


class Scene:
    def __init__(self) -> None:
        self.searcher, self.scheduler = ListSearcher(), ScriptedScheduler()
        self.ledger = Ledger(ExperimentConfig(self.searcher, self.scheduler, keep=Retention(num_to_keep=1)))

    def begun(self) -> str:
        trial = self.ledger.draft({"x": 1})
        self.ledger.begin(trial, Start(trial.trial_id, 1, trial.config))
        self.ledger.actions = []
        return trial.trial_id


def test_trials_are_numbered_in_the_order_of_their_birth() -> None:
    ledger = Scene().ledger
    for _ in range(3):
        ledger.born(ledger.draft({}))
    assert list(ledger.trials) == ["00000", "00001", "00002"]
    assert ledger.draft({}).trial_id == "00003", "a draft takes no number"
    assert ledger.draft({}).trial_id == "00003"
    assert [trial.number for trial in ledger.trials.values()] == [0, 1, 2]
    assert list(ledger.unfinished) == ["00000", "00001", "00002"]
    assert ledger.working == {}


def test_who_begins_is_at_work_until_it_moves() -> None:
    scene = Scene()
    trial_id = scene.begun()
    trial = scene.ledger.trials[trial_id]
    assert scene.ledger.at_work(trial_id, 1) is trial
    assert scene.ledger.at_work(trial_id, 2) is None
    assert scene.ledger.at_work("nobody", 1) is None
    scene.ledger.move(trial, TrialState.STOPPING, "why")
    assert list(scene.ledger.working) == [trial_id]
    scene.ledger.finish(trial, TrialState.TERMINATED, "why")
    assert scene.ledger.working == scene.ledger.unfinished == {}
    assert scene.ledger.actions == [Moved(trial_id, "STOPPING", "why"), Moved(trial_id, "TERMINATED", "why")]


@pytest.mark.parametrize(
    ("state", "complete", "found_done", "scheduler", "searcher"),
    [
        (TrialState.TERMINATED, True, False, ("complete", "00000", None), ("complete", "00000", False)),
        (TrialState.TERMINATED, False, True, ("complete", "00000", None), ("complete", "00000", False)),
        (TrialState.TERMINATED, False, False, ("remove", "00000"), ("stopped", "00000")),
        (TrialState.ERROR, False, False, ("remove", "00000"), ("complete", "00000", True)),
    ],
)
def test_who_is_told_of_an_end(
    state: TrialState, complete: bool, found_done: bool, scheduler: tuple[object, ...], searcher: tuple[object, ...]
) -> None:
    scene = Scene()
    trial_id = scene.begun()
    if found_done:
        scene.ledger.found_done.add(trial_id)
    scene.ledger.finish(scene.ledger.trials[trial_id], state, "", complete)
    assert scene.scheduler.heard == [scheduler]
    assert scene.searcher.heard == [searcher]
    assert scene.ledger.found_done == set()


def test_of_a_trial_that_never_ran_the_scheduler_hears_nothing() -> None:
    scene = Scene()
    trial = scene.ledger.queue({"x": 5}, "added by hand")
    scene.ledger.finish(trial, TrialState.TERMINATED, "stopped by hand")
    assert scene.scheduler.heard == []
    assert scene.searcher.heard == [("given", "00000", {"x": 5}), ("stopped", "00000")]
    assert scene.ledger.agenda.next() is not None, "the searcher's next one"


def test_a_queued_trial_waits_with_its_checkpoint() -> None:
    scene = Scene()
    trial_id = scene.begun()
    trial = scene.ledger.trials[trial_id]
    scene.ledger.put_checkpoint(trial, "c1")
    clone = scene.ledger.queue({"x": 1}, "a clone", "c1")
    assert scene.ledger.actions == [Moved("00001", "PENDING", "a clone", {"x": 1}, "c1")]
    scene.ledger.put_checkpoint(trial, "c2")
    assert scene.ledger.shelf.take_superfluous() == []
    scene.ledger.finish(clone, TrialState.TERMINATED, "")
    assert scene.ledger.shelf.take_superfluous() == ["c1"]


@pytest.mark.parametrize("checkpoint", ["c1", None])
def test_what_a_failed_trial_would_run_on_from_stays_until_it_begins_anew(checkpoint: str | None) -> None:
    scene = Scene()
    donor = scene.ledger.trials[scene.begun()]
    scene.ledger.put_checkpoint(donor, "c1")
    taker = scene.ledger.queue({"x": 1}, "a clone", "c1")
    scene.ledger.begin(taker, Start(taker.trial_id, 1, {"x": 1}, "c1", 0))
    scene.ledger.finish(taker, TrialState.ERROR, "no")
    scene.ledger.put_checkpoint(donor, "c2")
    assert scene.ledger.shelf.take_superfluous() == []
    scene.ledger.revive(taker, checkpoint, "again")
    assert scene.ledger.shelf.take_superfluous() == ([] if checkpoint else ["c1"])


def test_what_is_said_is_said_once_and_what_is_told_each_time() -> None:
    ledger = Scene().ledger
    ledger.say("a")
    ledger.say("a")
    ledger.say("first", about="matter")
    ledger.say("second", about="matter")
    ledger.tell("b")
    ledger.tell("b")
    assert ledger.actions == [Say("a"), Say("first"), Say("b"), Say("b")]


def test_who_failed_is_revived_and_the_scheduler_knows_it_again() -> None:
    scene = Scene()
    trial_id = scene.begun()
    trial = scene.ledger.trials[trial_id]
    scene.ledger.put_checkpoint(trial, "c1")
    trial.failures, trial.error = 1, "no"
    scene.ledger.finish(trial, TrialState.ERROR, "no")
    scene.ledger.revive(trial, None, "begins anew")
    assert (trial.state, trial.checkpoint, trial.failures, trial.error) == (TrialState.PENDING, None, 0, "")
    assert scene.scheduler.heard == [("remove", trial_id), ("add", trial_id)]
    assert list(scene.ledger.unfinished) == [trial_id]
    turn = scene.ledger.agenda.next()
    assert turn is not None
    assert turn.trial_id == trial_id
