from __future__ import annotations

from typing import Any

import pytest

from nbray.tune.ending import Ending
from nbray.tune.events import Close, CloseReason, Closing, Interrupt, Moved, Start
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.ledger import Ledger
from nbray.tune.recorded import Recorded
from nbray.tune.trial import Trial, TrialState
from tests.tune.stage import ListSearcher, ScriptedScheduler


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger(ExperimentConfig(ListSearcher(), ScriptedScheduler()))
    for number in range(3):
        ledger.born(ledger.draft({"x": number}))
    for trial in list(ledger.trials.values())[:2]:
        ledger.begin(trial, Start(trial.trial_id, 1, trial.config))
    ledger.actions = []
    return ledger


def ended(ledger: Ledger) -> None:
    for trial_id in list(ledger.working):
        ledger.finish(ledger.trials[trial_id], TrialState.TERMINATED, "")


def test_the_first_reason_counts(ledger: Ledger) -> None:
    ending = Ending(ledger)
    ending.want(CloseReason.TIME_BUDGET, "60 s")
    ending.want(CloseReason.STOPPED, "by hand")
    assert ledger.actions == [
        Closing(CloseReason.TIME_BUDGET, "60 s"), Moved("00000", "STOPPING", "60 s"), Moved("00001", "STOPPING", "60 s"),
        Moved("00002", "TERMINATED", "60 s"),
    ]  # fmt: skip
    ending.close_if_over()
    assert ending.closed is None
    ended(ledger)
    ending.close_if_over()
    assert ledger.actions[-1] == ending.closed == Close(CloseReason.TIME_BUDGET, "60 s")
    ending.close_if_over()
    assert sum(isinstance(action, Close) for action in ledger.actions) == 1


@pytest.mark.parametrize("why", list(CloseReason))
def test_what_waits_stays_only_if_it_can_be_restored(why: CloseReason, ledger: Ledger) -> None:
    ending = Ending(ledger)
    ending.want(why, "text")
    restorable = why in {CloseReason.STOPPED, CloseReason.INTERRUPTED, CloseReason.TRIAL_FAILED, CloseReason.ERROR}
    assert (ledger.trials["00002"].state is TrialState.PENDING) == restorable
    assert ending.spares(ledger.trials["00000"]) == restorable
    assert not ending.spares(Trial("x", {}, state=TrialState.STOPPING, why="stopped by its scheduler"))


def test_whoever_does_not_obey_in_time_is_interrupted_once(ledger: Ledger) -> None:
    ending = Ending(ledger)
    ledger.now = 10.0
    ending.stop_run(ledger.trials["00000"], "by hand", 5.0)
    assert ending.wakes_at() == 15.0
    ending.want(CloseReason.INTERRUPTED, "interrupted")
    assert ending.wakes_at() == 10.7, "the sooner of both, for each"
    ledger.finish(ledger.trials["00001"], TrialState.TERMINATED, "")
    interrupts: list[Any] = []
    for now in (10.6, 10.7, 16.0):
        ledger.now, ledger.actions = now, []
        ending.interrupt_late_ones()
        interrupts.append(ledger.actions)
    assert interrupts == [[], [Interrupt("00000")], []]
    assert ending.wakes_at() is None


def test_a_replay_ends_when_the_journal_does_and_for_its_reason(ledger: Ledger) -> None:
    ending = Ending(ledger)
    ending.recorded = Recorded([])
    ending.want(CloseReason.DONE, "all")
    assert ending.wanted is None
    assert ending.recorded.differences == ["the experiment would end now (DONE), and did not then"]
    ending.recorded = Recorded([Closing(CloseReason.STOPPER, "plateau")])
    ending.want(CloseReason.DONE, "all")
    assert ending.wanted == Closing(CloseReason.STOPPER, "plateau")
    assert ending.recorded.differences == ["the experiment ended then for another reason (STOPPER) than it would now (DONE)"]
    ending.reopen()
    ending.recorded = Recorded([Closing(CloseReason.STOPPER, "plateau")])
    ending.follow_the_journal()
    assert ending.wanted == Closing(CloseReason.STOPPER, "plateau")
    assert ending.recorded.differences == ["the experiment ended then (STOPPER), and would not now"]


def test_reopened_it_can_end_again(ledger: Ledger) -> None:
    ending = Ending(ledger)
    ending.want(CloseReason.INTERRUPTED, "interrupted")
    ended(ledger)
    ending.close_if_over()
    ending.reopen()
    assert (ending.wanted, ending.closed, ending.wakes_at()) == (None, None, None)
