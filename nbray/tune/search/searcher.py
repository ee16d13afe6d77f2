"""The interface of searchers: they suggest the configurations that are tried.

A searcher is a state machine without I/O and without global randomness: the same calls in the same order lead to the same
suggestions, which is what a resumed experiment rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from nbray.tune.objectives import Objective, agree, check_metric, check_mode


class Exhausted(Enum):
    """The type of FINISHED."""

    FINISHED = "FINISHED"


FINISHED: Final = Exhausted.FINISHED
"""What `suggest` returns when there is nothing left to try."""


class Searcher:
    """Suggests configurations; bring your own by overriding `suggest` and what it needs to hear.

    `metric` and `mode` ("max" or "min") may be left to `set_search_properties`, which the experiment calls before the first
    suggestion. Your searcher is sent to where the experiment is led: what it learns, it learns there.

    >>> class Bisect(Searcher):
    ...     low, high = 0.0, 1.0
    ...     def suggest(self, trial_id):
    ...         return {"x": (self.low + self.high) / 2}
    ...     def on_trial_complete(self, trial_id, result, error=False):
    ...         if result and result["too_high"]:
    ...             self.high = (self.low + self.high) / 2
    >>> search = Bisect()
    >>> search.on_trial_complete("a", {"too_high": True})
    >>> search.suggest("b")
    {'x': 0.25}
    """

    def __init__(self, metric: str | None = None, mode: str | None = None) -> None:
        check_metric(metric, type(self).__name__)
        check_mode(mode, type(self).__name__)
        self.metric = metric
        self.mode = mode

    def set_search_properties(
        self, metric: str | None, mode: str | None, space: Mapping[str, Any], num_samples: int, seed: int
    ) -> None:
        """Take the experiment's metric and mode where its own were not given; two that differ are a UsageError.

        Searchers that do not know by themselves what to suggest also take the space to search, how many samples are asked for
        (-1: without end), and the seed.
        """
        self.metric, self.mode = agree(type(self).__name__, Objective(self.metric, self.mode), Objective(metric, mode))

    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        """The whole configuration for a new trial, constants included.

        None: not at the moment, ask again after the next event; FINISHED: never again.
        """
        raise NotImplementedError

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """A trial has reported and runs on."""

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None, error: bool = False) -> None:
        """A trial has ended: with its last report, or none, or in an error."""

    def on_trial_stopped(self, trial_id: str, result: Mapping[str, Any] | None) -> None:
        """A trial was stopped before its end, by the scheduler or a person; most searchers take it as ended."""
        self.on_trial_complete(trial_id, result)

    def on_trial_given(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """A trial was added that it did not suggest, or its suggestion was replaced by what the journal says."""

    def total(self) -> int | None:
        """How many trials there will be, where it knows."""
        return None
