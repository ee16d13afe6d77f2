"""Trials are measured with what they report, and one that is missing is noticed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.benchmarks import trials
from tests.benchmarks.peers import Optuna
from tests.benchmarks.systems import TrialFunction, Unsupported


class Forgetful(Optuna):
    """Loses a trial."""

    def tune(self, function: TrialFunction, samples: int, warm: bool) -> list[Mapping[str, Any]]:
        return super().tune(function, samples, warm)[1:]


def test_trials_of_optuna_are_measured() -> None:
    assert len(trials.empty_warm(Optuna()).values) == 3
    assert 0 < trials.decision(Optuna()).values[0] < 1000


def test_a_system_without_such_a_thing_says_so() -> None:
    with pytest.raises(Unsupported):
        trials.empty_cold(Optuna())


def test_a_trial_that_is_missing_is_noticed() -> None:
    with pytest.raises(AssertionError, match="20 trials were asked for, there are 19"):
        trials.empty_warm(Forgetful())
