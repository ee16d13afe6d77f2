"""The words that a search space is written with, `tune.uniform(0, 1)` and its like: they check what they get and make domains."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nbray.errors import UsageError, WrongType
from nbray.tune.domains import Choice, Grid, Integer, Normal, Real, SampleFrom, is_number, multiple


def choice(categories: Iterable[Any]) -> Choice:
    """One of several values; `None`, dicts and dicts that hold domains themselves are values too.

    >>> choice([None, 4, 8])
    choice([None, 4, 8])
    """
    return Choice(_values("choice", categories))


def grid_search(values: Iterable[Any]) -> Grid:
    """Every one of several values, each with all combinations of the other grids'; `num_samples` repeats the whole grid.

    >>> grid_search(["relu", "tanh"])
    grid_search(['relu', 'tanh'])
    """
    return Grid(_values("grid_search", values))


def uniform(lower: float, upper: float) -> Real:
    """A number between two others.

    >>> uniform(0, 1)
    uniform(0.0, 1.0)
    """
    return _real("uniform", lower, upper)


def quniform(lower: float, upper: float, q: float) -> Real:
    """A multiple of `q` between two others, both included; each is as likely as the others.

    >>> sorted({quniform(0, 1, 0.25).quantile(u / 100) for u in range(100)})
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return _real("quniform", lower, upper, q=q)


def loguniform(lower: float, upper: float, base: None = None) -> Real:
    """A positive number whose logarithm is uniform: as often between 0.001 and 0.01 as between 0.01 and 0.1.

    >>> loguniform(1e-4, 1e-2).quantile(0.5)
    0.001
    """
    _refuse_base("loguniform", base)
    return _real("loguniform", lower, upper, log=True)


def qloguniform(lower: float, upper: float, q: float, base: None = None) -> Real:
    """A log-uniform number rounded to a multiple of `q`; both ends are included.

    >>> qloguniform(1, 1000, 1).quantile(0.5)
    32.0
    """
    _refuse_base("qloguniform", base)
    return _real("qloguniform", lower, upper, log=True, q=q)


def randint(lower: int, upper: int) -> Integer:
    """A whole number from `lower` up to, and without, `upper`.

    >>> sorted({randint(1, 4).quantile(u / 10) for u in range(10)})
    [1, 2, 3]
    """
    return _integer("randint", lower, upper)


def qrandint(lower: int, upper: int, q: int = 1) -> Integer:
    """A multiple of `q` from `lower` to `upper`, both included.

    >>> sorted({qrandint(8, 32, 8).quantile(u / 10) for u in range(10)})
    [8, 16, 24, 32]
    """
    return _integer("qrandint", lower, upper, q=q)


def lograndint(lower: int, upper: int, base: None = None) -> Integer:
    """A positive whole number up to, and without, `upper`, whose logarithm is uniform.

    >>> lograndint(1, 1000).quantile(0.5)
    31
    """
    _refuse_base("lograndint", base)
    return _integer("lograndint", lower, upper, log=True)


def qlograndint(lower: int, upper: int, q: int = 1, base: None = None) -> Integer:
    """A log-uniform whole number rounded to a multiple of `q`; both ends are included.

    >>> qlograndint(16, 1024, 16).quantile(0.5)
    128
    """
    _refuse_base("qlograndint", base)
    return _integer("qlograndint", lower, upper, log=True, q=q)


def randn(mean: float = 0.0, sd: float = 1.0) -> Normal:
    """A number from a normal distribution.

    >>> randn(10, 2).quantile(0.5)
    10.0
    """
    return _normal("randn", mean, sd)


def qrandn(mean: float, sd: float, q: float) -> Normal:
    """A number from a normal distribution, rounded to a multiple of `q`.

    >>> qrandn(10, 2, 0.5).quantile(0.9)
    12.5
    """
    return _normal("qrandn", mean, sd, q)


def sample_from(function: Callable[..., Any]) -> SampleFrom:
    """What a function makes of the rest of the configuration; what it returns may hold domains again.

    It is called with the configuration, `function(config)`: values that other functions make are made when it asks for them. A
    function of two arguments also gets a numpy generator with the experiment's seed: `function(config, rng)`.

    >>> sample_from(lambda config: config["width"] * 2)
    sample_from(<lambda>)
    """
    if not callable(function):
        raise WrongType(f"sample_from() got {function!r}. It takes a function: sample_from(lambda config: config['width'] * 2).")
    return SampleFrom(function)


def _values(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    example = f"{name}([1, 2, 3])"
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise WrongType(f"{name}() got {values!r}. It takes a list of values, such as {example}.")
    if isinstance(values, set | frozenset):
        raise WrongType(
            f"{name}() got a set, which has no order: the same seed would give other values in the next session. "
            f"Write {name}(sorted(...)) or a list."
        )
    listed = tuple(values.tolist() if hasattr(values, "tolist") else values)
    if not listed:
        raise UsageError(f"{name}() got no values, so there is nothing to try. Give it at least one, such as {example}.")
    return listed


def _real(name: str, lower: float, upper: float, *, log: bool = False, q: float | None = None) -> Real:
    low, high = _bounds(name, lower, upper, log=log)
    if math.isinf(high - low):
        raise UsageError(f"{name}({lower!r}, {upper!r}): the range is wider than a float can say. Take a narrower one.")
    if q is None:
        return Real(low, high, log)
    step = _step(name, q)
    for bound in (low, high):
        if not math.isclose(bound / step, round(bound / step), rel_tol=1e-9, abs_tol=1e-9):
            raise UsageError(
                f"{name}({lower!r}, {upper!r}, {q!r}): {bound!r} is not a multiple of {q!r}. Both bounds have to be, as both are "
                f"among the values: write {multiple(round(bound / step), step)!r}."
            )
    return Real(low, high, log, step)


def _integer(name: str, lower: int, upper: int, *, log: bool = False, q: int | None = None) -> Integer:
    for what, value in (("lower", lower), ("upper", upper), ("q", q)):
        if value is not None and (not is_number(value) or not math.isfinite(value) or value != int(value)):
            example = f"{name}(1, 10)" if q is None else f"{name}(2, 10, 2)"
            raise WrongType(f"{name}() got {what}={value!r}. It takes whole numbers, such as {example}.")
    _bounds(name, lower, upper, log=log)
    if q is None:
        return Integer(int(lower), int(upper) - 1, log)
    step = int(_step(name, q))
    if int(upper) // step < -(-int(lower) // step):
        raise UsageError(f"{name}({lower}, {upper}, {q}): no multiple of {q} lies between them. Take another q or bounds.")
    return Integer(int(lower), int(upper), log, step)


def _normal(name: str, mean: float, sd: float, q: float | None = None) -> Normal:
    middle, spread = _number(name, "mean", mean), _number(name, "sd", sd)
    if spread <= 0:
        example = f"{name}({mean!r}, 1)" if q is None else f"{name}({mean!r}, 1, {q!r})"
        raise UsageError(f"{name}() got sd={sd!r}. A standard deviation is positive: write {example}.")
    return Normal(middle, spread, None if q is None else _step(name, q))


def _bounds(name: str, lower: float, upper: float, *, log: bool) -> tuple[float, float]:
    low, high = _number(name, "lower", lower), _number(name, "upper", upper)
    if log and low <= 0:
        raise UsageError(
            f"{name}() got lower={lower!r}. A logarithm needs positive bounds, and they are given as they are, not as "
            f"logarithms: write {name}(1e-4, 1e-1), not {name}(-4, -1)."
        )
    if low > high:
        raise UsageError(f"{name}({lower!r}, {upper!r}): the lower bound is above the upper one. Swap them.")
    if low == high:
        raise UsageError(f"{name}({lower!r}, {upper!r}): nothing lies between the bounds. For a constant, write {lower!r} alone.")
    return low, high


def _step(name: str, q: float) -> float:
    step = _number(name, "q", q)
    if step <= 0:
        raise UsageError(f"{name}() got q={q!r}. Values are multiples of q, which is positive: leave q out, or write q=1.")
    return step


def _number(name: str, what: str, value: Any) -> float:
    if not is_number(value):
        raise WrongType(f"{name}() got {what}={value!r}, of type {type(value).__name__}. It takes a number.")
    if not math.isfinite(value):
        raise UsageError(f"{name}() got {what}={value!r}. It takes a finite number.")
    return float(value)


def _refuse_base(name: str, base: object) -> None:
    if base is not None:
        raise UsageError(f"{name}() got base={base!r}, which changes nothing: log-uniform is so in every base. Leave it out.")
