"""The configurations of a space one after another: sample by sample, each with all combinations of its grids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbray.tune.domains import Choice, Domain, Grid
from nbray.tune.draws import generator
from nbray.tune.search.searcher import FINISHED, Exhausted
from nbray.tune.search_space import Levels, Path, SearchSpace, grids_only, is_enumerated

if TYPE_CHECKING:
    import numpy as np

Unit = Callable[[int, Path], float]
"""The number in [0, 1) for a parameter of the configuration of this number."""


class Samples:
    """Resolves a space again and again, `count` samples of it (-1: without end), the first ones from the points given.

    `unit` says where a drawn value lies in its domain, and `levels` which parameters are tried value by value: the first of them
    varies fastest. With `constant_grid` all configurations of a sample share what is drawn.
    """

    def __init__(
        self, space: SearchSpace, unit: Unit, count: int, seed: int, points: Sequence[Mapping[str, Any]] = (),
        *, levels: Levels = grids_only, constant_grid: bool = False,
    ) -> None:  # fmt: skip
        self._space = space
        self._unit = unit
        self._count = count
        self._seed = seed
        self._points = points
        self._levels = levels
        self._constant_grid = constant_grid
        self._sample = 0
        self._number = 0
        self._first_number = 0
        """Number of the sample's first configuration."""
        self._places: dict[Path, tuple[int, int]] = {}
        """Where the sample stands: which value each parameter that is tried value by value is at, and how many it has."""
        self.total = self._count_all()
        """How many configurations there are altogether; None if there is no end to them."""

    def _count_all(self) -> int | None:
        if self._count == -1:
            return None
        count = max(self._count, len(self._points))
        if self._space.has_grid_in_choice(self._levels):
            return self._total_drawn(count)
        sizes = [self._size(0, sample) for sample in range(min(len(self._points) + 1, count))]
        return sum(sizes) + sizes[-1] * (count - len(sizes)) if sizes else 0

    def _total_drawn(self, count: int) -> int:
        total = 0
        for sample in range(count):
            total += self._size(total, sample)
        return total

    def _size(self, first_number: int, sample: int) -> int:
        point = self._points[sample] if sample < len(self._points) else None
        return self._space.grid_size(self._levels, lambda path, choice: choice.index(self._unit(first_number, path)), point)

    def next(self) -> dict[str, Any] | Exhausted:
        """The next configuration."""
        if self._count != -1 and self._sample >= max(self._count, len(self._points)):
            return FINISHED
        point = self._points[self._sample] if self._sample < len(self._points) else None
        config = self._space.resolve(self._draw, self._randomness, point, backwards=True)
        self._number += 1
        self._go_on()
        return config

    def _draw(self, path: Path, node: Domain | Grid) -> Any:
        levels = self._levels(node)
        if levels:
            place, _ = self._places.setdefault(path, (0, len(levels)))
            return levels[place]
        assert isinstance(node, Domain)
        shared = self._constant_grid or is_enumerated(node, self._levels)
        u = self._unit(self._first_number if shared else self._number, path)
        return node.index(u) if isinstance(node, Choice) else node.quantile(u)

    def _randomness(self, path: Path) -> np.random.Generator:
        return generator(self._seed, self._first_number if self._constant_grid else self._number, path)

    def _go_on(self) -> None:
        """Move the parameter that was asked for last, and those before it when it is through.

        The space asks backwards, for the branches of a parameter right after it: the last one asked is the first in the space,
        and one whose branch is left is forgotten.
        """
        for path, (place, size) in reversed(list(self._places.items())):
            if place + 1 < size:
                self._places[path] = place + 1, size
                return
            del self._places[path]
        self._sample += 1
        self._first_number = self._number
