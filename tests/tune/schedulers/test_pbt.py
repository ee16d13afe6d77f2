from __future__ import annotations

import math
from typing import Any

import pytest

from nbray.errors import UsageError, WrongType
from nbray.tune.schedulers import Decision, PopulationBasedTraining, Resumption
from nbray.tune.spaces import uniform
from nbray.tune.trial import TrialState
from tests.tune.schedulers.crowd import Crowd

CONTINUE, PAUSE = Decision.CONTINUE, Decision.PAUSE


def crowd(names: str = "abcd", mode: str = "max", seed: int = 0, **options: Any) -> Crowd:
    given = {
        "time_attr": "training_iteration", "perturbation_interval": 2, "hyperparam_mutations": {"x": uniform(0, 10)},
        "resample_probability": 0.0, **options,
    }  # fmt: skip
    trials = Crowd(PopulationBasedTraining(**given), mode, seed)
    for number, name in enumerate(names, 1):
        trials.add(name, {"x": float(number), "name": name})
    return trials


def resumed(trials: Crowd) -> dict[str, Resumption]:
    return {each.trial_id: each for each in iter(trials.resume, None)}


def grown(trials: Crowd, t: float = 2, worst: str = "a", values: str = "bcd") -> None:
    """All but the worst have been compared at `t`, and run on."""
    trials.scheduler.on_search_finished()
    for place, name in enumerate(values, 1):
        trials.report(name, t, float(place))
    resumed(trials)


def test_a_poor_trial_runs_on_as_a_changed_copy_of_a_good_one() -> None:
    trials = crowd(verbose=1)
    grown(trials)
    assert trials.report("a", 1, 0.0) is CONTINUE, "it is not time"
    assert trials.report("a", 2, 0.0) is PAUSE
    assert trials.scheduler.reason == "paused, to run on as a copy of trial d"
    resumption = resumed(trials)["a"]
    assert resumption.checkpoint_of == "d"
    assert resumption.config is not None
    assert resumption.config["x"] in (4 * 1.2, 4 * 0.8)
    assert resumption.config["name"] == "d", "the rest of its configuration is the other's, too"
    assert trials.scheduler.take_lines() == [f"PBT: a runs on as a copy of d with x={resumption.config['x']!r}"]
    assert trials.trials["d"].config == {"x": 4.0, "name": "d"}


def test_small_is_good_if_the_mode_says_so() -> None:
    trials = crowd(mode="min")
    trials.trials["b"].checkpoint = "b/1"
    grown(trials)
    trials.report("a", 2, 9.0)
    assert resumed(trials)["a"].checkpoint_of == "b"


def test_the_best_pause_to_write_a_checkpoint_and_all_others_go_on() -> None:
    trials = crowd(quantile_fraction=0.25)
    trials.scheduler.on_search_finished()
    for name, value in zip("abcd", (3, 2, 1, 0), strict=True):
        trials.report(name, 1, value)
    assert trials.report("a", 2, 3) is CONTINUE, "alone there is nobody to compare it with"
    assert trials.report("b", 2, 2) is CONTINUE, "the poorer of two, but the other has no checkpoint"
    assert trials.report("c", 2, 2.5) is CONTINUE, "neither"
    assert trials.report("a", 4, 3) is PAUSE
    assert trials.scheduler.reason == "paused, to write a checkpoint that others can run on from"
    assert resumed(trials)["a"] == Resumption("a")
    assert trials.report("a", 6, 3, checkpoint="a/by itself") is CONTINUE, "it has written one"
    assert trials.report("a", 8, 3) is PAUSE, "it has not written one since"
    assert resumed(trials)["a"] == Resumption("a")
    assert trials.report("a", 10, 3) is PAUSE, "nor since it ran on"
    assert resumed(trials)["a"] == Resumption("a")
    assert trials.report("b", 4, 2) is PAUSE
    assert resumed(trials)["b"].checkpoint_of == "a"


def test_with_fewer_places_than_trials_they_take_turns() -> None:
    trials = crowd("ab")
    assert trials.report("b", 3, 1) is PAUSE
    assert trials.resume() is None, "one that is not born goes first"
    trials.add("c", {"x": 1.0})
    trials.report("a", 2, 2)
    trials.scheduler.on_search_finished()
    assert trials.report("c", 2, 1.5) is PAUSE, "others wait for its place"
    assert trials.scheduler.reason == "paused, so that others get their turn"
    trials.complete("c")
    assert list(resumed(trials)) == ["a", "b"], "the youngest first"


def test_a_takeover_waits_for_the_checkpoint_of_the_other() -> None:
    trials = crowd("ab", quantile_fraction=0.5)
    trials.scheduler.on_search_finished()
    trials.report("b", 2, 1)
    trials.report("a", 2, 0.5)
    trials.report("b", 4, 1)
    trials.trials["b"].state = TrialState.PAUSING
    assert trials.report("a", 4, 0) is PAUSE
    assert resumed(trials) == {}
    trials.trials["b"].state = TrialState.PAUSED
    assert set(resumed(trials)) == {"a", "b"}


@pytest.mark.parametrize(("own", "others", "next_report", "compared_again"), [(4, 10, 11, 14), (10, 4, 5, 8), (4, 10, 5, 8)])
def test_after_a_takeover_its_age_is_that_of_the_checkpoint(own: int, others: int, next_report: int, compared_again: int) -> None:
    """`training_iteration` goes on from the other's, `time_total_s` from its own: the next report tells."""
    trials = crowd("ab", quantile_fraction=0.5, perturbation_interval=4)
    trials.scheduler.on_search_finished()
    trials.report("b", others, 2, checkpoint="b/1")
    assert trials.report("a", own, 1) is PAUSE
    assert "a" in resumed(trials)
    ages = range(next_report, 20)
    assert next(t for t in ages if trials.report("a", t, 1) is PAUSE) == compared_again


def test_who_is_in_the_middle_of_three_is_neither_poor_nor_good() -> None:
    trials = crowd("abc", quantile_fraction=0.5)
    trials.scheduler.on_search_finished()
    for name, value in (("c", 3), ("a", 1)):
        trials.report(name, 2, value, checkpoint=name)
    resumed(trials)
    assert trials.report("b", 2, 2, checkpoint="b") is CONTINUE


def test_each_takeover_explores_elsewhere() -> None:
    trials = crowd(resample_probability=1.0)
    grown(trials)
    trials.report("a", 2, 0.0)
    first = resumed(trials)["a"].config
    trials.report("b", 4, -1.0)
    second = resumed(trials)["b"].config
    assert first is not None
    assert second is not None
    assert first["x"] != second["x"]


def test_nan_is_poorest_and_who_reports_nothing_is_not_compared() -> None:
    trials = crowd()
    grown(trials)
    assert trials.report("a", 2, math.nan) is PAUSE
    assert resumed(trials)["a"].checkpoint_of == "d"
    assert trials.report("b", 9) is CONTINUE


def test_nobody_is_compared_in_the_burn_in_period() -> None:
    trials = crowd(burn_in_period=5)
    trials.scheduler.on_search_finished()
    assert [trials.report("a", t, 0, checkpoint="a") for t in (2, 4)] == [CONTINUE] * 2
    assert trials.report("b", 5, 1) is CONTINUE
    assert trials.report("c", 5, 2) is PAUSE
    assert trials.report("a", 5, 0) is PAUSE


def test_who_has_ended_is_neither_copied_nor_compared_with() -> None:
    trials = crowd()
    grown(trials)
    trials.complete("d")
    trials.report("a", 2, 0.0)
    assert resumed(trials)["a"].checkpoint_of == "c"


def test_one_last_change_is_the_users() -> None:
    trials = crowd(hyperparam_mutations={}, custom_explore_fn=lambda config: {**config, "x": -1.0})
    grown(trials)
    trials.report("a", 2, 0.0)
    assert resumed(trials)["a"].config == {"x": -1.0, "name": "d"}
    broken = crowd(custom_explore_fn=lambda config: None)
    grown(broken)
    with pytest.raises(WrongType, match="custom_explore_fn returned None; return the configuration"):
        broken.report("a", 2, 0.0)


def test_missing_parameters_are_drawn_at_birth_by_the_seed() -> None:
    def born(seed: int) -> float:
        trials = crowd("", seed=seed)
        return float(trials.add("a", {}).config["x"])

    assert born(1) == born(1) != born(2)


def test_the_same_seed_and_reports_lead_to_the_same_decisions() -> None:
    def decisions(seed: int) -> list[object]:
        trials = crowd("abcdefgh", seed=seed, resample_probability=0.25)
        trials.scheduler.on_search_finished()
        made: list[object] = []
        for t in range(1, 30):
            for place, name in enumerate("abcdefgh"):
                made.append(trials.report(name, t, (place * t) % 7))
                made.append(resumed(trials))
        return made

    assert decisions(1) == decisions(1)
    assert decisions(1) != decisions(2)


def test_together_all_wait_and_are_compared_at_once() -> None:
    trials = crowd(synch=True)
    for name, value in zip("abc", (1, 2, 3), strict=True):
        assert trials.report(name, 1, value) is CONTINUE
        assert trials.report(name, 2, value) is PAUSE
    trials.scheduler.on_search_finished()
    assert resumed(trials) == {}, "d has not come"
    assert trials.report("d", 3, 4) is PAUSE
    assert trials.scheduler.reason == "paused, until all are compared"
    going_on = resumed(trials)
    assert list(going_on) == ["a", "b", "c", "d"], "the copy goes first"
    assert [each.checkpoint_of for each in going_on.values()] == ["d", None, None, None]
    assert [trials.report(name, 4, 1) for name in "abc"] == [PAUSE] * 3
    trials.complete("d")
    assert len(resumed(trials)) == 3, "nobody waits for one that has ended"


def test_together_the_next_meeting_is_where_the_oldest_is() -> None:
    trials = crowd("ab", synch=True)
    trials.scheduler.on_search_finished()
    trials.report("a", 10, 1)
    trials.report("b", 2, 2)
    resumed(trials)
    assert [trials.report("b", t, 2) for t in (4, 9)] == [CONTINUE] * 2
    assert trials.report("b", 10, 2) is PAUSE


def test_together_in_a_stall_those_who_are_there_are_compared() -> None:
    trials = crowd(synch=True)
    trials.report("a", 2, 1)
    trials.report("b", 2, 2)
    trials.scheduler.on_stall()
    assert resumed(trials)["a"].checkpoint_of == "b"


def test_in_a_stall_those_who_wait_run_on() -> None:
    trials = crowd("ab")
    trials.report("a", 2, 1)
    assert trials.resume() is None
    trials.scheduler.on_stall()
    assert set(resumed(trials)) == {"a"}


@pytest.mark.parametrize("synch", [False, True])
def test_trials_without_checkpoints_stay_what_they_are(synch: bool) -> None:
    trials = crowd(synch=synch)
    for name in "ab":
        assert trials.report(name, 2, 1) is PAUSE
        assert trials.scheduler.on_cannot_pause(trials.trials[name], {}) is CONTINUE
        trials.trials[name].state = TrialState.RUNNING
        assert [trials.report(name, t, 1) for t in range(3, 9)] == [CONTINUE] * 6
    assert len(trials.scheduler.take_lines()) == 1
    trials.scheduler.on_stall()
    assert resumed(trials) == {}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"hyperparam_mutations": None}, "has nothing to change; type hyperparam_mutations="),
        ({"perturbation_interval": 0}, "got perturbation_interval=0; type more than 0"),
        ({"burn_in_period": -1}, "got burn_in_period=-1; type 0 or more"),
        ({"quantile_fraction": 0.6}, "got quantile_fraction=0.6; type a share between 0 and 0.5"),
        ({"resample_probability": 2}, "got resample_probability=2; type a share between 0 and 1"),
        ({"perturbation_factors": (1.2,)}, r"got perturbation_factors=\(1.2,\); type two numbers"),
        ({"perturbation_factors": (1.2, -1)}, r"got perturbation_factors=\(1.2, -1\); type two numbers"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        crowd(**options)
