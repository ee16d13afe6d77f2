"""Halton's sequence with random digits: numbers that fill a cube more evenly than random ones.

Each dimension counts in a prime of its own and mirrors the digits behind the point; each digit goes through a permutation
that the seed chooses. From A. Owen, "A randomized Halton algorithm in R" (2017).
"""

from __future__ import annotations

from functools import lru_cache

from nbray.tune.draws import draw

_BITS = 53
"""So many bits has a float."""


def halton(seed: int, dimension: int, number: int) -> float:
    """The coordinate of a point in a dimension, both counted from 0; below 1.

    >>> sorted(int(8 * halton(1, 0, number)) for number in range(8))
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    base = prime(dimension)
    digits = _digits_needed(base)
    value = 0
    for position in range(digits):
        number, digit = divmod(number, base)
        value = value * base + _permutation(seed, dimension, position, base)[digit]
    return min(value / float(base**digits), 1 - 2.0**-_BITS)


@lru_cache(maxsize=4096)
def _permutation(seed: int, dimension: int, position: int, base: int) -> tuple[int, ...]:
    return tuple(sorted(range(base), key=lambda digit: draw(seed, "halton", dimension, position, digit)))


@lru_cache(maxsize=1024)
def _digits_needed(base: int) -> int:
    digits = 1
    while base**digits < 1 << _BITS:
        digits += 1
    return digits


@lru_cache(maxsize=1024)
def prime(number: int) -> int:
    """The prime of this number, 2 being that of 0.

    >>> [prime(number) for number in range(6)]
    [2, 3, 5, 7, 11, 13]
    """
    candidate = prime(number - 1) + 1 if number else 2
    while any(candidate % divisor == 0 for divisor in range(2, int(candidate**0.5) + 1)):
        candidate += 1
    return candidate
