from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbray.tune import spaces
from nbray.tune.domains import Domain, same

EVENLY = [number / 1000 for number in range(1000)]
LARGEST = 1 - 2.0**-53


def values(domain: Domain) -> list[Any]:
    return [domain.quantile(u) for u in EVENLY]


DOMAINS = [
    spaces.choice([None, 3, "x"]),
    spaces.uniform(-1, 2),
    spaces.quniform(0.1, 0.7, 0.1),
    spaces.loguniform(1e-5, 1e2),
    spaces.qloguniform(0.5, 64, 0.5),
    spaces.randint(-3, 4),
    spaces.qrandint(10, 40, 10),
    spaces.lograndint(1, 1000),
    spaces.qlograndint(5, 50, 5),
    spaces.randn(1, 2),
    spaces.qrandn(1, 2, 0.25),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_all_that_a_domain_gives_is_in_it(domain: Domain) -> None:
    for u in [0.0, *EVENLY, LARGEST]:
        value = domain.quantile(u)
        assert domain.contains(value)
        assert value is None or type(value) in (int, float, str)


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_a_domain_prints_as_the_call_that_makes_it(domain: Domain) -> None:
    assert eval(repr(domain), vars(spaces)) == domain


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_values_that_can_be_counted_are_those_that_are_given(domain: Domain) -> None:
    count = domain.steps()
    if count is not None and count < 100:
        assert {domain.step(number) for number in range(count)} == set(values(domain))


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_sample_takes_one_number_of_whatever_generator(domain: Domain) -> None:
    assert domain.sample(random.Random(3)) == domain.quantile(random.Random(3).random())
    assert domain.sample(np.random.default_rng(3)) == domain.quantile(np.random.default_rng(3).random())


@pytest.mark.parametrize("domain", [spaces.choice(["a", "b", "c", "d"]), spaces.randint(0, 4), spaces.qrandint(2, 8, 2),
                                    spaces.quniform(0, 0.3, 0.1)], ids=repr)  # fmt: skip
def test_values_are_equally_likely(domain: Domain) -> None:
    assert set(Counter(values(domain)).values()) == {250}


def test_steps_are_the_decimal_numbers_that_one_reads() -> None:
    assert sorted(set(values(spaces.quniform(0, 0.7, 0.1)))) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_the_top_of_randint_is_out_and_that_of_qrandint_is_in() -> None:
    assert set(values(spaces.randint(1, 4))) == {1, 2, 3}
    assert set(values(spaces.lograndint(1, 4))) == {1, 2, 3}
    assert set(values(spaces.qrandint(1, 4))) == {1, 2, 3, 4}
    assert set(values(spaces.qlograndint(1, 4))) == {1, 2, 3, 4}


def test_a_step_that_does_not_meet_the_bounds_stays_between_them() -> None:
    assert set(values(spaces.qrandint(1, 10, 3))) == {3, 6, 9}


def test_log_domains_have_as_many_values_in_each_power_of_ten() -> None:
    counts = Counter(int(value >= 0.01) + int(value >= 0.1) for value in values(spaces.loguniform(1e-3, 1)))
    assert counts == {0: 334, 1: 333, 2: 333} or max(counts.values()) - min(counts.values()) <= 2
    small = sum(value < 10 for value in values(spaces.lograndint(1, 1000)))
    assert small == pytest.approx(333, abs=3)


@pytest.mark.parametrize(("domain", "value"), [
    (spaces.choice([1, 2]), 3),
    (spaces.choice([1, 0]), True),
    (spaces.uniform(0, 1), 1.01),
    (spaces.uniform(0, 1), "0.5"),
    (spaces.uniform(0, 1), float("nan")),
    (spaces.uniform(0, 1), True),
    (spaces.quniform(0, 1, 0.1), 0.25),
    (spaces.randint(1, 4), 4),
    (spaces.randint(1, 4), 1.5),
    (spaces.randint(1, 4), float("inf")),
    (spaces.randint(1, 4), None),
    (spaces.qrandint(2, 8, 2), 3),
    (spaces.randn(), float("nan")),
])  # fmt: skip
def test_what_is_not_in_a_domain(domain: Domain, value: Any) -> None:
    assert not domain.contains(value)


def test_numbers_of_numpy_are_numbers() -> None:
    assert spaces.uniform(0, 1).contains(np.float32(0.5))
    assert spaces.randint(1, 4).contains(np.int64(2))
    assert spaces.quniform(0, 1, 0.1).contains(0.30000000000000004)


def test_sameness_knows_arrays_and_tells_truth_from_one() -> None:
    assert same(np.array([1, 2]), np.array([1, 2]))
    assert not same(np.array([1, 2]), np.array([1, 3]))
    assert not same(1, True)
    assert same(float("nan"), float("nan")) is False
    assert same(None, None)
    assert not same(np.array([1, 2]), np.array([1, 2, 3]))
    assert not same([np.array([1, 2])], [np.array([1, 2])])
    assert same(pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}))
    assert not same(pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1, 2]}))


def test_large_ranges_keep_whole_numbers_exact() -> None:
    domain = spaces.randint(0, 2**62)
    assert 0 <= domain.quantile(LARGEST) < 2**62
