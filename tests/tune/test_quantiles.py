from __future__ import annotations

import math
import random
from decimal import Context, localcontext
from statistics import NormalDist, mean, stdev

import pytest

from nbray.tune import quantiles


@pytest.mark.parametrize("u", [1e-15, 1e-6, 0.001, 0.1, 0.25, 0.4999, 0.5, 0.75, 0.999, 1 - 1e-12])
def test_normal_is_the_inverse_of_the_distribution(u: float) -> None:
    assert quantiles.normal(u, 10.0, 2.0) == pytest.approx(NormalDist(10, 2).inv_cdf(u), rel=1e-9)


def test_normal_is_exact_to_the_last_bit() -> None:
    """Values of the standard normal distribution, from tables of 40 digits."""
    assert quantiles.normal(0.975, 0.0, 1.0) == 1.9599639845400538  # of the float, which is 2.2e-17 below 0.975
    assert quantiles.normal(0.75, 0.0, 1.0) == 0.6744897501960817
    assert quantiles.normal(0.25, 0.0, 1.0) == -0.6744897501960817


def test_the_ends_of_the_normal_distribution_are_finite() -> None:
    assert -9 < quantiles.normal(0.0, 0.0, 1.0) < -8
    assert 8 < quantiles.normal(1.0, 0.0, 1.0) < 9


def test_log_uniform_stays_within_its_bounds_and_meets_them() -> None:
    assert quantiles.log_uniform(0.0, 1e-4, 1e-1) == 1e-4
    assert quantiles.log_uniform(1.0, 1e-4, 1e-1) == 1e-1
    assert [quantiles.log_uniform(u, 1e-4, 1e-1) for u in (1 / 3, 2 / 3)] == pytest.approx([1e-3, 1e-2])


def test_log_uniform_agrees_with_the_library() -> None:
    numbers = random.Random(0)
    for _ in range(200):
        u = numbers.random()
        assert quantiles.log_uniform(u, 0.3, 7000.0) == pytest.approx(0.3 * math.exp(u * math.log(7000 / 0.3)), rel=1e-12)


def test_normal_values_have_their_mean_and_deviation() -> None:
    values = [quantiles.normal((number + 0.5) / 2000, 3.0, 0.5) for number in range(2000)]
    assert mean(values) == pytest.approx(3.0)
    assert stdev(values) == pytest.approx(0.5, rel=1e-2)


def test_nothing_depends_on_the_callers_decimal_context() -> None:
    before = [quantiles.normal(1e-15, 0.0, 1.0), quantiles.log_uniform(0.3, 0.1, 7.0)]
    with localcontext(Context(prec=3)):
        quantiles._log_range.cache_clear()
        assert [quantiles.normal(1e-15, 0.0, 1.0), quantiles.log_uniform(0.3, 0.1, 7.0)] == before
    assert before[0] == -7.941345326170997
