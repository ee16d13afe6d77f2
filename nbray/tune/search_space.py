"""A search space: the tree of constants, domains, grids and functions that configurations are made from.

A node of the tree is a domain, a grid, a function (`sample_from`), a `Part` (a dict, list or tuple in which one of these lies) or
a constant, which is anything else. Categories of a choice and values of a grid are nodes again, so what they hold is resolved
if they are taken, and only then: that is how a space is conditional.

Parameters go by their path: ("model", Branch(1), "C") is the C of the second category of `model`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from enum import Enum
from math import prod
from typing import TYPE_CHECKING, Any, Final

import msgspec

from nbray.errors import UsageError, WrongType
from nbray.serialization import dumps
from nbray.tune.domains import Choice, Domain, Grid, SampleFrom, same
from nbray.tune.draws import generator
from nbray.tune.half_made import HalfMade, Pending, View
from nbray.tune.spaces import grid_search

if TYPE_CHECKING:
    import numpy as np


class Absent(Enum):
    """The type of ABSENT."""

    ABSENT = "ABSENT"


ABSENT: Final = Absent.ABSENT
"""Stands where a point gives no value."""


class Branch(msgspec.Struct, frozen=True):
    """A step of a path: into the category or grid value of this number."""

    index: int


Path = tuple[Hashable, ...]
Levels = Callable[[Domain | Grid], Sequence[Any]]
"""Says what is tried, one after another, of a parameter; nothing if it is drawn. Numbers stand for categories and grid values."""
Draw = Callable[[Path, Domain | Grid], Any]
"""Decides a parameter: the number of a category for choices and grids, the value for all others."""
Choose = Callable[[Path, Choice], int]
"""Decides a choice."""
Note = Callable[[Path, Domain | Grid, Any], None]
"""Hears what a point decides, in the same form."""
Randomness = Callable[[Path], "np.random.Generator"]
"""Makes the generator for a function of the user's that draws."""


class Part(msgspec.Struct, frozen=True):
    """A dict, list or tuple of nodes that are not all constant."""

    kind: type
    items: Mapping[Hashable, Any]
    """By key, or by position."""

    def __repr__(self) -> str:
        return repr(dict(self.items) if self.kind is dict else list(self.items.values()))


def grids_only(node: Domain | Grid) -> Sequence[Any]:
    """The usual levels: every value of a grid, and nothing of the domains."""
    return range(len(node.values)) if isinstance(node, Grid) else ()


def is_enumerated(node: Domain | Grid, levels: Levels) -> bool:
    """Whether something in a parameter is tried one after another, so that it is the same for a whole sample if it is drawn."""
    return any(levels(inner) for _, inner in _parameters(node, ()))


def name_of(path: Path) -> str:
    """A path as one writes it: `model[1]/C`.

    >>> name_of(("model", Branch(1), "C"))
    'model[1]/C'
    """
    return "".join(f"[{step.index}]" if isinstance(step, Branch) else f"/{step}" for step in path).removeprefix("/")


class SearchSpace:
    """What configurations are made from; `owner` is how an error calls it."""

    def __init__(self, space: Mapping[str, Any], owner: str = "param_space") -> None:
        if not isinstance(space, Mapping):
            raise WrongType(
                f"{owner} is {space!r}, of type {type(space).__name__}. It takes a dict of values and domains, such as "
                '{"lr": tune.loguniform(1e-4, 1e-1)}.'
            )
        for key in space:
            if not isinstance(key, str):
                raise WrongType(f'{owner} has the key {key!r}. Its keys name the parameters, so they are strings: "{key}".')
        self.owner = owner
        self._root = Part(dict, {key: _node(value) for key, value in space.items()})

    def __repr__(self) -> str:
        return f"SearchSpace({self._root!r})"

    @property
    def is_constant(self) -> bool:
        """Whether all configurations are the same."""
        return not any(_is_open(node) for node in self._root.items.values())

    def parameters(self) -> Iterator[tuple[Path, Domain | Grid]]:
        """Every domain and grid with its path, those in the branches of choices and grids too."""
        return _parameters(self._root, ())

    def grid_size(self, levels: Levels, choose: Choose, given: Mapping[str, Any] | None = None) -> int:
        """How many combinations the grids have that `given` leaves open; `choose` decides choices that have grids in them."""
        return _grid_size(self._root, levels, choose, (), given or {})

    def has_grid_in_choice(self, levels: Levels) -> bool:
        """Whether the number of combinations depends on what is drawn."""
        return any(isinstance(node, Choice) and is_enumerated(node, levels) for _, node in self.parameters() if not levels(node))

    def leaves(self) -> Iterator[tuple[Path, Any]]:
        """Every constant and every function with its path."""
        return _leaves(self._root, ())

    def resolve(
        self,
        draw: Draw,
        randomness: Randomness,
        given: Mapping[str, Any] | None = None,
        note: Note | None = None,
        *,
        backwards: bool = False,
    ) -> dict[str, Any]:
        """Make a configuration: parameters are decided by `given` where it has a value for them, else by `draw`.

        They are asked for in their order, or the last first. Raises UsageError where `given` does not fit.
        """
        return _Making(draw, randomness, note, backwards).config(self._root, given or {})


class _Making:
    """One configuration on its way from the tree."""

    def __init__(self, draw: Draw, randomness: Randomness, note: Note | None, backwards: bool) -> None:
        self._draw = draw
        self._randomness = randomness
        self._note = note
        self._backwards = backwards
        self._half_made = HalfMade(self._call)

    def config(self, root: Part, given: Mapping[str, Any]) -> dict[str, Any]:
        return self._half_made.finish(self._part(root, (), given))

    def _part(self, part: Part, path: Path, given: Any) -> Any:
        """The dict or list of a part; a tuple is made from its list in the end."""
        wanted = _given_items(part, path, given)
        keys = list(part.items)
        content: dict[Any, Any] = dict.fromkeys(keys)
        for key in reversed(keys) if self._backwards else keys:
            content[key] = self._value(part.items[key], (*path, key), wanted.get(key, ABSENT))
        return self._half_made.add(content if part.kind is dict else list(content.values()), part.kind)

    def _value(self, node: Any, path: Path, given: Any) -> Any:
        if isinstance(node, Part):
            return self._part(node, path, given)
        if isinstance(node, Choice | Grid):
            return self._one_of(node, path, given)
        if isinstance(node, SampleFrom):
            return Pending(node.function, path) if given is ABSENT else given
        if given is ABSENT:
            return self._draw(path, node) if isinstance(node, Domain) else node
        if not fits(node, given):
            raise _misfit(node, path, given)
        if isinstance(node, Domain) and self._note is not None:
            self._note(path, node, given)
        return given

    def _one_of(self, node: Choice | Grid, path: Path, given: Any) -> Any:
        options = _options(node)
        if given is ABSENT:
            index = self._draw(path, node)
        else:
            index = next((index for index, option in enumerate(options) if fits(option, given)), None)
            if index is None:
                raise _misfit(node, path, given)
            if self._note is not None:
                self._note(path, node, index)
        return self._value(options[index], (*path, Branch(index)), given)

    def _call(self, pending: Pending, config: View) -> Any:
        """What a function makes, with the domains in it resolved too."""
        made = pending.call(config, lambda: self._randomness(pending.path))
        node = _node(made)
        if any(isinstance(inner, Grid) for _, inner in _parameters(node, ())):
            raise UsageError(
                f"the function of sample_from() for {name_of(pending.path)!r} returned {made!r}. What a function makes cannot "
                "hold a grid: put grid_search into the space itself, or return tune.choice([...])."
            )
        return self._value(node, (*pending.path, Branch(0)), ABSENT)


def fits(node: Any, value: Any) -> bool:
    """Whether a node could become this value, or a dict that has all of its keys and more."""
    if isinstance(node, Choice | Grid):
        return any(fits(option, value) for option in _options(node))
    if isinstance(node, Part):
        try:
            wanted = _given_items(node, (), value)
        except UsageError:
            return False
        return all(fits(node.items[key], item) for key, item in wanted.items())
    return isinstance(node, SampleFrom) or (node.contains(value) if isinstance(node, Domain) else same(node, value))


def _given_items(part: Part, path: Path, given: Any) -> Mapping[Any, Any]:
    if given is ABSENT:
        return {}
    if part.kind is not dict and isinstance(given, list | tuple) and len(given) == len(part.items):
        return dict(enumerate(given))
    if part.kind is not dict or not isinstance(given, Mapping):
        raise _misfit(part, path, given)
    for key in given:
        if key not in part.items:
            known = ", ".join(repr(key) for key in part.items)
            raise UsageError(f"{name_of((*path, key))!r} is not in the search space, which has {known or 'nothing'} there.")
    return given


def _misfit(node: Any, path: Path, given: Any) -> UsageError:
    wanted = repr(node) if _is_open(node) else f"the constant {node!r}"
    return UsageError(f"{name_of(path)!r} is {given!r}, and in the search space it is {wanted}: give a value from there.")


def check_shippable(space: Mapping[str, Any], owner: str = "param_space") -> None:
    """Raises NotShippable, with the place in the space, for a value or function that cannot be sent to a worker."""
    for path, leaf in SearchSpace(space, owner).leaves():
        steps = (step.index if isinstance(step, Branch) else step for step in path)
        dumps(leaf.function if isinstance(leaf, SampleFrom) else leaf, owner + "".join(f"[{step!r}]" for step in steps))


def check_functions(space: SearchSpace) -> None:
    """Raises UsageError for a function of the space that fails, before the first trial rather than amid the experiment."""
    if any(isinstance(leaf, SampleFrom) for _, leaf in space.leaves()):
        space.resolve(middle, lambda path: generator(0, path))


def middle(path: Path, node: Domain | Grid) -> Any:
    """A decision for a parameter where any will do."""
    return 0 if isinstance(node, Choice | Grid) else node.quantile(0.5)


def settle_space(own: Mapping[str, Any] | None, param_space: Mapping[str, Any], owner: str) -> SearchSpace:
    """The space of a searcher: its own with the experiment's constants, or the experiment's.

    Raises UsageError if both have something to search, or a function of it fails.
    """
    settled = SearchSpace(param_space) if own is None else _own_space(own, param_space, owner)
    check_functions(settled)
    return settled


def _own_space(own: Mapping[str, Any], param_space: Mapping[str, Any], owner: str) -> SearchSpace:
    if not SearchSpace(param_space).is_constant:
        raise UsageError(
            f"{owner} has a space of its own, and param_space has something to search too. Put all of it into param_space and "
            f"leave space= out of {owner}; constants may stay in param_space."
        )
    return SearchSpace({**param_space, **own}, f"the space of {owner}")


def _node(value: Any) -> Any:
    """The node of what the user wrote."""
    if isinstance(value, Choice):
        return Choice(tuple(_node(category) for category in value.categories))
    if isinstance(value, Grid):
        return Grid(tuple(_node(option) for option in value.values))
    if isinstance(value, Mapping):
        if set(value) == {"grid_search"}:  # what Ray's grid_search() returns, and what people write by hand
            return _node(grid_search(value["grid_search"]))
        items: dict[Hashable, Any] = {key: _node(item) for key, item in value.items()}
        return Part(dict, items) if any(map(_is_open, items.values())) else value
    if isinstance(value, list | tuple):
        items = {position: _node(item) for position, item in enumerate(value)}
        return Part(type(value), items) if any(map(_is_open, items.values())) else value
    return value


def _is_open(node: Any) -> bool:
    return isinstance(node, Part | Domain | Grid | SampleFrom)


def _options(node: Choice | Grid) -> tuple[Any, ...]:
    return node.categories if isinstance(node, Choice) else node.values


def _leaves(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(node, Part):
        for key, item in node.items.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(node, Choice | Grid):
        for index, option in enumerate(_options(node)):
            yield from _leaves(option, (*path, Branch(index)))
    elif not isinstance(node, Domain):
        yield path, node


def _parameters(node: Any, path: Path) -> Iterator[tuple[Path, Domain | Grid]]:
    if isinstance(node, Domain | Grid):
        yield path, node
    if isinstance(node, Part):
        for key, item in node.items.items():
            yield from _parameters(item, (*path, key))
    elif isinstance(node, Choice | Grid):
        for index, option in enumerate(_options(node)):
            yield from _parameters(option, (*path, Branch(index)))


def _grid_size(node: Any, levels: Levels, choose: Choose, path: Path, given: Any) -> int:
    if isinstance(node, Part):
        wanted = _given_items(node, path, given)
        return prod(
            _grid_size(item, levels, choose, (*path, key), wanted.get(key, ABSENT)) for key, item in node.items.items()
        )
    if not isinstance(node, Domain | Grid):
        return 1
    if not isinstance(node, Choice | Grid):
        return len(levels(node)) or 1 if given is ABSENT else 1
    options = _options(node)
    if given is not ABSENT:
        taken = [next(index for index, option in enumerate(options) if fits(option, given))]
    elif levels(node):
        taken = list(range(len(options)))
    else:
        assert isinstance(node, Choice), "a grid has levels"
        taken = [choose(path, node)] if is_enumerated(node, levels) else []
    return sum(_grid_size(options[index], levels, choose, (*path, Branch(index)), given) for index in taken) or 1
