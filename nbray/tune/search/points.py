"""The points that somebody knows to be good (`points_to_evaluate`): configurations, or parts of them, that are tried first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbray.errors import UsageError, WrongType
from nbray.tune.draws import generator
from nbray.tune.search_space import SearchSpace, middle

Point = Mapping[str, Any]


def check_points(points: Sequence[Point] | None, owner: str) -> tuple[Point, ...]:
    """The points as given; raises WrongType unless they are a list of dicts."""
    if points is None:
        return ()
    example = 'points_to_evaluate=[{"lr": 0.01}, {"lr": 0.1, "depth": 4}]'
    if isinstance(points, Mapping | str) or not isinstance(points, Sequence):
        raise WrongType(f"{owner} got points_to_evaluate={points!r}. It takes a list of dicts: {example}.")
    for point in points:
        if not isinstance(point, Mapping):
            raise WrongType(f"{owner} got {point!r} among its points_to_evaluate. Each one is a dict: {example}.")
    return tuple(points)


def fit_points(points: Sequence[Point], space: SearchSpace) -> None:
    """Raises UsageError for a point that has a key or a value that the space has not."""
    for number, point in enumerate(points):
        try:
            space.resolve(middle, lambda path: generator(0, path), point)
        except UsageError as error:
            raise UsageError(f"points_to_evaluate[{number}]: {error}") from error.__cause__
