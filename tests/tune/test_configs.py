"""Configs are checked where they are made, and what has no effect is refused by name."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nbray import tune
from nbray.errors import NotSupportedHere, UsageError, WrongType
from nbray.tune.configs import ResumeConfig
from nbray.tune.loggers import CSVLoggerCallback
from nbray.tune.schedulers import ASHAScheduler
from nbray.tune.search import RandomSearch
from nbray.tune.stoppers import MaximumIterationStopper, NoopStopper


@pytest.mark.parametrize(("options", "said"), [
    ({"mode": "maximum"}, "TuneConfig got mode='maximum'"),
    ({"metric": 3}, "metric=3: expected the name"),
    ({"search_alg": RandomSearch}, "not a class: write search_alg=RandomSearch"),
    ({"scheduler": "asha"}, r"scheduler='asha': expected a TrialScheduler, for example scheduler=ASHAScheduler\(\)"),
    ({"num_samples": 0}, "num_samples=0: expected a whole number >= 1, or -1 for no limit"),
    ({"max_concurrent_trials": -1}, "max_concurrent_trials=-1: expected a whole number >= 0"),
    ({"time_budget_s": 0}, "time_budget_s=0: expected seconds"),
    ({"time_budget_s": timedelta(0)}, "time_budget_s=0.0: expected seconds"),
    ({"reuse_actors": 1}, "reuse_actors=1: expected True or False"),
    ({"trial_name_creator": "name"}, "trial_name_creator='name': expected a function of a trial"),
    ({"trial_dirname_creator": str}, "trial_dirname_creator=.* is not supported: a trial's directory is trial_<id>"),
    ({"seed": -1}, "seed=-1: expected a whole number >= 0"),
    ({"stop_on_nan": None}, "stop_on_nan=None: expected True or False"),
])  # fmt: skip
def test_a_tune_config_refuses(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tune.TuneConfig(**options)


def test_a_tune_config_takes_what_rays_takes() -> None:
    config = tune.TuneConfig("min", "loss", RandomSearch(), ASHAScheduler(), -1, 2, timedelta(minutes=1), False)
    assert (config.mode, config.metric, config.num_samples, config.budget) == ("min", "loss", -1, 60.0)
    assert tune.TuneConfig(max_concurrent_trials=0).max_concurrent_trials is None
    assert tune.TuneConfig().budget is None


@pytest.mark.parametrize(("options", "said"), [
    ({"max_failures": -2}, "max_failures=-2: expected a whole number >= 0, or -1"),
    ({"fail_fast": "yes"}, "fail_fast='yes': expected False, True or \"raise\""),
    ({"max_failures": 3, "fail_fast": True}, "max_failures=3 with fail_fast=True"),
])  # fmt: skip
def test_a_failure_config_refuses(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tune.FailureConfig(**options)


@pytest.mark.parametrize(("options", "said"), [
    ({"num_to_keep": 0}, "num_to_keep=0: expected a whole number >= 1"),
    ({"checkpoint_score_attribute": 1}, "checkpoint_score_attribute=1: expected the name of a metric"),
    ({"checkpoint_score_order": "best"}, "checkpoint_score_order='best': expected \"min\" or \"max\""),
    ({"checkpoint_frequency": -1}, "checkpoint_frequency=-1: expected a whole number >= 0"),
    ({"checkpoint_at_end": 1}, "checkpoint_at_end=1: expected True or False"),
])  # fmt: skip
def test_a_checkpoint_config_refuses(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tune.CheckpointConfig(**options)


@pytest.mark.parametrize(("options", "said"), [
    ({"name": ""}, "name='': expected the name of a directory"),
    ({"name": "a/b"}, "name='a/b': expected the name of a directory, without \"/\""),
    ({"name": ".."}, "name='..': expected the name of a directory"),
    ({"storage_path": 3}, "storage_path=3: expected a folder"),
    ({"local_dir": ""}, "local_dir='': expected a folder"),
    ({"local_dir": "a", "storage_path": "b"}, "local_dir='a' and storage_path='b' mean the same: give one"),
    ({"failure_config": 3}, "failure_config=3: expected a FailureConfig"),
    ({"checkpoint_config": tune.CheckpointConfig}, "not a class: write checkpoint_config=CheckpointConfig"),
    ({"verbose": 4}, r"verbose=4: expected 0 \(silent\)"),
    ({"verbose": True}, "verbose=True: expected 0"),
    ({"stop": "soon"}, "stop= got 'soon'"),
    ({"callbacks": CSVLoggerCallback()}, "expected a list of instances of tune.Callback"),
    ({"callbacks": [CSVLoggerCallback]}, "not a class"),
])  # fmt: skip
def test_a_run_config_refuses(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tune.RunConfig(**options)


@pytest.mark.parametrize("options", [
    {"storage_path": "s3://bucket/x"}, {"storage_filesystem": object()}, {"sync_config": object()},
    {"progress_reporter": object()}, {"log_to_file": True},
])  # fmt: skip
def test_what_has_no_effect_is_refused_by_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(NotSupportedHere, match=f"{name}="):
        tune.RunConfig(**options)


def test_a_run_config_settles_what_it_is_given(tmp_path: Path) -> None:
    given: dict[str, Any] = {"failure_config": None, "checkpoint_config": None, "verbose": None, "callbacks": None}
    config = tune.RunConfig(local_dir=tmp_path, stop={"training_iteration": 3}, **given)
    assert (config.storage_path, config.local_dir, config.verbose, config.callbacks) == (tmp_path, None, 1, ())
    assert config.failure_config == tune.FailureConfig()
    assert config.checkpoint_config == tune.CheckpointConfig()
    assert config.stop("t", {"training_iteration": 3})
    assert isinstance(tune.RunConfig().stop, NoopStopper)
    stopper = MaximumIterationStopper(2)
    assert tune.RunConfig(stop=stopper).stop is stopper
    assert tune.RunConfig(storage_path="file:///tmp/x").storage_path == "file:///tmp/x"


def test_a_resume_config_says_one_thing_about_failed_trials() -> None:
    assert ResumeConfig().unfinished
    with pytest.raises(UsageError, match="resume_errored and restart_errored are both True"):
        ResumeConfig(errored=True, restart_errored=True)
    wrong: Any = 1
    with pytest.raises(WrongType, match="resume_errored=1: expected True or False"):
        ResumeConfig(errored=wrong)
