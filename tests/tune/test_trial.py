from __future__ import annotations

from itertools import product

import pytest

from nbray.errors import InternalError
from nbray.tune.trial import ENDED, MOVES, Trial, TrialState


@pytest.mark.parametrize(("before", "after"), list(product(TrialState, TrialState)))
def test_the_table_is_kept(before: TrialState, after: TrialState) -> None:
    trial = Trial("t1", {}, state=before)
    if after in MOVES[before]:
        trial.move(after)
        assert trial.state is after
    else:
        with pytest.raises(InternalError, match=f"t1 cannot go from {before} to {after}"):
            trial.move(after)


def test_what_has_ended_stays_so_unless_it_failed_and_is_restored_and_all_else_can_end() -> None:
    assert MOVES[TrialState.TERMINATED] == frozenset()
    assert MOVES[TrialState.ERROR] == {TrialState.PENDING}
    assert all(TrialState.TERMINATED in MOVES[state] for state in TrialState if state not in ENDED)


def test_a_report_gets_what_every_report_has() -> None:
    trial = Trial("t1", {})
    trial.begin(attempt=1, iteration=0, now=10.0)
    assert trial.take_report({"loss": 0.5}, 12.0) == {
        "loss": 0.5, "training_iteration": 1, "time_this_iter_s": 2.0, "time_total_s": 2.0, "trial_id": "t1", "done": False,
    }  # fmt: skip
    again = trial.take_report({"loss": 0.4, "time_this_iter_s": 0.25, "training_iteration": 99}, 15.0, done=True)
    assert (again["training_iteration"], again["time_total_s"], again["done"]) == (2, 2.25, True)
    assert trial.last_result is again


def test_only_the_attempt_in_progress_counts() -> None:
    trial = Trial("t1", {})
    assert not trial.runs(0)
    trial.begin(attempt=2, iteration=0, now=0.0)
    assert trial.runs(2)
    assert not trial.runs(1)
    trial.move(TrialState.TERMINATED)
    assert not trial.runs(2)
