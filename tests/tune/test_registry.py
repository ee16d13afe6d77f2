"""Names stand for trainables and environments, and a name that nobody registered gets the nearest."""

from __future__ import annotations

from typing import Any

import pytest

import nbray
from nbray.errors import UsageError, WrongType
from nbray.tune import registry


def train(config: dict[str, Any]) -> float:
    return float(config["x"])


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_trainables", {})
    monkeypatch.setattr(registry, "_environments", {})
    monkeypatch.setattr("nbray.remote_functions._registered", {})


def test_a_name_stands_for_a_trainable() -> None:
    registry.register_trainable("train", train)
    assert registry.resolve("train") is train
    registry.register_trainable("train", len)
    assert registry.resolve("train") is len, "a name that is taken means the new one"


def test_or_for_a_remote_function_that_was_registered() -> None:
    nbray.register_remote_function("train", train)
    assert registry.resolve("train") is train
    assert registry.resolve(nbray.remote(train)) is train
    assert registry.resolve(train) is train


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UsageError, match="no function is registered under 'train'"):
        registry.resolve("train")
    registry.register_trainable("train_task", train)
    with pytest.raises(UsageError, match="no trainable is registered under 'train_tsk': did you mean 'train_task'"):
        registry.resolve("train_tsk")


@pytest.mark.parametrize(("name", "trainable"), [("", train), (3, train), ("train", 3)])
def test_what_is_no_name_or_no_trainable_is_refused(name: Any, trainable: Any) -> None:
    with pytest.raises(WrongType, match=r"expected a name first|trainable=3"):
        registry.register_trainable(name, trainable)


def test_environments_are_made_by_name() -> None:
    with pytest.raises(UsageError, match="there is no environment 'maze': register it first"):
        registry.make_env("maze")
    registry.register_env("maze", lambda config: [config.get("size", 1)])
    assert registry.make_env("maze", {"size": 3}) == [3]
    assert registry.make_env("maze") == [1]
    with pytest.raises(UsageError, match="there is no environment 'mase': did you mean 'maze'"):
        registry.make_env("mase")
    wrong: Any = 3
    with pytest.raises(WrongType, match="expected a function of a config"):
        registry.register_env("maze", wrong)


def test_another_process_adopts_them() -> None:
    registry.register_env("maze", lambda config: "here")
    sent = registry.environments()
    registry._environments.clear()
    registry.adopt(sent)
    assert registry.make_env("maze") == "here"
