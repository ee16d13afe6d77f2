"""Arguments that are refused say what was given, what was expected and what to write."""

from __future__ import annotations

from typing import Any

import pytest

from nbray.errors import NotSupportedHere, UsageError, WrongType
from nbray.tune import arguments
from nbray.tune.schedulers.scheduler import TrialScheduler


@pytest.mark.parametrize("metric", ["", 3, ["loss"]])
def test_a_metric_is_a_name(metric: Any) -> None:
    with pytest.raises(WrongType, match='expected the name of what trials report, for example metric="loss"'):
        arguments.check_metric(metric)


@pytest.mark.parametrize("value", [0, -2, 1.5, True, "4", None])
def test_a_whole_number_is_none_of_these(value: Any) -> None:
    with pytest.raises(UsageError, match=r"num_samples=.*expected a whole number >= 1, or -1 for no limit"):
        arguments.check_whole("num_samples", value, 1, endless=True)


def test_whole_numbers() -> None:
    arguments.check_whole("num_samples", 1, 1)
    arguments.check_whole("num_samples", -1, 1, endless=True)
    with pytest.raises(UsageError, match="num_samples=-1: expected a whole number >= 1, for example num_samples=1"):
        arguments.check_whole("num_samples", -1, 1)


@pytest.mark.parametrize("value", [0, -1, float("nan"), "60", True])
def test_seconds_are_positive(value: Any) -> None:
    with pytest.raises(UsageError, match="expected seconds, or a timedelta, greater than 0"):
        arguments.check_seconds("time_budget_s", value)


def test_a_flag_is_true_or_false() -> None:
    arguments.check_flag("reuse_actors", False)
    with pytest.raises(WrongType, match="reuse_actors='no': expected True or False"):
        arguments.check_flag("reuse_actors", "no")


def test_a_class_where_an_instance_is_expected_says_so() -> None:
    with pytest.raises(WrongType, match=r"not a class: write scheduler=TrialScheduler\(\.\.\.\)"):
        arguments.check_kind("scheduler", TrialScheduler, TrialScheduler, "ASHAScheduler()")
    with pytest.raises(WrongType, match=r"scheduler='asha': expected a TrialScheduler, for example scheduler=ASHAScheduler\(\)"):
        arguments.check_kind("scheduler", "asha", TrialScheduler, "ASHAScheduler()")


def test_an_argument_without_effect_is_refused_by_name() -> None:
    arguments.refuse("sync_config", None, "...")
    arguments.refuse("log_to_file", False, "...", nothing=False)
    with pytest.raises(NotSupportedHere, match="sync_config=3 is not supported: files stay on this machine"):
        arguments.refuse("sync_config", 3, "files stay on this machine")


def test_an_unknown_name_gets_the_nearest_or_all() -> None:
    with pytest.raises(UsageError, match=r"report_to has 'jsn': did you mean 'json'\?"):
        arguments.unknown("jsn", ["csv", "json"], "report_to has")
    with pytest.raises(UsageError, match="report_to has 'x': there are csv, json"):
        arguments.unknown("x", ["csv", "json"], "report_to has")
