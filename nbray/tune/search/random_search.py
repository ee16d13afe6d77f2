"""Random search: every configuration is drawn anew, with all combinations of the grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from nbray.errors import UsageError
from nbray.tune.draws import draw
from nbray.tune.search.points import Point, check_points, fit_points
from nbray.tune.search.samples import Samples
from nbray.tune.search.searcher import FINISHED, Exhausted, Searcher
from nbray.tune.search_space import settle_space


class RandomSearch(Searcher):
    """Draws configurations, `num_samples` times the whole grid if the space has grids; the first ones from `points_to_evaluate`.

    `space` may be given here or as the experiment's param_space. With `constant_grid_search` all configurations of a grid share
    what is drawn; with `max_concurrent` no more trials than that run at once (0: as many as fit). The same seed gives the same
    configurations on every machine, whatever the trials report; without one it is the experiment's. Why random beats a grid:
    Bergstra and Bengio, "Random search for hyper-parameter optimization" (JMLR 2012).

    >>> from nbray import tune
    >>> search = RandomSearch({"lr": tune.loguniform(1e-4, 1e-1), "depth": tune.grid_search([2, 4])}, seed=1)
    >>> search.set_search_properties(None, None, {}, num_samples=1, seed=0)
    >>> search.total(), search.suggest("a")["depth"], search.suggest("b")["depth"], search.suggest("c")
    (2, 2, 4, <Exhausted.FINISHED: 'FINISHED'>)
    """

    def __init__(
        self, space: Mapping[str, Any] | None = None, *, metric: str | None = None, mode: str | None = None,
        points_to_evaluate: Sequence[Point] | None = None, max_concurrent: int = 0, constant_grid_search: bool = False,
        seed: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(metric, mode)
        self._space = space
        self._points = check_points(points_to_evaluate, type(self).__name__)
        self._max_concurrent = check_max_concurrent(max_concurrent, type(self).__name__)
        self._constant_grid = constant_grid_search
        self._seed = seed
        self._samples: Samples | None = None
        self._live: set[str] = set()

    def set_search_properties(
        self, metric: str | None, mode: str | None, space: Mapping[str, Any], num_samples: int, seed: int
    ) -> None:
        owner = type(self).__name__
        super().set_search_properties(metric, mode, space, num_samples, seed)
        seed = seed if self._seed is None else self._seed
        settled = settle_space(self._space, space, owner)
        fit_points(self._points, settled)
        self._samples = Samples(
            settled, partial(draw, seed), num_samples, seed, self._points, constant_grid=self._constant_grid
        )

    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        assert self._samples is not None, "set_search_properties comes first"
        if self._max_concurrent and len(self._live) >= self._max_concurrent:
            return None
        config = self._samples.next()
        if config is not FINISHED:
            self._live.add(trial_id)
        return config

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None, error: bool = False) -> None:
        self._live.discard(trial_id)

    def total(self) -> int | None:
        return None if self._samples is None else self._samples.total


def check_max_concurrent(count: Any, owner: str, least: int = 0) -> int:
    """The count as given; raises UsageError unless it is a whole number from `least`."""
    if isinstance(count, bool) or not isinstance(count, int) or count < least:
        no_limit = "" if least else "; 0 sets no limit"
        raise UsageError(f"{owner} got max_concurrent={count!r}. It is a whole number of trials, such as 4{no_limit}.")
    return count
