"""Grid search: every combination of all values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from nbray.errors import UsageError
from nbray.tune.domains import Choice, Domain, Grid, Normal
from nbray.tune.draws import draw
from nbray.tune.search.points import Point, check_points, fit_points
from nbray.tune.search.samples import Samples
from nbray.tune.search.searcher import Exhausted, Searcher
from nbray.tune.search_space import name_of, settle_space

MOST_VALUES = 1000
"""A parameter with more values than this is no grid that somebody meant."""


class GridSearch(Searcher):
    """Tries all combinations: every value of a choice, a range of whole numbers or of steps, and `points_per_range` values of
    other ranges, both ends included; `num_samples` repeats the whole grid.

    >>> from nbray import tune
    >>> search = GridSearch({"lr": tune.loguniform(1e-4, 1e-2), "depth": tune.choice([2, 4])}, points_per_range=3)
    >>> search.set_search_properties(None, None, {}, num_samples=1, seed=0)
    >>> search.total()
    6
    >>> [search.suggest(str(number)) for number in range(2)]
    [{'lr': 0.0001, 'depth': 2}, {'lr': 0.001, 'depth': 2}]
    """

    def __init__(
        self, space: Mapping[str, Any] | None = None, *, metric: str | None = None, mode: str | None = None,
        points_per_range: int | None = None, points_to_evaluate: Sequence[Point] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(metric, mode)
        if points_per_range is not None and (not isinstance(points_per_range, int) or not 1 <= points_per_range <= MOST_VALUES):
            raise UsageError(
                f"GridSearch got points_per_range={points_per_range!r}. It is how many values of a range are tried, such as 5."
            )
        self._space = space
        self._points_per_range = points_per_range
        self._points = check_points(points_to_evaluate, "GridSearch")
        self._samples: Samples | None = None

    def set_search_properties(
        self, metric: str | None, mode: str | None, space: Mapping[str, Any], num_samples: int, seed: int
    ) -> None:
        super().set_search_properties(metric, mode, space, num_samples, seed)
        settled = settle_space(self._space, space, "GridSearch")
        if settled.is_constant:
            raise UsageError("GridSearch has nothing to search: the space has no choice, range or grid_search in it. Put one in.")
        for path, node in settled.parameters():
            self._check(name_of(path), node)
        fit_points(self._points, settled)
        self._samples = Samples(settled, partial(draw, seed), num_samples, seed, self._points, levels=self._levels)

    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        assert self._samples is not None, "set_search_properties comes first"
        return self._samples.next()

    def total(self) -> int | None:
        return None if self._samples is None else self._samples.total

    def _levels(self, node: Domain | Grid) -> Sequence[Any]:
        """What is tried of a parameter: of a choice or grid the numbers of its values, of all others the values."""
        if isinstance(node, Grid):
            return range(len(node.values))
        steps, count = node.steps(), self._points_per_range
        if isinstance(node, Choice):
            return range(node.steps())
        if steps is not None and (count is None or steps <= count):
            return [node.step(number) for number in range(steps)]
        assert count is not None, "checked before"
        return list(dict.fromkeys(node.quantile(u) for u in _spread(count, open_ends=isinstance(node, Normal))))

    def _check(self, name: str, node: Domain | Grid) -> None:
        if isinstance(node, Choice | Grid) or self._points_per_range is not None:
            return
        steps = node.steps()
        if steps is None or steps > MOST_VALUES:
            raise UsageError(
                f"GridSearch cannot try all of {name!r}: {node!r} has {'any number of' if steps is None else format(steps, ',')} "
                "values. Say how many to try of a range, GridSearch(points_per_range=5), or list them: tune.grid_search([...])."
            )


def _spread(count: int, *, open_ends: bool) -> Iterator[float]:
    """Numbers from 0 to 1 at even distances; without the ends, and only one, in the middles of so many parts."""
    if open_ends or count == 1:
        return ((number + 0.5) / count for number in range(count))
    return (number / (count - 1) for number in range(count))
