"""What a value of a configuration may be: domains, which turn a number in [0, 1) into a value, and their two relatives.

Where that number comes from is the searcher's affair. Values are plain Python numbers, and the same on every machine. Each domain
prints as the call that makes it.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from nbray.tune import quantiles


class Source(Protocol):
    """Where `sample` takes its numbers from: a `random.Random`, or a generator of numpy's."""

    def random(self) -> float: ...


class Domain(msgspec.Struct, frozen=True):
    """A set of values with a distribution over it."""

    def quantile(self, u: float) -> Any:
        """The value below which a share `u`, in [0, 1), of the distribution lies."""
        raise NotImplementedError

    def contains(self, value: Any) -> bool:
        """Whether the domain could give this value."""
        raise NotImplementedError

    def steps(self) -> int | None:
        """How many values there are; None if any number of them."""
        return None

    def step(self, number: int) -> Any:
        """The value of this number, where they can be counted."""
        raise NotImplementedError

    def sample(self, rng: Source) -> Any:
        """A value drawn with one number of the generator's.

        >>> import random
        >>> Integer(1, 6).sample(random.Random(1))
        1
        """
        return self.quantile(rng.random())


class Choice(Domain, frozen=True):
    """One of several values, each as likely as the others."""

    categories: tuple[Any, ...]

    def index(self, u: float) -> int:
        """The number of the category at `u`."""
        return int(u * len(self.categories))

    def quantile(self, u: float) -> Any:
        return self.categories[self.index(u)]

    def steps(self) -> int:
        return len(self.categories)

    def step(self, number: int) -> Any:
        return self.categories[number]

    def contains(self, value: Any) -> bool:
        return any(same(category, value) for category in self.categories)

    def __repr__(self) -> str:
        return f"choice({list(self.categories)!r})"


class Real(Domain, frozen=True):
    """A number between two others, uniform or log-uniform; with `q`, a multiple of it."""

    lower: float
    upper: float
    log: bool = False
    q: float | None = None

    def quantile(self, u: float) -> float:
        if self.q is None:
            return self._between(u)
        steps = self.steps() or 0
        number = round(self._between(u) / self.q) - round(self.lower / self.q) if self.log else int(u * steps)
        return self.step(min(max(number, 0), steps - 1))

    def steps(self) -> int | None:
        return None if self.q is None else round(self.upper / self.q) - round(self.lower / self.q) + 1

    def step(self, number: int) -> float:
        assert self.q is not None, "any number of values"
        return multiple(round(self.lower / self.q) + number, self.q)

    def _between(self, u: float) -> float:
        if self.log:
            return quantiles.log_uniform(u, self.lower, self.upper)
        return min(self.lower + u * (self.upper - self.lower), self.upper)

    def contains(self, value: Any) -> bool:
        if not is_number(value) or not self.lower <= value <= self.upper:
            return False
        return self.q is None or math.isclose(value / self.q, round(value / self.q), rel_tol=1e-9, abs_tol=1e-9)

    def __repr__(self) -> str:
        name = f"{'q' if self.q is not None else ''}{'log' if self.log else ''}uniform"
        return _call(name, self.lower, self.upper, self.q)


class Integer(Domain, frozen=True):
    """A whole number from `lower` to `last`, both included; with `q`, a multiple of it."""

    lower: int
    last: int
    log: bool = False
    q: int | None = None

    def quantile(self, u: float) -> int:
        number = self._log_step(u) if self.log else int(u * self.steps())
        return self.step(min(max(number, 0), self.steps() - 1))

    def steps(self) -> int:
        return self.last // (self.q or 1) - self._first() + 1

    def step(self, number: int) -> int:
        return (self.q or 1) * (self._first() + number)

    def _first(self) -> int:
        """The lowest value, in multiples of q."""
        return -(-self.lower // (self.q or 1))

    def _log_step(self, u: float) -> int:
        if self.q is None:
            return math.floor(quantiles.log_uniform(u, self.lower, self.last + 1)) - self._first()
        return round(quantiles.log_uniform(u, self.lower, self.last) / self.q) - self._first()

    def contains(self, value: Any) -> bool:
        if not is_number(value) or not math.isfinite(value) or value != int(value):
            return False
        return self.lower <= value <= self.last and int(value) % (self.q or 1) == 0

    def __repr__(self) -> str:
        name = f"{'q' if self.q is not None else ''}{'log' if self.log else ''}randint"
        return _call(name, self.lower, self.last + (self.q is None), self.q)


class Normal(Domain, frozen=True):
    """A number from a normal distribution; with `q`, a multiple of it."""

    mean: float
    sd: float
    q: float | None = None

    def quantile(self, u: float) -> float:
        value = quantiles.normal(u, self.mean, self.sd)
        return value if self.q is None else multiple(round(value / self.q), self.q)

    def contains(self, value: Any) -> bool:
        return is_number(value) and math.isfinite(value)

    def __repr__(self) -> str:
        return _call("randn" if self.q is None else "qrandn", self.mean, self.sd, self.q)


class Grid(msgspec.Struct, frozen=True):
    """Values that are all tried, each with all combinations of the other grids'."""

    values: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"grid_search({list(self.values)!r})"


class SampleFrom(msgspec.Struct, frozen=True):
    """A value that a function works out from the rest of the configuration."""

    function: Callable[..., Any]

    def __repr__(self) -> str:
        return f"sample_from({getattr(self.function, '__name__', self.function)})"


def same(one: Any, other: Any) -> bool:
    """Whether two values of a configuration are equal; arrays and tables are if all of their items are, and True is not 1."""
    if one is other:
        return True
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if hasattr(one, "equals"):
        return bool(one.equals(other))
    try:
        equal = one == other
        return bool(equal.all()) if hasattr(equal, "all") else bool(equal)
    except (TypeError, ValueError):  # arrays of other shapes, and lists of arrays, refuse to be compared
        return False


def is_number(value: Any) -> bool:
    """Numbers of numpy's count; True and False do not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def multiple(count: int, q: float) -> float:
    """3 * 0.1 as 0.3, not as 0.30000000000000004."""
    return float(count * Decimal(repr(q)))


def _call(name: str, *arguments: Any) -> str:
    return f"{name}({', '.join(repr(argument) for argument in arguments if argument is not None)})"
