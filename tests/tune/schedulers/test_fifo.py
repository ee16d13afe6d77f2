from __future__ import annotations

from nbray.tune.schedulers import Decision, FIFOScheduler
from tests.tune.schedulers.crowd import Crowd


def test_every_trial_goes_on() -> None:
    crowd = Crowd(FIFOScheduler())
    assert [crowd.report("a", t, -t) for t in range(1, 9)] == [Decision.CONTINUE] * 8
    assert crowd.resume() is None
    assert crowd.scheduler.wants_new_trials()


def test_it_needs_no_metric() -> None:
    FIFOScheduler().set_search_properties(None, None)
