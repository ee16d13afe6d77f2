"""Callbacks: who hears what happens to an experiment's trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nbray.errors import NotSupportedHere, WrongType
from nbray.tune.arguments import check_kind
from nbray.tune.trial import Trial

if TYPE_CHECKING:
    pass


class Callback:
    """Hears of an experiment; override what you want to hear of. The hooks are Ray Tune's.

    They are called in your process, in the order in which things happened: on the main thread while `fit()` waits.
    `iteration` counts what has happened in the experiment so far. What a hook raises ends `fit()`, and the experiment.

    >>> from nbray import tune
    >>> class Shout(tune.Callback):
    ...     def on_trial_complete(self, iteration, trials, trial, **info):
    ...         print(trial.trial_id, trial.last_result["loss"])
    """

    in_controller: ClassVar[bool] = False
    """Whether it is called where the experiment is led, which goes on while the notebook's kernel is restarted."""
    hears_the_past: ClassVar[bool] = False
    """Whether, when an experiment is restored, it is told again what happened before: it begins from nothing."""

    def setup(
        self, stop: Any = None, num_samples: int | None = None, total_num_samples: int | None = None, **info: Any
    ) -> None:
        """The experiment begins, or is restored; `info["plan"]` is its Plan."""

    def on_step_begin(self, iteration: int, trials: Sequence[Trial], **info: Any) -> None:
        """Something has happened; the hooks that say what follow."""

    def on_step_end(self, iteration: int, trials: Sequence[Trial], **info: Any) -> None:
        """Everything about it has been told."""

    def on_trial_start(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial begins to run, or runs on."""

    def on_trial_restore(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial runs on from a checkpoint."""

    def on_trial_save(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial has written a checkpoint."""

    def on_checkpoint(self, iteration: int, trials: Sequence[Trial], trial: Trial, checkpoint: Any, **info: Any) -> None:
        """A trial has written this Checkpoint."""

    def on_trial_result(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, result: Mapping[str, Any], **info: Any
    ) -> None:
        """A trial has reported."""

    def on_trial_complete(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial has ended."""

    def on_trial_recover(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial has failed and will be tried again."""

    def on_trial_error(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial has failed for good."""

    def on_experiment_end(self, trials: Sequence[Trial], **info: Any) -> None:
        """All trials have ended."""


_NEVER_CALLED = ("get_state", "set_state")


def check_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """The callbacks as a tuple. Raises WrongType for what is none, NotSupportedHere for hooks that nobody would call."""
    if isinstance(callbacks, (Callback, str, bytes)) or not isinstance(callbacks, Sequence):
        raise WrongType(f"callbacks={callbacks!r}: expected a list of instances of tune.Callback, for example callbacks=[...]")
    for callback in callbacks:
        check_kind("callbacks", callback, Callback, "[tune.loggers.CSVLoggerCallback()]")
        for hook in _NEVER_CALLED:
            if hasattr(callback, hook):
                raise NotSupportedHere(
                    f"{type(callback).__name__}.{hook} would not be called: a callback that is to hear again what happened "
                    "before an experiment was restored sets the class attribute hears_the_past = True"
                )
    return tuple(callbacks)
