"""Mutations: how population based training changes a configuration that has proved good."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from nbray.errors import UsageError, WrongType
from nbray.tune.domains import Choice, Domain, Integer, Real, Source, is_number, multiple, same
from nbray.tune.draws import draw

Space = list[Any] | tuple[Any, ...] | Domain | Callable[[], Any] | Mapping[str, Any]
"""Values in their order, a domain, a function that draws a value, or a dict of these."""


class Lots:
    """Numbers in [0, 1), one after another, that depend on a seed and names alone.

    >>> Lots(7, "a").random() == Lots(7, "a").random() != Lots(7, "b").random()
    True
    """

    def __init__(self, seed: int, *names: Hashable) -> None:
        self._seed = seed
        self._names = names
        self._drawn = 0

    def random(self) -> float:
        """The next one."""
        self._drawn += 1
        return draw(self._seed, *self._names, self._drawn)


def check_mutations(mutations: Mapping[str, Any], owner: str, where: str = "hyperparam_mutations") -> None:
    """Raise WrongType or UsageError for what no configuration can be changed by."""
    if not isinstance(mutations, Mapping):
        raise WrongType(f'{owner} got {where}={mutations!r}; type a dict such as {{"lr": tune.loguniform(1e-4, 1e-1)}}')
    for name, space in mutations.items():
        if isinstance(space, Mapping):
            check_mutations(space, owner, f"{where}[{name!r}]")
        elif isinstance(space, (list, tuple)):
            if not space:
                raise UsageError(f"{owner} got {where}[{name!r}]={space!r}, which is empty; type the values that it may have")
        elif not isinstance(space, Domain) and (not callable(space) or isinstance(space, type)):
            raise WrongType(
                f"{owner} got {where}[{name!r}]={space!r}; type a list of values, a domain such as tune.uniform(0, 1), "
                "or a function that draws a value"
            )


def fill(config: dict[str, Any], mutations: Mapping[str, Any], rng: Source) -> None:
    """Draw what a configuration lacks of the parameters that mutate."""
    for name, space in mutations.items():
        if isinstance(space, Mapping):
            inner = config.setdefault(name, {})
            if not isinstance(inner, dict):
                given = f"hyperparam_mutations[{name!r}] is a dict, but a trial has {name}={inner!r}"
                raise UsageError(f"{given}; give both one form")
            fill(inner, space, rng)
        elif name not in config:
            config[name] = drawn(space, rng)


def explored(
    config: Mapping[str, Any],
    mutations: Mapping[str, Any],
    rng: Source,
    resample_probability: float,
    factors: tuple[float, float],
) -> dict[str, Any]:
    """A copy of a configuration in which each parameter that mutates is drawn anew, or changed a little.

    Numbers are multiplied by one of the two factors and stay within their domain; of values in an order, a neighbour is taken.
    """
    changed = copy.deepcopy(dict(config))
    for name, space in mutations.items():
        if isinstance(space, Mapping):
            changed[name] = explored(config.get(name, {}), space, rng, resample_probability, factors)
        elif rng.random() < resample_probability or name not in config:
            changed[name] = drawn(space, rng)
        else:
            changed[name] = _perturbed(config[name], space, rng, factors)
    return changed


def drawn(space: Space, rng: Source) -> Any:
    """A value of a parameter that mutates."""
    if isinstance(space, (list, tuple)):
        return space[int(rng.random() * len(space))]
    if isinstance(space, Domain):
        return space.sample(rng)
    return space()  # type: ignore[operator]  # mappings were taken apart above


def _perturbed(value: Any, space: Space, rng: Source, factors: tuple[float, float]) -> Any:
    values = space.categories if isinstance(space, Choice) else space
    if isinstance(values, (list, tuple)):
        return _neighbour(value, values, rng)
    if isinstance(value, bool):
        return value
    if not is_number(value):
        return drawn(space, rng)
    factor = factors[int(rng.random() * len(factors))]
    return _within(value * factor, value, space)


def _neighbour(value: Any, values: list[Any] | tuple[Any, ...], rng: Source) -> Any:
    place = next((place for place, each in enumerate(values) if same(each, value)), None)
    if place is None:
        return drawn(list(values), rng)
    step = -1 if rng.random() < 0.5 else 1
    return values[min(max(place + step, 0), len(values) - 1)]


def _within(changed: float, value: float, space: Space) -> float:
    """The nearest value that the domain has; whole numbers stay whole."""
    if isinstance(space, Real):
        inside = min(max(changed, space.lower), space.upper)
        return inside if space.q is None else multiple(round(inside / space.q), space.q)
    if isinstance(space, Integer):
        q = space.q or 1
        first, last = -(-space.lower // q), space.last // q
        return q * min(max(round(changed / q), first), last)
    return round(changed) if isinstance(value, int) else changed
