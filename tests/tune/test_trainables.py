"""What can be tuned, and what is refused."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import nbray
from nbray import resources
from nbray.errors import UsageError, WrongType
from nbray.tune import trainables
from nbray.tune.trainables import Trainable, with_parameters, with_resources


def train(config: dict[str, Any]) -> float:
    return float(config["x"])


def with_reporter(config: dict[str, Any], reporter: Any) -> None:
    reporter(loss=1)


def with_data(config: dict[str, Any], data: list[int], power: int = 1) -> float:
    return float(sum(data) ** power)


class Walk(Trainable):
    def setup(self, config: dict[str, Any], speed: int = 1, **parameters: Any) -> None:
        self.speed = speed

    def step(self) -> dict[str, Any]:
        return {"at": self.speed}


# -------------------------------------------------------------------- functions


def test_who_gets_a_reporter() -> None:
    assert not trainables.takes_reporter(train)
    assert trainables.takes_reporter(with_reporter)
    assert trainables.takes_reporter(lambda config, reporter=None: None)
    assert not trainables.takes_reporter(lambda config, verbose=True: None)
    assert trainables.takes_reporter(lambda config, report: None)
    assert not trainables.takes_reporter(with_parameters(with_data, data=[1]))
    assert not trainables.takes_reporter(functools.partial(with_data, data=[1]))
    assert not trainables.takes_reporter(dict)  # without a signature that Python could tell


async def coroutine(config: dict[str, Any]) -> None: ...


class Plain:
    pass


class Stepless(Trainable):
    pass


class Forgetful(Walk):
    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    ("trainable", "message"),
    [
        (12, r"trainable=12 is a int: expected a function of \(config\)"),
        (lambda: 1, r"cannot be called with \(config\) or \(config, reporter\): write def <lambda>\(config\)"),
        (with_data, r"give it the others by tune\.with_parameters\(with_data, data=\.\.\.\)"),
        (coroutine, r"trainable=coroutine is async"),
        (nbray.remote(train), r"is a remote function: give its plain form, train\.__wrapped__"),
        (Plain, r"trainable=Plain is a class that is not derived from tune\.Trainable"),
        (Stepless, r"class Stepless has no step\(\)"),
        (Forgetful, r"class Forgetful has a save_checkpoint\(\) and no load_checkpoint"),
    ],
)
def test_what_cannot_be_tuned(trainable: Any, message: str) -> None:
    with pytest.raises(WrongType, match=message):
        trainables.check_trainable(trainable)


@pytest.mark.parametrize(
    "trainable", [train, with_reporter, Walk, with_parameters(with_data, data=[1]), functools.partial(train)]
)
def test_what_can_be_tuned(trainable: Any) -> None:
    trainables.check_trainable(trainable)


# -------------------------------------------------------------------- constants


def test_parameters_add_up_and_are_given_to_the_function() -> None:
    bound = with_parameters(with_parameters(with_data, data=[1, 2]), power=2)
    assert bound({}) == 9.0
    assert (bound.__name__, trainables.name_of(bound)) == ("with_data", "with_data")
    assert trainables.parameters_of(train) == {}
    assert trainables.parameters_of(bound) == {"data": [1, 2], "power": 2}


def test_parameters_of_a_class_are_those_of_its_setup() -> None:
    bound = with_parameters(Walk, speed=3)
    assert trainables.inner_of(bound)({}, **trainables.parameters_of(bound)).step() == {"at": 3}


def test_parameters_that_nobody_takes() -> None:
    with pytest.raises(UsageError, match=r"takes no parameter 'dta': add it there, or take it out here"):
        with_parameters(with_data, dta=[1])
    with pytest.raises(UsageError, match=r"with_parameters\(\) was given no parameters"):
        with_parameters(with_data)
    with pytest.raises(WrongType, match=r"trainable='train' is a str"):
        with_parameters("train", data=1)  # type: ignore[arg-type]


# -------------------------------------------------------------------- resources


def test_resources() -> None:
    assert trainables.resources_of(train) == {"CPU": 1.0}
    bound = with_resources(with_parameters(with_data, data=[1]), {"cpu": 2, "Gpu": 0.5, "disk": 1})
    assert trainables.resources_of(bound) == {resources.CPU: 2.0, resources.GPU: 0.5, "disk": 1.0}
    assert bound({}) == 1.0
    assert trainables.resources_of(with_parameters(bound, power=2)) == trainables.resources_of(bound)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (2, r"resources=2: expected a dict"),
        ({"CPU": -1}, r"resources\['CPU'\]=-1: expected a number >= 0"),
        ({"CPU": "two"}, r"resources\['CPU'\]='two'"),
        ({1: 1}, r"1 is no name"),
        (lambda config: {"CPU": 1}, r"expected a dict"),
    ],
)
def test_resources_that_are_none(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_resources(train, given)


# -------------------------------------------------------------------- the class


def test_a_class_has_what_rays_has() -> None:
    walk = Walk({"x": 1})
    assert (walk.config, walk.iteration, walk.training_iteration, walk.saves()) == ({"x": 1}, 0, 0, False)
    assert not walk.reset_config({"x": 2})
    with pytest.raises(NotImplementedError, match=r"Trainable has no step\(\)"):
        Trainable().step()
    with pytest.raises(NotImplementedError, match=r"Walk has no save_checkpoint\(\)"):
        walk.save_checkpoint(".")
    with pytest.raises(NotImplementedError, match=r"Walk has a save_checkpoint\(\), and no load_checkpoint"):
        walk.load_checkpoint({})
