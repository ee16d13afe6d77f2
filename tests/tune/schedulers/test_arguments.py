from __future__ import annotations

import math

import pytest

from nbray.errors import UsageError
from nbray.tune.schedulers.arguments import check_age, check_factor, check_share


def test_good_ones_pass() -> None:
    check_age("X", 10, 10)
    check_age("X", 0.5, 0.1)
    check_factor("X", 1.5)
    check_share("X", "quantile_fraction", 0.5, most=0.5)


@pytest.mark.parametrize(
    ("max_t", "grace_period", "text"),
    [
        (5, 10, r"X got max_t=5, which is less than grace_period=10: .*type a grace_period of at most 5"),
        (0, 1, r"X got max_t=0; type the age at which a trial ends"),
        (5, 0, r"X got grace_period=0; type the age before which"),
        ("5", 1, r"X got max_t='5'; type a number, such as max_t=10"),
        (math.nan, 1, r"X got max_t=nan; type a number"),
        (5, True, r"X got grace_period=True; type a number"),
    ],
)
def test_ages_that_cannot_be(max_t: object, grace_period: object, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        check_age("X", max_t, grace_period)


def test_factors_and_shares_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="X got reduction_factor=1; one in so many trials goes on at a rung: type 2, 3 or 4"):
        check_factor("X", 1)
    with pytest.raises(UsageError, match=r"X got quantile_fraction=0.6; type a share between 0 and 0.5"):
        check_share("X", "quantile_fraction", 0.6, most=0.5)
