from __future__ import annotations

import math
from typing import Any

from nbray.tune.events import Start
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.judge import Judge, Verdict
from nbray.tune.stoppers import stopper_of
from nbray.tune.trial import Trial, TrialState
from tests.tune.stage import CONTINUE, PAUSE, STOP, ListSearcher, ScriptedScheduler


def reported(trial: Trial, **metrics: Any) -> Any:
    return trial.take_report(metrics or {"loss": 1.0}, 1.0)


def begun(trial_id: str = "00000") -> Trial:
    trial = Trial(trial_id, {})
    trial.begin(1, 0, 0.0)
    return trial


def judge_of(scheduler: ScriptedScheduler | None = None, **options: Any) -> Judge:
    return Judge(ExperimentConfig(ListSearcher(), scheduler or ScriptedScheduler(), **options), "loss")


def test_the_stopper_goes_before_nan_and_nan_before_the_scheduler() -> None:
    scheduler = ScriptedScheduler({("00000", 1): STOP})
    trial, nan = begun(), {"loss": math.nan}
    both = judge_of(scheduler, stopper=stopper_of({"training_iteration": 1}), stop_on_nan=True)
    assert both.judge(trial, reported(trial, **nan), True) == Verdict(
        STOP, "training_iteration 1 has reached the 1 of stop=", done=True
    )
    trial = begun()
    assert judge_of(scheduler, stop_on_nan=True).judge(trial, reported(trial, **nan), True) == Verdict(STOP, "loss is NaN")
    assert scheduler.heard == []
    trial = begun()
    assert judge_of(scheduler).judge(trial, reported(trial, **nan), True).why == "stopped by ScriptedScheduler after report 1"


class Talkative(ScriptedScheduler):
    def on_trial_result(self, trial: Trial, result: Any) -> Any:
        decision = super().on_trial_result(trial, result)
        if trial.iteration == 1:
            self.reason = "too slow"
        return decision


def test_a_scheduler_may_have_its_reason_but_only_for_the_decision_in_hand() -> None:
    judge, trial = judge_of(Talkative({("00000", 1): PAUSE, ("00000", 2): STOP})), begun()
    assert judge.judge(trial, reported(trial), True) == Verdict(PAUSE, "too slow")
    assert judge.judge(trial, reported(trial), True).why == "stopped by Talkative after report 2"


def test_a_report_that_is_repeated_is_not_shown_again() -> None:
    scheduler = ScriptedScheduler({("00000", 2): STOP})
    judge, trial = judge_of(scheduler), begun()
    judge.judge(trial, reported(trial), True)
    trial.iteration = 0
    reported(trial)
    assert judge.is_repeated(trial)
    assert judge.judge(trial, {}, True) == Verdict(CONTINUE)
    reported(trial)
    assert not judge.is_repeated(trial)
    assert judge.judge(trial, {"training_iteration": 2}, True).decision is STOP
    assert scheduler.heard == [("result", "00000", 1), ("result", "00000", 2)]


def test_a_pause_is_said_again_to_a_run_that_comes_there_again_but_not_to_one_that_was_resumed() -> None:
    judge, trial = judge_of(ScriptedScheduler({("00000", 1): PAUSE})), begun()
    assert judge.judge(trial, reported(trial), True).decision is PAUSE
    trial.iteration = 0
    reported(trial)
    assert judge.judge(trial, {}, True) == Verdict(PAUSE, "paused, as before it was lost")
    trial.state = TrialState.PAUSED
    judge.starts(trial, Start("00000", 2, {}))
    trial.iteration = 0
    reported(trial)
    assert judge.judge(trial, {}, True).decision is CONTINUE


def test_after_another_trials_checkpoint_nothing_was_seen() -> None:
    scheduler = ScriptedScheduler()
    judge, trial = judge_of(scheduler), begun()
    for _ in range(4):
        judge.judge(trial, reported(trial), True)
    judge.starts(trial, Start("00000", 2, {}, "another's", 2))
    trial.iteration = 2
    judge.judge(trial, reported(trial), True)
    assert scheduler.heard[-1] == ("result", "00000", 3)


def test_what_was_reported_names_the_nearest_first_as_what_to_type() -> None:
    judge, trial = judge_of(), begun()
    assert judge.what_was_reported() == (
        "no trial has reported 'loss', or anything else: return {'loss': ...} from the function, or "
        "call tune.report({'loss': ...}) in it"
    )
    judge.note(reported(trial, accuracy=1, los=2))
    assert not judge.metric_seen
    assert judge.what_was_reported() == (
        "no trial has reported 'loss'; there is 'accuracy', 'los'. Type metric='los', or report 'loss'"
    )
    judge.note({"loss": 1.0})
    assert judge.metric_seen


def test_a_metric_may_lie_within_a_dict() -> None:
    judge = Judge(ExperimentConfig(ListSearcher(), ScriptedScheduler()), "eval/loss")
    judge.note({"eval": {"los": 1}})
    assert "there is 'eval/los'. Type metric='eval/los'" in judge.what_was_reported()
    judge.note({"eval": {"loss": 1}})
    assert judge.metric_seen


def test_without_a_metric_none_is_missed() -> None:
    judge = Judge(ExperimentConfig(ListSearcher(), ScriptedScheduler()), None)
    assert judge.metric_seen


def test_what_a_function_returned_is_seen_by_the_stopper_once() -> None:
    stopper = stopper_of({"loss": 5.0})
    judge, trial = judge_of(stopper=stopper), begun()
    judge.saw_last(trial, reported(trial, loss=1.0))
    assert stopper.unseen() == []
