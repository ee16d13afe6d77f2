"""Seeded numbers by name: the same seed and the same names give the same number, in whatever order they are asked for.

There is no generator whose state would have to be kept: a value that is added to a search space leaves those of the others as
they were, and a resumed experiment draws what the first run drew.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from xxhash import xxh3_64_intdigest

if TYPE_CHECKING:
    import numpy as np

_STEPS = 1 << 53


def draw(seed: int, *names: Hashable) -> float:
    """A number in [0, 1), uniformly distributed over the names.

    >>> draw(7, "trial", 3) == draw(7, "trial", 3) != draw(7, "trial", 4)
    True
    """
    return (_digest(seed, names) >> 11) / _STEPS


def generator(seed: int, *names: Hashable) -> np.random.Generator:
    """A generator of its own for these names, for functions of the user's that draw."""
    import numpy as np  # here, as it takes longer to import than a small experiment to run

    return np.random.Generator(np.random.PCG64(_digest(seed, names)))


def _digest(seed: int, names: tuple[Hashable, ...]) -> int:
    return xxh3_64_intdigest(repr((seed, *names)).encode())
