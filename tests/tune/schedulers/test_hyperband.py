from __future__ import annotations

import math
from typing import Any

import pytest

from nbray.errors import UsageError
from nbray.tune.schedulers import Decision, HyperBandForBOHB, HyperBandScheduler
from nbray.tune.schedulers.hyperband import Bracket
from tests.tune.schedulers.crowd import Crowd

CONTINUE, PAUSE, STOP = Decision.CONTINUE, Decision.PAUSE, Decision.STOP


def crowd(mode: str = "max", **options: Any) -> Crowd:
    return Crowd(HyperBandScheduler(**{"max_t": 4, "reduction_factor": 2, **options}), mode)


def resumed(trials: Crowd) -> list[str]:
    return [each.trial_id for each in iter(trials.resume, None)]


def test_a_round_is_the_papers() -> None:
    """The paper's table for R = 81 and eta = 3; it says 8 and 5 where 7.5 and 5 are rounded up."""
    plan = HyperBandScheduler(max_t=81, reduction_factor=3).plan()
    assert [size for size, _ in plan] == [81, 34, 15, 8, 5]
    assert [heights[0] for _, heights in plan] == [1, 3, 9, 27, 81]
    assert all(heights[-1] == 81 for _, heights in plan)


def test_a_max_t_that_is_no_power_is_reached_all_the_same() -> None:
    assert HyperBandScheduler(max_t=100, reduction_factor=10).plan()[0] == (100, [1, 10, 100])
    size, heights = HyperBandScheduler(max_t=10, reduction_factor=3).plan()[0]
    assert size == 9
    assert heights == pytest.approx([10 / 9, 10 / 3, 10])


def test_all_of_a_bracket_wait_and_the_best_go_on() -> None:
    trials = crowd()
    for name, value in (("a", 0.4), ("b", 0.3), ("c", 0.2)):
        assert trials.report(name, 1, value) is PAUSE
    assert resumed(trials) == []
    assert trials.report("d", 1, 0.5) is CONTINUE, "the last to arrive, and the best"
    assert resumed(trials) == ["a"]
    assert trials.drop() == ["b", "c"]
    assert trials.report("a", 2, 0.6) is PAUSE
    assert trials.scheduler.reason == "paused at 2, until all of its bracket are there"
    assert trials.report("d", 2, 0.5) is STOP
    assert trials.scheduler.reason == "stopped at 2: not among the 1 best of 2"
    assert resumed(trials) == ["a"]
    assert trials.report("a", 3, 0.6) is CONTINUE
    assert trials.report("a", 4, 0.6) is STOP


def test_small_is_good_if_the_mode_says_so() -> None:
    trials = crowd(mode="min", verbose=1)
    for name, value in (("a", 0.4), ("b", 0.3), ("c", 0.2), ("d", 0.5)):
        trials.report(name, 1, value)
    assert resumed(trials) == ["c", "b"]
    rung = trials.scheduler.rungs()[0]
    assert (rung.level, rung.cutoff) == (1, 0.3)
    assert rung.went_on == {"c", "b"}
    assert trials.scheduler.take_lines() == ["HyperBand: 2 of 4 run on past training_iteration 1: c, b"]


def test_the_next_bracket_takes_whom_the_first_has_no_room_for() -> None:
    trials = crowd()
    for name in "abcd":
        trials.add(name)
    for name, value in (("e", 0.1), ("f", 0.2), ("g", 0.3)):
        assert trials.report(name, 1, value) is CONTINUE, "the second bracket compares at 2 and 4"
    assert [trials.report(name, 2, 0.1) for name in "ef"] == [PAUSE, PAUSE]
    assert trials.report("g", 2, 0.3) is CONTINUE
    assert trials.report("h", 3, 0.1) is CONTINUE, "the third bracket lets its three run to the end"
    assert trials.report("h", 4, 0.1) is STOP
    assert [rung.bracket for rung in trials.scheduler.rungs()] == [0, 0, 0, 1, 1, 2]


def test_when_the_search_is_over_a_bracket_is_as_full_as_it_gets() -> None:
    trials = crowd()
    trials.report("a", 1, 0.4)
    trials.report("b", 1, 0.3)
    trials.add("c")
    trials.scheduler.on_search_finished()
    assert resumed(trials) == [], "c has not arrived"
    assert trials.report("c", 1, 0.1) is STOP
    assert resumed(trials) == ["a"]
    assert trials.drop() == ["b"]


def test_in_a_stall_those_who_wait_are_decided_about() -> None:
    trials = crowd()
    trials.add("held by a person")
    trials.report("a", 1, 0.4)
    trials.report("b", 1, 0.3)
    trials.scheduler.on_stall()
    assert resumed(trials) == ["a"]
    assert trials.drop() == ["b"]
    assert trials.report("held by a person", 1, 0.9) is CONTINUE, "it is compared at the next rung"
    assert trials.report("held by a person", 2, 0.9) is PAUSE
    assert trials.report("a", 2, 0.4) is STOP


def test_a_trial_that_ends_is_waited_for_no_longer() -> None:
    trials = crowd()
    for name in "abcd":
        trials.add(name)
    trials.report("a", 1, 0.4)
    trials.report("b", 1, 0.3)
    trials.complete("c")
    assert resumed(trials) == []
    trials.scheduler.on_trial_remove(trials.trials["d"])
    assert resumed(trials) == ["a"]
    assert trials.drop() == ["b"]


def test_a_trial_that_ended_while_it_waited_for_a_place_is_not_resumed() -> None:
    trials = crowd()
    for name in "abcd":
        trials.report(name, 1, ord(name))
    trials.scheduler.on_trial_remove(trials.trials["c"])
    assert resumed(trials) == []


def test_nan_is_last_and_a_missing_figure_is_no_arrival() -> None:
    trials = crowd()
    assert trials.report("a", 1, math.nan) is PAUSE
    assert trials.report("b", 1) is CONTINUE
    assert trials.report("b", 2, -9) is PAUSE
    assert trials.report("c", 1, -8) is PAUSE
    assert trials.report("d", 1, math.nan) is STOP
    assert resumed(trials) == ["c", "b"]
    assert trials.drop() == ["a"]


def test_a_trial_may_run_past_max_t_if_it_shall() -> None:
    trials = crowd(max_t=1, stop_last_trials=False)
    assert trials.report("a", 1, 0.5) is CONTINUE
    assert trials.report("a", 2, 0.5) is CONTINUE


def test_nobody_waits_for_one_that_has_passed_max_t_and_runs_on() -> None:
    trials = crowd(max_t=2, stop_last_trials=False)
    assert trials.report("a", 1, 0.5) is PAUSE
    assert trials.report("b", 3, 0.5) is CONTINUE
    trials.scheduler.on_search_finished()
    assert resumed(trials) == ["a"]


def test_trials_that_cannot_pause_are_judged_as_they_arrive() -> None:
    trials = crowd()
    scheduler = trials.scheduler

    def report(name: str, t: float, value: float) -> Decision:
        decision = trials.report(name, t, value)
        result = {"training_iteration": t, "score": value}
        return scheduler.on_cannot_pause(trials.trials[name], result) if decision is PAUSE else decision

    assert trials.report("p", 1, 0.3) is PAUSE
    assert trials.report("q", 1, 0.1) is PAUSE
    assert report("a", 1, 0.5) is CONTINUE
    assert resumed(trials) == ["p"], "those who wait are decided about"
    assert trials.drop() == ["q"]
    assert report("b", 1, 0.2) is STOP
    assert report("a", 2, 0.5) is CONTINUE
    assert report("p", 2, 0.4) is STOP
    assert report("a", 4, 0.5) is STOP, "max_t"
    assert len(scheduler.take_lines()) == 1


def test_a_bracket_keeps_one_at_least() -> None:
    bracket = Bracket(2, [1, 4], 4)
    for name in "ab":
        bracket.add(name)
        bracket.arrive(name, 0.5)
    assert bracket.decide() == (["a"], ["b"])


def test_bad_arguments_are_refused_and_ray_has_a_second_name() -> None:
    with pytest.raises(UsageError, match="HyperBandScheduler got reduction_factor=1"):
        HyperBandScheduler(reduction_factor=1)
    with pytest.raises(UsageError, match="HyperBandScheduler got max_t=0"):
        HyperBandScheduler(max_t=0)
    assert HyperBandForBOHB is HyperBandScheduler
    assert repr(HyperBandScheduler()) == "HyperBandScheduler(time_attr='training_iteration', max_t=81, reduction_factor=3)"
