"""Owns scales: from values to positions on a picture, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

LARGEST = 1e300
"""Beyond this the difference of two values may be no number."""
DECADES = 2.0
"""Positive values that span so many powers of ten are drawn on a logarithmic scale."""
FAR = 8.0
"""Where all values together are so many times wider than the middle four fifths, those far off are drawn at the edge."""


class Scale(NamedTuple):
    """From `low` to `high` on one axis; values outside are drawn at the edge."""

    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value lies, from 0 to 1.

        >>> Scale(0, 10).place(4), Scale(1, 100, True).place(10), Scale(0, 1).place(7)
        (0.4, 0.5, 1.0)
        """
        low, high = (math.log(self.low), math.log(self.high)) if self.logarithmic else (self.low, self.high)
        if self.logarithmic:
            value = math.log(value) if value > 0 else -math.inf
        if high == low:
            return 0.5
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers within the scale.

        >>> Scale(0.3, 0.98).ticks(), Scale(1e-4, 0.1, True).ticks()
        ([0.4, 0.6, 0.8], [0.0001, 0.001, 0.01, 0.1])
        """
        return self._powers(about) if self.logarithmic else _round_numbers(self.low, self.high, about)

    def _powers(self, about: int) -> list[float]:
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        step = max(1, math.ceil((last - first + 1) / about))
        powers = [10.0**power for power in range(first, last + 1, step)]
        return powers if len(powers) > 1 else [self.low, *powers, self.high] if len(powers) == 1 else [self.low, self.high]


def scale_of(values: Iterable[float], *, robust: bool = False, exact: bool = False, linear: bool = False) -> Scale:
    """A scale that shows these values: with a little air, or `exact`; `robust` gives no room to a few that lie far off.

    Logarithmic where the values span powers of ten, unless `linear`.

    >>> scale_of([2.0, 2.0])
    Scale(low=1.5, high=2.5, logarithmic=False)
    """
    known = sorted(min(LARGEST, max(-LARGEST, value)) for value in values if math.isfinite(value))
    if not known:
        return Scale(0.0, 1.0)
    low, high = known[0], known[-1]
    if not linear and spans_decades(low, high):
        return Scale(low, high, True) if exact else Scale(low / 1.15, high * 1.15, True)
    if robust:
        low, high = _without_far(known)
    if low == high:
        return Scale(low - 0.5, high + 0.5)
    air = 0.0 if exact else 0.05 * (high - low)
    return Scale(low - air, high + air)


def spans_decades(low: float, high: float) -> bool:
    """Whether values from `low` to `high` are seen better on a logarithmic scale.

    >>> spans_decades(0.01, 1.0), spans_decades(0.1, 1.0), spans_decades(0.0, 1.0)
    (True, False, False)
    """
    return low > 0 and high / low >= 10**DECADES


def _without_far(known: list[float]) -> tuple[float, float]:
    if len(known) < 8:
        return known[0], known[-1]
    low, high = known[len(known) // 10], known[(9 * len(known)) // 10]
    width = high - low
    if width == 0 or known[-1] - known[0] < FAR * width:
        return known[0], known[-1]
    near = [value for value in known if low - 1.5 * width <= value <= high + 1.5 * width]
    return near[0], near[-1]


def _round_numbers(low: float, high: float, about: int) -> list[float]:
    rough = (high - low) / max(1, about)
    if rough < 1 / LARGEST or not math.isfinite(rough):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.85)
    digits = max(0, 2 - math.floor(math.log10(step)))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    ticks = (round(number * step, digits) for number in range(first, last + 1))
    slack = 1e-7 * (high - low)
    return [tick for tick in ticks if low - slack <= tick <= high + slack]  # of huge numbers even the products are round


def number_text(value: float, digits: int = 4) -> str:
    """A number as people read it: so many digits that count.

    >>> number_text(0.973333333), number_text(1234567), number_text(0.00001234), number_text(12.0), number_text(float("nan"))
    ('0.9733', '1,234,567', '1.234e-05', '12', 'NaN')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e9):
        return f"{int(value):,}"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.1f}" if abs(value) < 1e6 else f"{value:.{digits - 1}e}"
    return f"{value:.{digits}g}"
