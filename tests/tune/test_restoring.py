"""An experiment is taken up again with its own function; one that was edited is taken and said, another one refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nbray import tune
from nbray.errors import UsageError
from nbray.tune.plan import Plan
from nbray.tune.restoring import fingerprint_of, with_space, with_trainable
from tests.tune.led_experiment import plan


def train(config: dict[str, Any]) -> float:
    return float(config["x"])


def edited() -> Callable[..., Any]:
    def train(config: dict[str, Any]) -> float:
        return float(config["x"]) + 1

    return train


def kept(path: Path) -> Plan:
    return replace(plan(path), trainable=None, trainable_name="train", fingerprint=fingerprint_of(train))


def test_the_same_function_goes_on_silently(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert with_trainable(kept(tmp_path), train).trainable is train


def test_one_that_was_edited_goes_on_with_a_warning(tmp_path: Path) -> None:
    function = edited()
    with pytest.warns(UserWarning, match="train has been changed since the experiment in .* began"):
        taken = with_trainable(kept(tmp_path), function)
    assert taken.trainable is function
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with_trainable(taken, function)


def test_another_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is an experiment with 'train', not with 'len': restore it with that function"):
        with_trainable(kept(tmp_path), len)


def test_a_space_has_the_same_names(tmp_path: Path) -> None:
    assert with_space(kept(tmp_path), {"x": tune.uniform(0, 1)}).param_space["x"] == tune.uniform(0, 1)
    with pytest.raises(UsageError, match=r"has the names \['y'\], and the experiment in .* was about \['x'\]"):
        with_space(kept(tmp_path), {"y": 1})


class Counter(tune.Trainable):
    def step(self) -> dict[str, Any]:
        return {"count": 1}


class Other(tune.Trainable):
    def step(self) -> dict[str, Any]:
        return {"count": 2}


def test_code_has_a_fingerprint() -> None:
    assert fingerprint_of(train) == fingerprint_of(tune.with_resources(train, {"CPU": 2})) != fingerprint_of(edited())
    assert fingerprint_of(Counter) not in ("", fingerprint_of(Other))
    assert fingerprint_of(len) == ""
    assert fingerprint_of(lambda config: [x - 1 for x in (1,)]) != fingerprint_of(lambda config: [x + 1 for x in (1,)])
