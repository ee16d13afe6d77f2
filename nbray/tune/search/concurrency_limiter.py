"""A searcher that lets another one have only so many trials at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from nbray.errors import WrongType
from nbray.tune.search.random_search import check_max_concurrent
from nbray.tune.search.searcher import FINISHED, Exhausted, Searcher


class ConcurrencyLimiter(Searcher):
    """Suggests what `searcher` does, while fewer than `max_concurrent` of its trials are under way.

    Searchers that learn choose better the more results they know, so fewer trials at once need fewer trials in all. With
    `batch`, trials come in rounds: the searcher hears the results of a round when all of it has ended.

    >>> from nbray import tune
    >>> from nbray.tune.search import RandomSearch
    >>> search = ConcurrencyLimiter(RandomSearch({"x": tune.uniform(0, 1)}), max_concurrent=1)
    >>> search.set_search_properties("loss", "min", {}, num_samples=5, seed=0)
    >>> search.suggest("a") is None, search.suggest("b") is None
    (False, True)
    """

    def __init__(self, searcher: Searcher, max_concurrent: int, batch: bool = False) -> None:
        if not isinstance(searcher, Searcher):
            raise WrongType(f"ConcurrencyLimiter got {searcher!r}. It takes a searcher: ConcurrencyLimiter(RandomSearch(), 2).")
        super().__init__(searcher.metric, searcher.mode)
        self.searcher = searcher
        self._most = check_max_concurrent(max_concurrent, "ConcurrencyLimiter", least=1)
        self._batch = batch
        self._is_finished = False
        self._live: set[str] = set()
        self._round: dict[str, Callable[[], None] | None] = {}
        """The trials of the round in the order of their birth, and, of those that have ended, what is to be told."""

    def set_search_properties(
        self, metric: str | None, mode: str | None, space: Mapping[str, Any], num_samples: int, seed: int
    ) -> None:
        self.searcher.set_search_properties(metric, mode, space, num_samples, seed)
        self.metric, self.mode = self.searcher.metric, self.searcher.mode

    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        if len(self._round if self._batch else self._live) >= self._most:
            return None
        config = self.searcher.suggest(trial_id)
        if config is None and not self._live and self._round:
            self._end_round()  # it may be waiting for just these results
            config = self.searcher.suggest(trial_id)
        self._is_finished = config is FINISHED
        if config is not None and config is not FINISHED:
            self._live.add(trial_id)
            if self._batch:
                self._round[trial_id] = None
        return config

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self.searcher.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None, error: bool = False) -> None:
        self._end(trial_id, partial(self.searcher.on_trial_complete, trial_id, result, error))

    def on_trial_stopped(self, trial_id: str, result: Mapping[str, Any] | None) -> None:
        self._end(trial_id, partial(self.searcher.on_trial_stopped, trial_id, result))

    def on_trial_given(self, trial_id: str, config: Mapping[str, Any]) -> None:
        self.searcher.on_trial_given(trial_id, config)

    def total(self) -> int | None:
        return self.searcher.total()

    def _end(self, trial_id: str, tell: Callable[[], None]) -> None:
        if not self._batch or trial_id not in self._live:
            self._live.discard(trial_id)
            tell()
            return
        self._live.discard(trial_id)
        self._round[trial_id] = tell
        if not self._live and (self._is_finished or len(self._round) == self._most):
            self._end_round()

    def _end_round(self) -> None:
        for tell in self._round.values():
            assert tell is not None, "all of the round has ended"
            tell()
        self._round = {}
