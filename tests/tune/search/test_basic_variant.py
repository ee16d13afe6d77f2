from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbray.errors import UsageError, WrongType
from nbray.tune.search.basic_variant import BasicVariantGenerator
from nbray.tune.search.random_search import RandomSearch
from nbray.tune.spaces import grid_search, uniform
from tests.tune.search.searching import prepare, run

SPACE = {"x": uniform(0, 1), "g": grid_search([1, 2])}


def test_it_is_random_search_with_rays_arguments() -> None:
    ours = RandomSearch(points_to_evaluate=[{"x": 0.5}], constant_grid_search=True, seed=3)
    rays = BasicVariantGenerator(points_to_evaluate=[{"x": 0.5}], max_concurrent=4, constant_grid_search=True, random_state=3)
    assert run(prepare(rays, SPACE)) == run(prepare(ours, SPACE))


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_is_a_seed(make: Any) -> None:
    assert run(prepare(BasicVariantGenerator(random_state=make(1)), SPACE)) == run(
        prepare(BasicVariantGenerator(random_state=make(1)), SPACE)
    )
    assert run(prepare(BasicVariantGenerator(random_state=make(1)), SPACE)) != run(
        prepare(BasicVariantGenerator(random_state=make(2)), SPACE)
    )


def test_another_random_state_is_refused() -> None:
    wrong: Any = "abc"
    with pytest.raises(WrongType, match=r"BasicVariantGenerator got random_state='abc'. It takes a seed, such as random_state=0"):
        BasicVariantGenerator(random_state=wrong)


def test_errors_name_it_by_its_own_name() -> None:
    with pytest.raises(UsageError, match=r"BasicVariantGenerator got max_concurrent=-1"):
        BasicVariantGenerator(max_concurrent=-1)
