from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbray.widgets.scales import Scale, number_text, scale_of


def test_a_few_far_values_get_no_room_where_that_is_asked() -> None:
    near = [0.1 * step for step in range(20)]
    assert scale_of([*near, 1e6, -5.0], robust=True).high < 3
    assert scale_of([*near, 1e6, -5.0]).high > 1e6


def test_a_curve_that_begins_low_is_shown_from_its_beginning() -> None:
    curve = [1 - 1 / step for step in range(2, 40)]
    assert scale_of(curve, robust=True).low < curve[0]


def test_values_over_powers_of_ten_are_drawn_logarithmically() -> None:
    assert scale_of([1e-4, 1e-1]).logarithmic
    assert not scale_of([0.5, 5]).logarithmic
    assert not scale_of([-1e-4, 1e3]).logarithmic


def test_what_is_no_number_is_passed_over() -> None:
    assert scale_of([math.nan, 1.0, math.inf, 2.0], exact=True) == Scale(1.0, 2.0)
    assert scale_of([]) == Scale(0.0, 1.0)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30), st.booleans(), st.booleans())
@example([1801439850948200.0], False, False)
@example([-2.4943878677507385e-308, -2.4943878677507415e-308], False, False)
def test_every_scale_can_be_drawn(values: list[float], robust: bool, exact: bool) -> None:
    scale = scale_of(values, robust=robust, exact=exact)
    assert scale.low <= scale.high < math.inf
    assert all(0 <= scale.place(value) <= 1 for value in values)
    for tick in scale.ticks():
        reach = 1e-6 * (scale.high - scale.low)
        assert scale.low - reach <= tick <= scale.high + reach
    assert len(scale.ticks()) <= 8


@pytest.mark.parametrize(
    ("value", "said"), [(math.inf, "∞"), (-math.inf, "-∞"), (1e12, "1.000e+12"), (12345.6, "12,345.6"), (3, "3")]
)
def test_numbers_are_short(value: float, said: str) -> None:
    assert number_text(value) == said
