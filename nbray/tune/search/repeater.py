"""A searcher that has each configuration of another one tried several times."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from nbray.errors import UsageError, WrongType
from nbray.tune.scores import DEFAULT_METRIC
from nbray.tune.search.searcher import FINISHED, Exhausted, Searcher

TRIAL_INDEX = "__trial_index__"
"""The key under which a configuration finds which of its repetitions it is, from 0."""


class _Group(msgspec.Struct):
    """The trials of one configuration."""

    leader: str
    """Id of the first one, by which the other searcher knows them all."""
    config: dict[str, Any]
    started: int = 1
    ended: int = 0
    values: list[float] = []  # a copy for each group: msgspec's way
    last: dict[str, Any] = {}


class Repeater(Searcher):
    """Tries each configuration of `searcher` `repeat` times, and tells it the mean of the metric: for noisy metrics.

    `num_samples` counts the trials, so it is a multiple of `repeat`. With `set_index` a configuration finds its number, from 0,
    under "__trial_index__": for its random seed, or a fold. Trials that failed, or reported NaN, are left out of the mean. Do not
    stop trials early: the means would be of different things.

    >>> from nbray import tune
    >>> from nbray.tune.search import RandomSearch
    >>> search = Repeater(RandomSearch({"x": tune.choice([7])}), repeat=2)
    >>> search.set_search_properties("loss", "min", {}, num_samples=4, seed=0)
    >>> [search.suggest(name) for name in "ab"]
    [{'x': 7, '__trial_index__': 0}, {'x': 7, '__trial_index__': 1}]
    """

    def __init__(self, searcher: Searcher, repeat: int = 1, set_index: bool = True) -> None:
        if not isinstance(searcher, Searcher):
            raise WrongType(f"Repeater got {searcher!r}. It takes a searcher: Repeater(RandomSearch(), 3).")
        if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
            raise UsageError(f"Repeater got repeat={repeat!r}. It is how often each configuration is tried: repeat=3.")
        super().__init__(searcher.metric, searcher.mode)
        self.searcher = searcher
        self._repeat = repeat
        self._set_index = set_index
        self._open: _Group | None = None
        self._groups: dict[str, _Group] = {}
        """By the ids of their trials that have not ended."""

    def set_search_properties(
        self, metric: str | None, mode: str | None, space: Mapping[str, Any], num_samples: int, seed: int
    ) -> None:
        if num_samples != -1 and num_samples % self._repeat:
            below = num_samples - num_samples % self._repeat
            raise UsageError(
                f"num_samples={num_samples} is no multiple of repeat={self._repeat}: it counts the trials, repetitions included. "
                f"Write num_samples={below + self._repeat}."
            )
        count = num_samples if num_samples == -1 else num_samples // self._repeat
        self.searcher.set_search_properties(metric, mode, space, count, seed)
        self.metric, self.mode = self.searcher.metric, self.searcher.mode
        self.metric = self.metric or DEFAULT_METRIC

    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        group = self._open
        if group is None:
            config = self.searcher.suggest(trial_id)
            if config is None or config is FINISHED:
                return config
            group = self._open = _Group(trial_id, config)
        else:
            group.started += 1
        self._groups[trial_id] = group
        if group.started == self._repeat:
            self._open = None
        return {**group.config, TRIAL_INDEX: group.started - 1} if self._set_index else dict(group.config)

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None, error: bool = False) -> None:
        group = self._groups.pop(trial_id, None)
        if group is None:
            self.searcher.on_trial_complete(trial_id, result, error)
            return
        group.ended += 1
        assert self.metric is not None
        value = (result or {}).get(self.metric) if not error else None
        if value is not None and not math.isnan(value):
            group.values.append(float(value))
            group.last = dict(result or {})
        if group.ended == self._repeat:
            self._tell(group)

    def on_trial_stopped(self, trial_id: str, result: Mapping[str, Any] | None) -> None:
        if trial_id in self._groups:
            self.on_trial_complete(trial_id, result)
        else:
            self.searcher.on_trial_stopped(trial_id, result)

    def on_trial_given(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """One that was replaced changes what is repeated; one that somebody added stands for itself."""
        plain = {key: value for key, value in config.items() if key != TRIAL_INDEX}
        group = self._groups.get(trial_id)
        if group is None:
            self.searcher.on_trial_given(trial_id, plain)
        elif trial_id == group.leader:
            group.config = plain
            self.searcher.on_trial_given(trial_id, plain)

    def total(self) -> int | None:
        total = self.searcher.total()
        return None if total is None else total * self._repeat

    def _tell(self, group: _Group) -> None:
        if not group.values:
            self.searcher.on_trial_complete(group.leader, None, error=True)
            return
        assert self.metric is not None, "asked for at the start"
        self.searcher.on_trial_complete(group.leader, {**group.last, self.metric: math.fsum(group.values) / len(group.values)})
