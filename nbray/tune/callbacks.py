"""Callbacks: who hears what happens to an experiment's trials, and how the journal's entries become their calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nbray.tune.events import Entry
from nbray.tune.trial import Trial

if TYPE_CHECKING:
    from nbray.tune.plan import Plan


class Callback:
    """Hears of an experiment; override what you want to hear of. The hooks are Ray Tune's.

    It is called in your notebook, in the order in which things happened, while `fit()` waits.
    """

    in_controller: ClassVar[bool] = False
    """Whether it is called where the experiment is led: it goes on there while the notebook's kernel is restarted."""

    def setup(self, plan: Plan) -> None:
        """The experiment begins, or goes on."""

    def on_trial_start(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial begins to run."""

    def on_trial_result(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, result: Mapping[str, Any], **info: Any
    ) -> None:
        """A trial has reported."""

    def on_trial_complete(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial has ended."""

    def on_trial_error(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A trial has failed for good."""

    def on_experiment_end(self, trials: Sequence[Trial], **info: Any) -> None:
        """All trials have ended."""


class Dispatch:
    """Calls the hooks of callbacks for each entry of the journal."""

    def __init__(self, callbacks: Sequence[Callback], plan: Plan) -> None:
        self._callbacks = callbacks
        self._plan = plan

    def tell(self, entry: Entry, view: Any) -> None:
        """Call what the entry means; the view has been folded with it already."""

    def close(self) -> None:
        """The experiment is over, or nobody listens any more."""
