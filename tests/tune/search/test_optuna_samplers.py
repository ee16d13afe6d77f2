from __future__ import annotations

from typing import Any

import optuna
import pytest

from nbray.errors import UsageError
from nbray.tune.search import optuna_samplers
from nbray.tune.search.optuna_samplers import NAMES, check_sampler, learns_from_stopped, make_sampler


@pytest.mark.parametrize(("name", "kind"), [
    (None, "TPESampler"), ("tpe", "TPESampler"), ("cmaes", "CmaEsSampler"), ("nsga2", "NSGAIISampler"),
    ("qmc", "QMCSampler"), ("random", "RandomSampler"),
])  # fmt: skip
def test_samplers_go_by_name(name: str | None, kind: str) -> None:
    check_sampler(name)
    assert type(make_sampler(name, 1)).__name__ == kind


def test_gaussian_processes_are_made_where_their_packages_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_samplers, "find_spec", lambda name: name)
    assert type(make_sampler("gp", 1)).__name__ == "GPSampler"


@pytest.mark.parametrize(("name", "message"), [
    ("gp", "This sampler of Optuna's needs torch and scipy: pip install torch scipy"),
    ("cmaes", "This sampler of Optuna's needs cmaes: pip install cmaes"),
])  # fmt: skip
def test_a_package_that_is_missing_is_named(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_samplers, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=message):
        make_sampler(name, 1)


def test_a_sampler_object_is_taken_as_it_is() -> None:
    sampler = optuna.samplers.RandomSampler(seed=3)
    check_sampler(sampler)
    assert make_sampler(sampler, 1) is sampler


@pytest.mark.parametrize("sampler", ["TPE", 3, optuna.samplers.TPESampler, ["tpe"]])
def test_anything_else_is_refused(sampler: Any) -> None:
    with pytest.raises(UsageError, match=r'OptunaSearch got sampler=.* It takes one of "tpe", .*TPESampler\(seed=1\)'):
        check_sampler(sampler)


def test_only_tpe_learns_from_stopped_trials() -> None:
    assert [name for name in NAMES if name != "gp" and learns_from_stopped(make_sampler(name, 1))] == ["tpe"]
