"""A plan knows what its trials and their directories are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nbray.tune.configs import TuneConfig
from nbray.tune.trial import Trial
from tests.tune.led_experiment import plan


def test_trials_are_called_by_what_is_tuned_and_their_id(tmp_path: Path) -> None:
    assert plan(tmp_path).name_of(Trial("00003", {})) == "train_00003"


def test_or_as_the_user_says(tmp_path: Path) -> None:
    creator = TuneConfig(trial_name_creator=lambda trial: f"x is {trial.config['x']}")
    assert replace(plan(tmp_path), tune=creator).name_of(Trial("00003", {"x": 4})) == "x is 4"


def test_a_trials_directory_bears_its_id(tmp_path: Path) -> None:
    assert plan(tmp_path).directory_of("00003") == f"{tmp_path}/trial_00003"
