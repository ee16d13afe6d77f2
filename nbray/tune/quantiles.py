"""Quantile functions that give the same float on every machine: from a number in [0, 1) to a log-uniform or a normal one.

The `exp` and `log` of C libraries and of numpy differ in the last bit from machine to machine; those of Decimal are exact, so a
seed leads to the same configurations everywhere.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

_CONTEXT = Context(prec=50, rounding=ROUND_HALF_EVEN)
"""Operators such as + and - would use the context of whoever calls, so all arithmetic is written as methods of this one."""
_ROOT_OF_TWO_PI = Decimal("2.50662827463100050241576528481104525300698674060993831663")
_TWO = Decimal(2)
_HALF = Decimal("0.5")
_NEGLIGIBLE = Decimal("1e-52")
_SMALLEST = 2.0**-54
_LARGEST = 1 - 2.0**-53


def log_uniform(u: float, lower: float, upper: float) -> float:
    """The value below which a share `u` of a log-uniform distribution lies; `lower` and `upper` are positive.

    >>> log_uniform(0.5, 1e-4, 1e-2)
    0.001
    """
    low, span = _log_range(lower, upper)
    value = _CONTEXT.exp(_CONTEXT.add(low, _CONTEXT.multiply(_CONTEXT.create_decimal_from_float(u), span)))
    return min(max(float(value), lower), upper)


@lru_cache(maxsize=256)
def _log_range(lower: float, upper: float) -> tuple[Decimal, Decimal]:
    low = _CONTEXT.ln(_shortest(lower))
    return low, _CONTEXT.subtract(_CONTEXT.ln(_shortest(upper)), low)


def _shortest(value: float) -> Decimal:
    """0.1 as one tenth, not as the float that is nearest to it: half-way between 0.0001 and 0.01 then lies 0.001."""
    return Decimal(repr(value))


def normal(u: float, mean: float, sd: float) -> float:
    """The value below which a share `u` of a normal distribution lies.

    >>> normal(0.5, 3.0, 1.0)
    3.0
    """
    u = min(max(u, _SMALLEST), _LARGEST)
    return mean + sd * _standard_normal(u)


def _standard_normal(u: float) -> float:
    """One Newton step in 50 digits from the library's answer, which leaves nothing of its last bits."""
    from statistics import NormalDist  # here, as few spaces need it and every process of an experiment would import it

    c = _CONTEXT
    start = c.create_decimal_from_float(NormalDist().inv_cdf(u))
    half_square = c.divide(c.multiply(start, start), _TWO)
    density = c.divide(c.exp(c.minus(half_square)), _ROOT_OF_TWO_PI)
    missing = c.subtract(c.create_decimal_from_float(u), _share_below(start, density))
    return float(c.add(start, c.divide(missing, density)))


def _share_below(x: Decimal, density: Decimal) -> Decimal:
    """1/2 + density * (x + x^3/3 + x^5/(3*5) + ...): all terms of one sign, so nothing cancels."""
    c = _CONTEXT
    square = c.multiply(x, x)
    term = total = x
    odd = 1
    while c.abs(term) > _NEGLIGIBLE:
        odd += 2
        term = c.divide(c.multiply(term, square), Decimal(odd))
        total = c.add(total, term)
    return c.add(_HALF, c.multiply(density, total))
