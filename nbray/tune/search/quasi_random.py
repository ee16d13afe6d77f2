"""Quasi-random search: configurations that cover the space more evenly than random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbray.tune.domains import Domain
from nbray.tune.draws import draw
from nbray.tune.search.halton import halton
from nbray.tune.search.points import Point, check_points, fit_points
from nbray.tune.search.samples import Samples
from nbray.tune.search.searcher import Exhausted, Searcher
from nbray.tune.search_space import Path, settle_space


class QuasiRandomSearch(Searcher):
    """Draws configurations from a randomized Halton sequence, one dimension for each parameter in the space.

    Unlike random numbers, these leave no large holes and come in no clumps; in a dozen dimensions and more they are as good as
    random ones. The rest is as with RandomSearch.

    >>> from nbray import tune
    >>> search = QuasiRandomSearch({"x": tune.uniform(0, 1)}, seed=1)
    >>> search.set_search_properties(None, None, {}, num_samples=4, seed=0)
    >>> sorted(int(4 * search.suggest(str(number))["x"]) for number in range(4))
    [0, 1, 2, 3]
    """

    def __init__(
        self, space: Mapping[str, Any] | None = None, *, metric: str | None = None, mode: str | None = None,
        points_to_evaluate: Sequence[Point] | None = None, seed: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(metric, mode)
        self._space = space
        self._points = check_points(points_to_evaluate, "QuasiRandomSearch")
        self._seed = seed
        self._dimensions: dict[Path, int] = {}
        self._samples: Samples | None = None

    def set_search_properties(
        self, metric: str | None, mode: str | None, space: Mapping[str, Any], num_samples: int, seed: int
    ) -> None:
        super().set_search_properties(metric, mode, space, num_samples, seed)
        self._seed = seed if self._seed is None else self._seed
        settled = settle_space(self._space, space, "QuasiRandomSearch")
        fit_points(self._points, settled)
        drawn = (path for path, node in settled.parameters() if isinstance(node, Domain))
        self._dimensions = {path: number for number, path in enumerate(drawn)}
        self._samples = Samples(settled, self._unit, num_samples, self._seed, self._points)

    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        assert self._samples is not None, "set_search_properties comes first"
        return self._samples.next()

    def total(self) -> int | None:
        return None if self._samples is None else self._samples.total

    def _unit(self, number: int, path: Path) -> float:
        """Domains that a function of the space made have no dimension: they are drawn."""
        assert self._seed is not None
        dimension = self._dimensions.get(path)
        return draw(self._seed, number, path) if dimension is None else halton(self._seed, dimension, number)
