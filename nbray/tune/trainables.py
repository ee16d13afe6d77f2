"""What can be tuned: functions that report, yield or return, and classes with a step; their constants and what they reserve."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from nbray import resources as amounts
from nbray.errors import UsageError, WrongType

_SPELLINGS = {"cpu": amounts.CPU, "gpu": amounts.GPU, "memory": amounts.MEMORY}
"""Resources of which people write the name as they like."""
_FUNCTIONS = "expected a function of (config), or of (config, reporter), or a class derived from tune.Trainable"


class Trainable:
    """Derive from it and override `setup` and `step` to tune a class; the names of the methods are Ray's.

    `step` is called again and again, until a scheduler or a stopper ends the trial or the step returns `"done": True`.

    >>> from nbray import tune
    >>> class Walk(tune.Trainable):
    ...     def setup(self, config):
    ...         self.at = 0
    ...     def step(self):
    ...         self.at += self.config["speed"]
    ...         return {"distance": self.at, "done": self.at > 10}
    """

    def __init__(self, config: Mapping[str, Any] | None = None, **parameters: Any) -> None:
        self.config: dict[str, Any] = dict(config or {})
        self.iteration = 0
        """Steps that have been reported, over all attempts."""
        self.setup(self.config, **parameters)

    def setup(self, config: dict[str, Any], **parameters: Any) -> None:
        """Get ready to train with this configuration; `parameters` are those of `with_parameters`."""

    def step(self) -> Mapping[str, Any]:
        """Train for a while and return what is to be reported; with `"done": True` it is the last time."""
        raise NotImplementedError(f"{type(self).__name__} has no step(): write one that trains for a while and returns metrics")

    def save_checkpoint(self, checkpoint_dir: str) -> Mapping[str, Any] | None:
        """Write what is needed to go on into this directory, or return a dict of it."""
        raise NotImplementedError(f"{type(self).__name__} has no save_checkpoint()")

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from what `save_checkpoint` has written, its directory, or returned, its dict."""
        raise NotImplementedError(f"{type(self).__name__} has a save_checkpoint(), and no load_checkpoint(checkpoint)")

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another configuration instead of being made anew; False, the default, where that cannot be done."""
        return False

    def cleanup(self) -> None:
        """Give back what `setup` has taken."""

    @property
    def training_iteration(self) -> int:
        """The same as `iteration`."""
        return self.iteration

    @classmethod
    def saves(cls) -> bool:
        """Whether it makes checkpoints."""
        return cls.save_checkpoint is not Trainable.save_checkpoint


@dataclass(frozen=True)
class Bound:
    """A trainable with constants, and with what each of its trials reserves."""

    trainable: Callable[..., Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, float] | None = None

    @property
    def __name__(self) -> str:
        return name_of(self.trainable)

    def __call__(self, config: Mapping[str, Any], *reporter: Any) -> Any:
        return self.trainable(config, *reporter, **self.parameters)


def with_parameters(trainable: Callable[..., Any], **parameters: Any) -> Bound:
    """The same trainable with constant parameters, stored once on the machine; for large data. Raises WrongType, UsageError.

    A function gets them as keyword arguments, a class as those of its `setup`.

    >>> from nbray import tune
    >>> def train(config, data):
    ...     return {"score": sum(data) * config["factor"]}
    >>> trainable = tune.with_parameters(train, data=list(range(1000)))
    """
    bound = _bound(trainable)
    if not parameters:
        raise UsageError("with_parameters() was given no parameters: write, for example, tune.with_parameters(train, data=data)")
    _check_names(bound.trainable, parameters)
    return replace(bound, parameters={**bound.parameters, **parameters})


def with_resources(trainable: Callable[..., Any], resources: Mapping[str, float]) -> Bound:
    """The same trainable with what each of its trials reserves, for example `{"CPU": 2, "GPU": 0.5}`.

    Raises WrongType, UsageError. Without it a trial reserves one CPU.

    >>> from nbray import tune
    >>> trainable = tune.with_resources(lambda config: config["x"], {"CPU": 0.5})
    """
    return replace(_bound(trainable), resources=checked_resources(resources))


def resources_of(trainable: Any) -> dict[str, float]:
    """What each trial reserves: what `with_resources` was given, else one CPU."""
    given = trainable.resources if isinstance(trainable, Bound) else None
    return {amounts.CPU: 1.0} if given is None else dict(given)


def checked_resources(resources: Any) -> dict[str, float]:
    """Resources as a user writes them, `{"cpu": 1}` or `{"CPU": 1}`, with the names that the cluster knows.

    >>> checked_resources({"cpu": 2, "GPU": 0, "disk": 1})
    {'CPU': 2.0, 'GPU': 0.0, 'disk': 1.0}
    """
    if not isinstance(resources, Mapping):
        raise WrongType(f'resources={resources!r}: expected a dict of what each trial reserves, for example {{"CPU": 1}}')
    named: dict[str, float] = {}
    for name, value in resources.items():
        if not isinstance(name, str):
            raise WrongType(f'resources={resources!r}: {name!r} is no name; write, for example, {{"CPU": 1}}')
        amounts.to_units(value, f"resources[{name!r}]")
        named[_SPELLINGS.get(name.lower(), name)] = float(value)
    return named


def check_trainable(trainable: Any) -> None:
    """Refuse what cannot be tuned. Raises WrongType."""
    inner = inner_of(trainable)
    if isinstance(inner, type):
        _check_class(inner)
        return
    if not callable(inner):
        raise WrongType(f"trainable={inner!r} is a {type(inner).__name__}: {_FUNCTIONS}")
    if hasattr(inner, "remote"):
        raise WrongType(
            f"trainable={inner!r} is a remote function: give its plain form, {name_of(inner)}.__wrapped__; the trials run in "
            "the cluster anyway"
        )
    if inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
        raise WrongType(f"trainable={name_of(inner)} is async: {_FUNCTIONS}; run the coroutine inside of it, by asyncio.run")
    takes_reporter(trainable)


def takes_reporter(trainable: Any) -> bool:
    """Whether a function takes (config, reporter), by that name, and not (config) only. Raises WrongType for neither."""
    function, given = inner_of(trainable), parameters_of(trainable)
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions written in C do not tell
        return False
    second = list(signature.parameters)[1:2]
    if _binds(signature, {}, None, **given) and any("report" in name for name in second):  # perhaps with a default
        return True
    if not _binds(signature, {}, **given):
        _refuse_signature(function, signature, given)
    return False


def _binds(signature: inspect.Signature, *args: Any, **kwargs: Any) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def inner_of(trainable: Any) -> Any:
    """The function or class itself, without constants and resources."""
    return trainable.trainable if isinstance(trainable, Bound) else trainable


def parameters_of(trainable: Any) -> Mapping[str, Any]:
    """The constants of `with_parameters`."""
    return trainable.parameters if isinstance(trainable, Bound) else {}


def name_of(trainable: Any) -> str:
    """What to call it."""
    inner = inner_of(trainable)
    inner = getattr(inner, "func", inner)  # functools.partial
    return str(getattr(inner, "__name__", type(inner).__name__))


def _bound(trainable: Any) -> Bound:
    inner = inner_of(trainable)
    if not callable(inner):
        raise WrongType(f"trainable={inner!r} is a {type(inner).__name__}: {_FUNCTIONS}")
    return trainable if isinstance(trainable, Bound) else Bound(trainable)


def _check_class(cls: type) -> None:
    if not issubclass(cls, Trainable):
        raise WrongType(f"trainable={cls.__name__} is a class that is not derived from tune.Trainable: {_FUNCTIONS}")
    if cls.step is Trainable.step:
        raise WrongType(f"class {cls.__name__} has no step(): write one that trains for a while and returns metrics")
    if cls.saves() and cls.load_checkpoint is Trainable.load_checkpoint:
        raise WrongType(f"class {cls.__name__} has a save_checkpoint() and no load_checkpoint(checkpoint): write both")


def _check_names(trainable: Any, parameters: Mapping[str, Any]) -> None:
    """Each parameter must be one that the function, or the class's `setup`, takes."""
    function = trainable.setup if isinstance(trainable, type) and issubclass(trainable, Trainable) else trainable
    try:
        known = inspect.signature(function).parameters
    except ValueError:
        return
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return
    for name in parameters:
        if name not in known:
            taken = f"{name_of(trainable)}{inspect.signature(function)}"
            raise UsageError(f"{taken} takes no parameter {name!r}: add it there, or take it out here")


def _refuse_signature(function: Any, signature: inspect.Signature, given: Mapping[str, Any]) -> NoReturn:
    missing = [
        each.name
        for each in list(signature.parameters.values())[1:]
        if each.default is each.empty and each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) and each.name not in given
    ]
    name = name_of(function)
    if missing:
        hint = f"give it the others by tune.with_parameters({name}, {', '.join(f'{each}=...' for each in missing)})"
    else:
        hint = f"write def {name}(config): ..."
    raise WrongType(f"trainable={name}{signature} cannot be called with (config) or (config, reporter): {hint}")
