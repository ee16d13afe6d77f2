"""Callbacks are checked when they are given; the hooks of the base class do nothing."""

from __future__ import annotations

from typing import Any

import pytest

from nbray.errors import NotSupportedHere, WrongType
from nbray.tune.callbacks import Callback, check_callbacks
from nbray.tune.trial import Trial


def test_every_hook_is_there_and_does_nothing() -> None:
    callback, trial = Callback(), Trial("00000", {})
    step: dict[str, Any] = {"iteration": 1, "trials": [trial]}
    callback.setup(stop=None, num_samples=1, total_num_samples=1)
    for hook in ("on_step_begin", "on_step_end"):
        assert getattr(callback, hook)(**step) is None
    for hook in ("start", "restore", "save", "complete", "recover", "error"):
        assert getattr(callback, f"on_trial_{hook}")(**step, trial=trial) is None
    assert callback.on_trial_result(**step, trial=trial, result={}) is None  # type: ignore[func-returns-value]
    assert callback.on_checkpoint(**step, trial=trial, checkpoint=None) is None  # type: ignore[func-returns-value]
    assert callback.on_experiment_end(trials=[trial]) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(("given", "said"), [
    (Callback(), "expected a list of instances of tune.Callback"),
    ("csv", "callbacks='csv': expected a list"),
    ([Callback], "callbacks=Callback: expected an instance, not a class"),
    ([3], "callbacks=3: expected a Callback"),
])  # fmt: skip
def test_others_are_refused(given: Any, said: str) -> None:
    with pytest.raises(WrongType, match=said):
        check_callbacks(given)


def test_a_hook_that_nobody_would_call_is_refused() -> None:
    class Remembering(Callback):
        def get_state(self) -> dict[str, Any]:
            return {}

    with pytest.raises(NotSupportedHere, match=r"Remembering\.get_state would not be called: .* hears_the_past = True"):
        check_callbacks([Remembering()])


def test_a_list_becomes_a_tuple() -> None:
    callback = Callback()
    assert check_callbacks([callback]) == (callback,)
