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


def test_what_has_ended_stays_so_and_all_else_can_end() -> None:
    assert all(not MOVES[state] for state in ENDED)
    assert all(TrialState.TERMINATED in MOVES[state] for state in TrialState if state not in ENDED)
