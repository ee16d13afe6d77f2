"""Ray's name for random search with grids."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from nbray.errors import WrongType
from nbray.tune.search.points import Point
from nbray.tune.search.random_search import RandomSearch

if TYPE_CHECKING:
    import numpy as np


class BasicVariantGenerator(RandomSearch):
    """RandomSearch under the name and with the arguments that it has in Ray; `random_state` is a seed or a generator of numpy's.

    >>> from nbray import tune
    >>> search = BasicVariantGenerator(random_state=1)
    >>> search.set_search_properties(None, None, {"depth": tune.randint(1, 9)}, num_samples=3, seed=0)
    >>> search.total()
    3
    """

    def __init__(
        self, points_to_evaluate: Sequence[Point] | None = None, max_concurrent: int = 0, constant_grid_search: bool = False,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            points_to_evaluate=points_to_evaluate, max_concurrent=max_concurrent, constant_grid_search=constant_grid_search,
            seed=_seed(random_state),
        )  # fmt: skip


def _seed(random_state: Any) -> int | None:
    if random_state is None:
        return None
    if isinstance(random_state, Integral) and not isinstance(random_state, bool):
        return int(random_state)
    for draw in ("integers", "randint"):  # of a Generator and of a RandomState
        if hasattr(random_state, draw):
            return int(getattr(random_state, draw)(2**31))
    raise WrongType(f"BasicVariantGenerator got random_state={random_state!r}. It takes a seed, such as random_state=0.")
