"""A configuration of which some values are still to be made by functions (`sample_from`), each when somebody asks for it.

A function gets a view of the configuration. When it looks at a value that another function makes, that one is called first, in
whatever order the two were written; two that wait for each other are an error, not a hang.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbray.errors import UsageError

if TYPE_CHECKING:
    import numpy as np


class Pending:
    """Stands in a configuration for a value that a function will make."""

    def __init__(self, function: Callable[..., Any], path: tuple[Hashable, ...]) -> None:
        self.function = function
        self.path = path
        self.is_called = False

    @property
    def name(self) -> str:
        """The keys that lead to it."""
        return "/".join(str(step) for step in self.path if isinstance(step, str | int))

    def call(self, config: View, generator: Callable[[], np.random.Generator]) -> Any:
        """What the function makes, without views; raises UsageError from what it raised."""
        if self.is_called:
            raise UsageError(
                f"the function of sample_from() for {self.name!r} needs its own value, itself or by way of another function. "
                "Let one of them do without the other."
            )
        self.is_called = True
        try:
            made = self.function(config, generator()) if _takes_two(self.function) else self.function(config)
            return _without_views(made)
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                f"the function of sample_from() for {self.name!r} raised {type(error).__name__}: {error}. It is called with the "
                "configuration that it belongs to: sample_from(lambda config: config['width'] * 2)."
            ) from error


class HalfMade:
    """The dicts and lists of one configuration; `make` turns a Pending and a view of the configuration into a value."""

    def __init__(self, make: Callable[[Pending, View], Any]) -> None:
        self._make = make
        self._kinds: dict[int, tuple[Any, type]] = {}
        """What was made for this configuration, by its id, and what it will become."""
        self._root: dict[Any, Any] = {}

    def add(self, part: dict[Any, Any] | list[Any], kind: type) -> Any:
        """Take a dict or list that was made for this configuration; in the end it will be a `kind`."""
        self._kinds[id(part)] = part, kind
        return part

    def finish(self, root: dict[Any, Any]) -> dict[Any, Any]:
        """The configuration, with all that was still to be made."""
        self._root = root
        finished = self._finished(root)
        assert isinstance(finished, dict)
        return finished

    def item(self, part: Any, key: Any) -> Any:
        """An item of a dict or list, made now if it was not yet."""
        value = part[key]
        if isinstance(value, Pending):
            value = part[key] = self._make(value, View(self, self._root, self._root))
        return value

    def view(self, value: Any) -> Any:
        """A value as functions see it."""
        if isinstance(value, Mapping):
            return View(self, value, self._root)
        if isinstance(value, list | tuple):
            items = [self.view(self.item(value, position)) for position in range(len(value))]
            return _of_kind(self._kinds[id(value)][1] if id(value) in self._kinds else type(value), items)
        return value

    def _finished(self, value: Any) -> Any:
        if id(value) not in self._kinds:
            return value
        part, kind = self._kinds[id(value)]
        for key in part if isinstance(part, dict) else range(len(part)):
            part[key] = self._finished(self.item(part, key))
        return part if kind in (dict, list) else _of_kind(kind, part)


class View(Mapping[Any, Any]):
    """A configuration, or a dict in one, as a function sees it: `config["width"]` or `config.width`; Ray's `spec.config` too."""

    def __init__(self, whole: HalfMade, content: Mapping[Any, Any], root: Mapping[Any, Any]) -> None:
        self._whole = whole
        self._content = content
        self._is_root = content is root

    def __getitem__(self, key: Any) -> Any:
        if key not in self._content:
            known = ", ".join(repr(known) for known in self._content)
            raise KeyError(f"{key!r} is not among {known or 'its keys, as it is empty'}")
        return self._whole.view(self._whole.item(self._content, key))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "config" and self._is_root and name not in self._content:
            return self
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def __repr__(self) -> str:
        return repr({key: "(not made yet)" if isinstance(value, Pending) else value for key, value in self._content.items()})


def _of_kind(kind: type, items: Any) -> Any:
    """A list or tuple of these items; a named tuple takes them one by one."""
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions have no signature
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional and parameter.default is parameter.empty for parameter in parameters) >= 2


def _without_views(value: Any) -> Any:
    """A copy of what a function took from the configuration, so that no two places of it share a dict."""
    if isinstance(value, View):
        return {key: _without_views(item) for key, item in value.items()}
    if type(value) is dict:
        return {key: _without_views(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return _of_kind(type(value), [_without_views(item) for item in value])
    return value
