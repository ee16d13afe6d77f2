from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from nbray.errors import UsageError
from nbray.tune.schedulers import ASHAScheduler, AsyncHyperBandScheduler, Decision, Rung
from nbray.tune.scores import DEFAULT_METRIC
from nbray.tune.trial import TrialState
from tests.tune.schedulers.crowd import Crowd

CONTINUE, PAUSE, STOP = Decision.CONTINUE, Decision.PAUSE, Decision.STOP


def crowd(mode: str = "max", **options: Any) -> Crowd:
    return Crowd(ASHAScheduler(**{"max_t": 27, "reduction_factor": 3, **options}), mode)


def test_a_trial_below_the_cutoff_of_those_before_it_ends() -> None:
    trials = crowd()
    assert trials.report("a", 1, 0.5) is CONTINUE, "the first at a rung goes on"
    assert trials.report("b", 1, 0.4) is STOP
    assert trials.report("c", 1, 0.466) is STOP, "the cutoff lies at two thirds of the way from 0.4 to 0.5"
    assert trials.report("d", 1, 0.7) is CONTINUE
    assert trials.report("e", 1, 0.5) is CONTINUE, "equal to the cutoff is enough"


def test_between_rungs_nothing_ends() -> None:
    trials = crowd()
    trials.report("a", 1, 0.9)
    trials.report("b", 1, 0.9)
    assert trials.report("b", 2, 0.0) is CONTINUE
    assert trials.report("a", 3, 0.9) is CONTINUE
    assert trials.report("b", 3, 0.1) is STOP


def test_small_is_good_if_the_mode_says_so() -> None:
    trials = crowd(mode="min")
    assert trials.report("a", 1, 0.5) is CONTINUE
    assert trials.report("b", 1, 0.6) is STOP
    assert trials.report("c", 1, 0.4) is CONTINUE
    assert trials.scheduler.rungs()[0].cutoff == pytest.approx(0.5 - (0.1 / 3))


def test_max_t_ends_a_trial_unless_it_shall_not() -> None:
    trials = crowd()
    trials.report("a", 1, 0.5)
    assert trials.report("a", 27, 0.5) is STOP
    trials = crowd(stop_last_trials=False)
    trials.report("a", 1, 0.5)
    assert trials.report("a", 27, 0.5) is CONTINUE
    assert trials.report("a", 99, 0.5) is CONTINUE
    trials.report("b", 1, 0.9)
    assert trials.report("b", 27, 0.4) is STOP, "the last rung judges then"


def test_what_is_missing_or_nan_stops_nobody() -> None:
    trials = crowd()
    trials.report("a", 1, 0.5)
    assert trials.report("b", 1) is CONTINUE
    assert trials.report("c", 1, math.nan) is CONTINUE
    assert trials.scheduler.rungs()[0].cutoff == 0.5


def test_nobody_ends_before_the_grace_period() -> None:
    trials = crowd(grace_period=9)
    assert [trials.report(name, t, 1 / t) for name in "ab" for t in range(1, 9)] == [CONTINUE] * 16
    assert trials.report("a", 9, 0.5) is CONTINUE
    assert trials.report("b", 9, 0.4) is STOP


def test_a_trial_that_returns_is_counted_at_the_rung_it_reached() -> None:
    trials = crowd()
    trials.report("a", 1, 0.5)
    trials.trials["a"].last_result = {"training_iteration": 3, "score": 0.8}
    trials.complete("a")
    trials.report("b", 1, 0.6)
    assert trials.report("b", 3, 0.7) is STOP


def test_time_attr_may_be_any_figure() -> None:
    trials = crowd(time_attr="score", max_t=10)
    assert trials.report("a", 1, 9) is CONTINUE
    assert trials.report("a", 2, 10) is STOP


def test_brackets_are_drawn_by_the_seed() -> None:
    def drawn(seed: int) -> list[int]:
        scheduler = ASHAScheduler(max_t=27, reduction_factor=3, brackets=3)
        trials = Crowd(scheduler, seed=seed)
        for number in range(300):
            trials.report(f"t{number}", 27, 0.5)
        of = {trial: rung.bracket for rung in scheduler.rungs() for trial in rung.values}
        return [of[f"t{number}"] for number in range(300)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert [count for _, count in sorted(Counter(drawn(1)).items())] == pytest.approx([200, 73, 27], abs=25), "e to the rungs"


def test_promotion_pauses_and_resumes_as_in_the_paper() -> None:
    trials = crowd(type="promote")
    assert [trials.report(name, 1, value) for name, value in (("a", 0.3), ("b", 0.5))] == [PAUSE, PAUSE]
    assert trials.resume() is None, "one third of two is none"
    assert trials.report("c", 1, 0.4) is PAUSE
    resumed = trials.resume()
    assert resumed is not None
    assert resumed.trial_id == "b"
    assert resumed.config is None
    assert trials.resume() is None
    assert trials.report("b", 2, 0.1) is CONTINUE
    assert trials.report("b", 3, 0.6) is PAUSE
    assert trials.report("d", 1, 0.9) is CONTINUE, "it is the best third itself"
    assert trials.report("e", 1, 0.35) is PAUSE
    assert trials.resume() is None, "b and d are the two best already, and of five only one goes on"


def test_the_highest_rung_goes_first() -> None:
    trials = crowd(type="promote", max_t=9)
    assert [trials.report(name, 1, value) for name, value in (("a", 0.1), ("b", 0.2), ("c", 0.3))] == [PAUSE, PAUSE, CONTINUE]
    assert trials.report("c", 3, 0.3) is PAUSE
    for number, value in enumerate((0.25, 0.28)):
        trials.report(f"x{number}", 1, value)
    assert trials.report("y", 1, 0.6) is CONTINUE
    assert trials.report("y", 3, 0.2) is PAUSE
    for number in range(5):
        trials.report(f"z{number}", 1, 0.0)
    assert trials.report("w", 1, 0.7) is CONTINUE
    assert trials.report("w", 3, 0.1) is PAUSE
    names = [resumed.trial_id for resumed in iter(trials.resume, None)]
    assert names == ["c", "x1"], "c is the best of three at 3; of twelve at 1 four may go on, and x1 is the fourth"


def test_who_is_promoted_to_the_last_rung_runs_to_the_end() -> None:
    trials = crowd(type="promote", max_t=10)
    for number in range(9):
        if trials.report(f"t{number}", 1, number) is CONTINUE:
            trials.report(f"t{number}", 3, number)
    assert trials.trials["t8"].state is TrialState.RUNNING
    assert trials.report("t8", 9, 8) is CONTINUE, "alone on its rung, it would be no third of anything"
    assert trials.report("t8", 10, 8) is STOP


def test_a_single_rung_judges() -> None:
    trials = crowd(type="promote", max_t=10, grace_period=5)
    assert [trials.report(name, 5, value) for name, value in (("a", 0.3), ("b", 0.5), ("c", 0.4))] == [PAUSE] * 3
    assert trials.resume() is not None


def test_a_trial_runs_on_only_when_its_run_has_ended() -> None:
    trials = crowd(type="promote", reduction_factor=2)
    trials.report("a", 1, 0.5)
    trials.trials["a"].state = TrialState.PAUSING
    trials.report("b", 1, 0.4)
    assert trials.resume() is None
    trials.trials["a"].state = TrialState.PAUSED
    resumed = trials.resume()
    assert resumed is not None
    assert resumed.trial_id == "a"


def test_what_was_stopped_by_others_is_not_resumed() -> None:
    trials = crowd(type="promote", reduction_factor=2)
    trials.report("a", 1, 0.5)
    trials.scheduler.on_trial_remove(trials.trials["a"])
    trials.report("b", 1, 0.4)
    assert trials.resume() is None


def test_in_a_stall_the_worst_is_given_up_one_at_a_time() -> None:
    trials = crowd(type="promote")
    trials.report("a", 1, 0.5)
    trials.report("b", 1, math.nan)
    assert trials.drop() == []
    trials.scheduler.on_stall()
    assert trials.drop() == ["b"]
    trials.scheduler.on_stall()
    assert trials.drop() == ["a"]
    trials.scheduler.on_stall()
    assert trials.drop() == []


def test_a_trial_that_cannot_pause_is_judged_by_the_stop_form() -> None:
    trials = crowd(type="promote")
    scheduler = trials.scheduler
    for name, value, expected in (("a", 0.5, CONTINUE), ("b", 0.4, STOP), ("c", 0.6, CONTINUE), ("d", 0.1, STOP)):
        decision = trials.report(name, 1, value)
        if decision is PAUSE:
            decision = scheduler.on_cannot_pause(trials.trials[name], {"training_iteration": 1, "score": value})
        assert decision is expected
    assert trials.resume() is None
    assert scheduler.take_lines() == ['ASHA: a writes no checkpoints and cannot pause; it is judged as by type="stop"']
    assert scheduler.rungs()[0].went_on == {"a", "c"}


def test_a_trial_that_cannot_pause_is_compared_with_the_others_alone_and_waits_nowhere() -> None:
    trials = crowd(type="promote", reduction_factor=2)
    assert trials.report("a", 1, 0.5) is PAUSE
    assert trials.report("b", 1, 0.1) is PAUSE
    assert trials.report("c", 1, 0.25) is PAUSE
    assert trials.scheduler.on_cannot_pause(trials.trials["c"], {}) is STOP, "0.3 is in the middle of 0.5 and 0.1"
    assert trials.report("d", 1, 0.05) is PAUSE
    trials.report("e", 1, 0.01)
    trials.report("f", 1, 0.0)
    assert [each.trial_id for each in iter(trials.resume, None)] == ["a", "b"], "c would be the second best of six"


def test_its_lines_say_what_it_decided_and_why() -> None:
    trials = crowd(mode="min", verbose=2)
    trials.report("a", 1, 0.5)
    trials.report("b", 1, 0.75)
    assert trials.scheduler.take_lines() == [
        "ASHA: a has score 0.5 at training_iteration 1 and goes on",
        "ASHA: b has score 0.75 at training_iteration 1 and ends: 0.5 was needed after 1 trials",
    ]
    assert trials.scheduler.take_lines() == []
    quiet = crowd()
    quiet.report("a", 1, 0.5)
    quiet.report("b", 1, 0.4)
    assert quiet.scheduler.take_lines() == []


def test_promotion_speaks_too() -> None:
    trials = crowd(type="promote", verbose=1, reduction_factor=2)
    trials.report("a", 1, 0.5)
    trials.report("b", 1, 0.4)
    trials.resume()
    assert trials.scheduler.take_lines() == [
        "ASHA: a has score 0.5 at training_iteration 1 and pauses: 0 of 1 go on",
        "ASHA: b has score 0.4 at training_iteration 1 and pauses: 1 of 2 go on",
        "ASHA: a runs on past 1: it is among the best 1 of 2",
    ]


def test_the_rungs_can_be_looked_at() -> None:
    trials = crowd(brackets=1)
    trials.report("a", 1, 0.5)
    trials.report("b", 1, 0.4)
    first, second, *_ = trials.scheduler.rungs()
    assert first == Rung(0, 1, {"a": 0.5, "b": 0.4}, frozenset({"a"}), 0.4 + (0.5 - 0.4) * (2 / 3))
    assert second == Rung(0, 3, {}, frozenset(), None)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_t": 5, "grace_period": 10}, "ASHAScheduler got max_t=5, which is less than grace_period=10"),
        ({"reduction_factor": 1}, "ASHAScheduler got reduction_factor=1"),
        ({"brackets": 0}, "ASHAScheduler got brackets=0; type how many"),
        ({"type": "halt"}, 'got type=\'halt\'; type="stop" ends poor trials'),
        ({"mode": "best"}, "ASHAScheduler got mode='best'"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        ASHAScheduler(**options)


def test_metric_and_mode_come_from_one_place() -> None:
    scheduler = ASHAScheduler(metric="loss", mode="min")
    scheduler.set_search_properties("loss", "min")
    with pytest.raises(UsageError, match=r"ASHAScheduler has metric='loss' and the experiment .* has metric='accuracy'"):
        scheduler.set_search_properties("accuracy", "min")
    with pytest.raises(UsageError, match='ASHAScheduler compares trials and got mode=None; type mode="max"'):
        ASHAScheduler().set_search_properties("loss", None)
    unnamed = ASHAScheduler(mode="max")
    unnamed.set_search_properties(None, None)
    assert unnamed.metric == DEFAULT_METRIC


def test_ray_has_a_second_name_for_it() -> None:
    assert AsyncHyperBandScheduler is ASHAScheduler
    assert repr(ASHAScheduler(max_t=9)).startswith("ASHAScheduler(type='stop'")


def test_the_reason_is_told_in_a_few_words() -> None:
    trials = crowd(mode="min")
    trials.report("a", 1, 0.5)
    trials.report("b", 1, 0.75)
    assert trials.scheduler.reason == "stopped at 1: 0.75, not 0.5"
    trials.report("a", 27, 0.25)
    assert trials.scheduler.reason == "reached max_t=27"
    trials = crowd(type="promote")
    trials.report("a", 1, 0.5)
    trials.report("b", 1, 0.25)
    assert trials.scheduler.reason == "paused at 1: 0.25; 0 of 2 go on"
