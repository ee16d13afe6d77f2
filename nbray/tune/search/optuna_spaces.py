"""How a search space is asked of an Optuna trial: as a tree of domains, or by a function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbray.errors import UsageError, WrongType
from nbray.tune.domains import Choice, Domain, Grid, Integer, Normal, Real, multiple
from nbray.tune.draws import generator
from nbray.tune.search.points import fit_points
from nbray.tune.search_space import Path, SearchSpace, middle, name_of, settle_space

if TYPE_CHECKING:
    from optuna.trial import Trial as Ask

SpaceFunction = Callable[[Any], dict[str, Any] | None]
Point = Mapping[str, Any]

_EDGE = 1e-6
"""What is asked as a share of its distribution lies between this and one less this: 4.75 standard deviations to either side."""


class TreeSpace:
    """A search space as a tree; its parameters go by their paths, `model[1]/C`."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._names: dict[Path, str] = {}
        for path, node in space.parameters():
            if isinstance(node, Grid):
                raise UsageError(
                    f"OptunaSearch cannot search {name_of(path)!r}, which is {node!r}: it chooses, and a grid tries everything. "
                    f"Write tune.choice({list(node.values)!r}), or search with RandomSearch or GridSearch."
                )
            self._names[path] = name_of(path)
        if not self._names:
            raise UsageError(
                "OptunaSearch has nothing to search: all of the space is constant. Put a domain in: tune.uniform(0, 1)."
            )

    def config(self, ask: Ask, point: Point | None) -> dict[str, Any]:
        """The configuration that Optuna suggests; where the point has values, Optuna is asked too, and the point's are taken."""

        def draw(path: Path, node: Domain | Grid) -> Any:
            return _suggest(ask, self._name(path, node), node)

        def note(path: Path, node: Domain | Grid, _: Any) -> None:
            _suggest(ask, self._name(path, node), node)

        return self._space.resolve(draw, lambda path: generator(self._seed, ask.number, path), point, note)

    def params(self, point: Point) -> dict[str, Any]:
        """A point as Optuna calls its values; raises UsageError if it does not fit."""
        found: dict[str, Any] = {}

        def note(path: Path, node: Domain | Grid, decision: Any) -> None:
            found[self._name(path, node)] = _asked_value(node, decision)

        self._space.resolve(middle, lambda path: generator(self._seed, path), point, note)
        return found

    def _name(self, path: Path, node: Domain | Grid) -> str:
        """What a function of the space made may differ from trial to trial: so does the name of its parameter."""
        return self._names.get(path) or f"{name_of(path)} = {node!r}"


class FunctionSpace:
    """A space that a function makes by asking the Optuna trial; what it returns are constants."""

    def __init__(self, function: SpaceFunction, constants: Mapping[str, Any]) -> None:
        self._function = function
        self._constants = constants

    def config(self, ask: Ask, point: Point | None) -> dict[str, Any]:
        """The constants, what the function asked for, and what it returned."""
        returned = self._function(ask)
        if returned is not None and not isinstance(returned, Mapping):
            raise WrongType(
                f"the space function of OptunaSearch returned {returned!r}. What it asks the trial for is in the configuration "
                "already: let it return None, or a dict of constants."
            )
        return {**self._constants, **ask.params, **(returned or {})}

    def params(self, point: Point) -> dict[str, Any]:
        """The names are the user's own."""
        return {key: value for key, value in point.items() if key not in self._constants}


def asked_space(
    own: Mapping[str, Any] | SpaceFunction | None, param_space: Mapping[str, Any], points: Sequence[Point], seed: int
) -> TreeSpace | FunctionSpace:
    """The space of a searcher; raises UsageError for what cannot be asked of Optuna."""
    if own is None or isinstance(own, Mapping):
        tree = settle_space(own, param_space, "OptunaSearch")
        asked = TreeSpace(tree, seed)
        fit_points(points, tree)
        return asked
    if not callable(own):
        raise WrongType(
            f'OptunaSearch got space={own!r}. It takes a dict, {{"x": tune.uniform(0, 1)}}, or a function that asks an Optuna '
            'trial: lambda trial: trial.suggest_float("x", 0, 1) and None.'
        )
    if not SearchSpace(param_space).is_constant:
        raise UsageError("OptunaSearch has a space function, and param_space has something to search too. Keep one of them.")
    return FunctionSpace(own, param_space)


def _suggest(ask: Ask, name: str, domain: Domain | Grid) -> Any:
    """The decision for a parameter (see `Draw`): the number of a category, a value of all others."""
    assert isinstance(domain, Domain), "grids were refused"
    if isinstance(domain, Choice):
        labels = _labels(domain)
        return labels.index(ask.suggest_categorical(name, labels))
    if isinstance(domain, Real):
        value = ask.suggest_float(name, domain.lower, domain.upper, log=domain.log, step=None if domain.log else domain.q)
        return value if domain.q is None else multiple(round(value / domain.q), domain.q)
    if isinstance(domain, Integer):
        return _suggest_integer(ask, name, domain)
    return domain.quantile(ask.suggest_float(name, _EDGE, 1 - _EDGE))


def _suggest_integer(ask: Ask, name: str, domain: Integer) -> int:
    low, high = domain.step(0), domain.step(domain.steps() - 1)
    q = domain.q or 1
    value = ask.suggest_int(name, low, high, log=domain.log, step=1 if domain.log else q)
    return min(max(q * round(value / q), low), high)


def _asked_value(domain: Domain | Grid, decision: Any) -> Any:
    """What Optuna suggests when this is the decision."""
    if isinstance(domain, Choice):
        return _labels(domain)[decision]
    if isinstance(domain, Normal):
        from statistics import NormalDist  # here, for the same reason as in quantiles

        return min(max(NormalDist(domain.mean, domain.sd).cdf(decision), _EDGE), 1 - _EDGE)
    return decision


def _labels(domain: Choice) -> list[Any]:
    """The categories themselves where Optuna can keep them and tell them apart, else their numbers."""
    categories = list(domain.categories)
    plain = all(category is None or isinstance(category, bool | int | float | str) for category in categories)
    if plain and len(set(categories)) == len(categories) and not any(category != category for category in categories):
        return categories
    return list(range(len(categories)))
