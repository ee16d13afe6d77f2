"""Checks of the arguments that several schedulers have in common."""

from __future__ import annotations

from math import isfinite
from numbers import Real

from nbray.errors import UsageError


def number(owner: str, name: str, value: object) -> float:
    """The value, if it is a finite number and no bool; else a UsageError that says so."""
    if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
        raise UsageError(f"{owner} got {name}={value!r}; type a number, such as {name}=10")
    return float(value)


def check_age(owner: str, max_t: object, grace_period: object = 1) -> None:
    """Raise UsageError unless 0 < grace_period <= max_t."""
    if number(owner, "max_t", max_t) <= 0:
        raise UsageError(f"{owner} got max_t={max_t!r}; type the age at which a trial ends, more than 0")
    if number(owner, "grace_period", grace_period) <= 0:
        raise UsageError(f"{owner} got grace_period={grace_period!r}; type the age before which no trial is judged, more than 0")
    if number(owner, "max_t", max_t) < number(owner, "grace_period", grace_period):
        raise UsageError(
            f"{owner} got max_t={max_t!r}, which is less than grace_period={grace_period!r}: every trial would end before it is "
            f"judged; type a grace_period of at most {max_t!r}"
        )


def check_factor(owner: str, reduction_factor: object) -> None:
    """Raise UsageError unless it is more than 1."""
    if number(owner, "reduction_factor", reduction_factor) <= 1:
        raise UsageError(
            f"{owner} got reduction_factor={reduction_factor!r}; one in so many trials goes on at a rung: type 2, 3 or 4"
        )


def check_share(owner: str, name: str, value: object, most: float = 1.0) -> None:
    """Raise UsageError unless it lies between 0 and `most`."""
    if not 0 <= number(owner, name, value) <= most:
        raise UsageError(f"{owner} got {name}={value!r}; type a share between 0 and {most:g}")
