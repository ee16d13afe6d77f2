"""What a handle knows of its actor's class: the methods, their parameters and options. It travels with every handle."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from nbray import actor_options, serialization
from nbray.backends.backend import CallOptions
from nbray.call_options import Options
from nbray.errors import UsageError, WrongType
from nbray.pending_calls import NO_LIMIT
from nbray.streams import yields

MARK = "__nbray_method__"
"""The attribute of a function under which `nbray.method` leaves its options."""

BUILT_IN = ("__ray_ready__", "__ray_terminate__", "__ray_call__")
"""Methods of every actor, with Ray's names: whether it is there, its end in turn, any function on its instance."""

_NO_METHODS = ("__init__", "__new__", "__init_subclass__", "__class_getitem__")

_Parameter = tuple[str, int, bool]
"""Name, kind, and whether it may be left out."""

_COLLECTING = (inspect.Parameter.VAR_POSITIONAL.value, inspect.Parameter.VAR_KEYWORD.value)
_ANYTHING: tuple[_Parameter, ...] = (("args", _COLLECTING[0], True), ("kwargs", _COLLECTING[1], True))


class MethodDescription(NamedTuple):
    """One method, without its code."""

    parameters: tuple[_Parameter, ...]
    given: Options
    """Its options as `nbray.method` was given them."""

    @property
    def arity(self) -> range:
        """How many plain positional arguments are fine without a closer look."""
        if any(kind == inspect.Parameter.KEYWORD_ONLY.value and not optional for _, kind, optional in self.parameters):
            return range(0)
        positional = [each for each in self.parameters if each[1] <= inspect.Parameter.POSITIONAL_OR_KEYWORD.value]
        endless = any(kind == inspect.Parameter.VAR_POSITIONAL.value for _, kind, _ in self.parameters)
        least = sum(not optional for _, _, optional in positional)
        return range(least, 1 << 30 if endless else len(positional) + 1)

    @property
    def signature(self) -> inspect.Signature:
        """What it takes; defaults are shown as `...`."""
        kinds = list(inspect._ParameterKind)
        return inspect.Signature(
            [
                inspect.Parameter(
                    name, kinds[kind], default=... if optional and kind not in _COLLECTING else inspect.Parameter.empty
                )
                for name, kind, optional in self.parameters
            ]
        )

    def check(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise TypeError for arguments that the method does not take."""
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}{self.signature} cannot be called like this: {error}") from None


class ActorDescription(NamedTuple):
    """A class of actors as its handles see it."""

    class_name: str
    methods: dict[str, MethodDescription]
    max_task_retries: int
    is_async: bool
    max_pending_calls: int = NO_LIMIT

    def encode(self) -> bytes:
        """As bytes, which travel with handles and are kept beside a named actor."""
        return serialization.encode(serialization.dumps(tuple(self), f"the methods of {self.class_name}"))

    def refuse_method(self, name: str) -> NoReturn:
        """There is no such method."""
        near = difflib.get_close_matches(name, self.methods, 1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(self.methods)) or 'none'}"
        raise AttributeError(
            f"actor {self.class_name} has no method {name!r}: {hint} (Its fields live in its worker: write a method that returns "
            "one.)"
        )


class KnownMethod(NamedTuple):
    """A method at work: looked at once."""

    name: str
    shown: str
    """What its calls are called: "Counter.add"."""
    options: CallOptions
    arity: range
    description: MethodDescription


class Known(NamedTuple):
    """A description at work, with its bytes."""

    description: ActorDescription
    encoded: bytes
    methods: dict[str, KnownMethod]


@functools.lru_cache(maxsize=256)
def decode(encoded: bytes) -> Known:
    """The description that `encode` has made these bytes of; the same object for the same bytes."""
    class_name, methods, *rest = serialization.loads(encoded)
    methods = {name: MethodDescription(*method) for name, method in methods.items()}
    description = ActorDescription(class_name, methods, *rest)
    return Known(description, encoded, {name: _known(description, name, each, each.given) for name, each in methods.items()})


def with_options(description: ActorDescription, method: KnownMethod, options: Options) -> KnownMethod:
    """The same method with other options."""
    return _known(description, method.name, method.description, {**method.description.given, **options})


def _known(actor: ActorDescription, name: str, method: MethodDescription, given: Options) -> KnownMethod:
    options = actor_options.build_method(given, actor.max_task_retries)
    return KnownMethod(name, options.name or f"{actor.class_name}.{name}", options, method.arity, method)


def describe(cls: type, max_task_retries: int, max_pending_calls: int = NO_LIMIT) -> ActorDescription:
    """Look at a class: whatever can be called in it and its bases is a method."""
    methods: dict[str, MethodDescription] = {}
    is_async = False
    for owner in reversed(cls.__mro__[:-1]):  # the last one is `object`
        for name, member in vars(owner).items():
            function = member.__func__ if isinstance(member, (staticmethod, classmethod)) else member
            if name in _NO_METHODS or isinstance(function, type) or not callable(function):
                continue
            is_async = is_async or inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
            methods[name] = _describe_method(function, bound=not isinstance(member, staticmethod))
    for name in BUILT_IN:
        methods.setdefault(name, MethodDescription(_ANYTHING, {}))
    return ActorDescription(cls.__name__, methods, max_task_retries, is_async, max_pending_calls)


def _describe_method(function: Callable[..., Any], *, bound: bool) -> MethodDescription:
    given: Options = dict(getattr(function, MARK, {}))
    if yields(function):
        given.setdefault("num_returns", "streaming")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some functions written in C do not tell
        return MethodDescription(_ANYTHING, given)
    if bound and parameters and parameters[0].kind <= inspect.Parameter.POSITIONAL_OR_KEYWORD:
        parameters = parameters[1:]
    shape = tuple((each.name, each.kind.value, each.default is not inspect.Parameter.empty) for each in parameters)
    return MethodDescription(
        tuple((name, kind, optional or kind in _COLLECTING) for name, kind, optional in shape), given
    )  # fmt: skip


def method(*wrong: Any, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a method of an actor's class options of its own: `num_returns`, `max_task_retries`, `retry_exceptions`.

    >>> import nbray
    >>> @nbray.remote
    ... class Halves:
    ...     @nbray.method(num_returns=2)
    ...     def split(self, items):
    ...         middle = len(items) // 2
    ...         return items[:middle], items[middle:]
    >>> first, second = Halves.remote().split.remote([1, 2, 3, 4])
    >>> nbray.get([first, second])
    [[1, 2], [3, 4]]
    """
    if wrong or not options:
        raise WrongType("nbray.method takes options, and a method below it: @nbray.method(num_returns=2)")
    actor_options.build_method(options)
    if "name" in options:
        raise UsageError(f"name={options['name']!r}: a method is called as it is called; give a name in .options(name=...)")

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        setattr(function, MARK, options)
        return function

    return mark
