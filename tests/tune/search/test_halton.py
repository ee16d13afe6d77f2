from __future__ import annotations

import random

import pytest

from nbray.tune.search.halton import halton, prime


def test_primes() -> None:
    assert [prime(number) for number in range(10)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]


@pytest.mark.parametrize("dimension", [0, 1, 5, 20])
def test_each_stretch_of_a_power_of_the_prime_hits_every_interval_once(dimension: int) -> None:
    base = prime(dimension)
    for start in (0, base, 7 * base):
        values = [halton(3, dimension, start + number) for number in range(base)]
        assert sorted(int(base * value) for value in values) == list(range(base))
        assert all(0 <= value < 1 for value in values)


def test_seeds_and_dimensions_differ() -> None:
    assert len({halton(seed, dimension, 5) for seed in range(5) for dimension in range(5)}) == 25
    assert halton(1, 2, 3) == halton(1, 2, 3)


def discrepancy(points: list[tuple[float, float]]) -> float:
    """The largest difference between area and share of points over the boxes at the origin of a grid."""
    corners = [number / 16 for number in range(1, 17)]
    return max(abs(sum(x < a and y < b for x, y in points) / len(points) - a * b) for a in corners for b in corners)


@pytest.mark.parametrize("seed", range(3))
def test_it_covers_a_square_more_evenly_than_random_numbers(seed: int) -> None:
    numbers = random.Random(seed)
    even = discrepancy([(halton(seed, 0, number), halton(seed, 1, number)) for number in range(256)])
    uneven = discrepancy([(numbers.random(), numbers.random()) for _ in range(256)])
    assert even < 0.025
    assert even < uneven / 2
