from __future__ import annotations

from typing import Any

import pytest

from nbray.errors import UsageError, WrongType
from nbray.tune.search.points import check_points, fit_points
from nbray.tune.search_space import SearchSpace
from nbray.tune.spaces import choice, grid_search, randint, sample_from, uniform


@pytest.mark.parametrize("points", [{"x": 1}, "x", 3])
def test_points_are_a_list(points: Any) -> None:
    with pytest.raises(WrongType, match=r"RandomSearch got points_to_evaluate=.* It takes a list of dicts: points_to"):
        check_points(points, "RandomSearch")


def test_each_point_is_a_dict() -> None:
    points: Any = [{"x": 1}, 3]
    with pytest.raises(WrongType, match=r"RandomSearch got 3 among its points_to_evaluate. Each one is a dict"):
        check_points(points, "RandomSearch")
    assert check_points(None, "RandomSearch") == ()
    assert check_points([{"x": 1}], "RandomSearch") == ({"x": 1},)


def test_a_point_that_does_not_fit_is_named_by_its_number() -> None:
    space = SearchSpace({"x": uniform(0, 1), "m": choice([{"n": randint(1, 9)}, 2]), "g": grid_search([1, 2])})
    fit_points([{}, {"x": 0.5, "m": {"n": 3}, "g": 2}], space)
    with pytest.raises(UsageError, match=r"points_to_evaluate\[1\]: 'x' is 7, and in the search space it is uniform\(0.0, 1.0\)"):
        fit_points([{}, {"x": 7}], space)


def test_what_a_function_raises_stays_the_cause() -> None:
    space = SearchSpace({"x": uniform(0, 1), "f": sample_from(lambda config: 1 / 0)})
    with pytest.raises(UsageError, match=r"points_to_evaluate\[0\]: the function of sample_from") as caught:
        fit_points([{"x": 0.5}], space)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
