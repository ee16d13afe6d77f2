"""Names under which trainables and environments are registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nbray.errors import UsageError, WrongType
from nbray.remote_functions import RemoteFunction, registered_function
from nbray.tune.arguments import unknown
from nbray.tune.trainables import check_trainable

EnvironmentMaker = Callable[..., Any]

_trainables: dict[str, Any] = {}
_environments: dict[str, EnvironmentMaker] = {}


def register_trainable(name: str, trainable: Any) -> None:
    """Make a function or a class known under a name, which a Tuner or a Trainer takes in its place.

    A name that is taken means the new one from now on.

    >>> from nbray import tune
    >>> tune.register_trainable("valley", lambda config: {"loss": config["x"] ** 2})
    """
    _check_name("register_trainable", name)
    check_trainable(trainable)
    _trainables[name] = trainable


def register_env(name: str, creator: EnvironmentMaker) -> None:
    """Make the maker of an environment, a function of its config, known under a name; trials call it by `make_env`.

    It is there in each process that runs a trial of an experiment that starts from now on.

    >>> from nbray.tune.registry import make_env, register_env
    >>> register_env("corridor", lambda config: list(range(config["length"])))
    >>> make_env("corridor", {"length": 3})
    [0, 1, 2]
    """
    _check_name("register_env", name)
    if not callable(creator):
        raise WrongType(f"register_env({name!r}, {creator!r}): expected a function of a config that returns the environment")
    _environments[name] = creator


def make_env(name: str, config: Mapping[str, Any] | None = None) -> Any:
    """An environment of that name, made for this config. Raises UsageError for a name that nobody registered."""
    if name not in _environments:
        if not _environments:
            raise UsageError(f"there is no environment {name!r}: register it first: register_env({name!r}, lambda config: ...)")
        unknown(name, sorted(_environments), "there is no environment")
    return _environments[name](dict(config or {}))


def environments() -> dict[str, EnvironmentMaker]:
    """All that `register_env` has been told, for a Plan."""
    return dict(_environments)


def adopt(makers: Mapping[str, EnvironmentMaker]) -> None:
    """Know these environments, in a process that runs trials."""
    _environments.update(makers)


def resolve(trainable: Any) -> Any:
    """What a name stands for, a remote function is made of, or the trainable itself. Raises UsageError, WrongType."""
    if isinstance(trainable, str):
        trainable = _named(trainable)
    if isinstance(trainable, RemoteFunction):
        trainable = trainable.function
    check_trainable(trainable)
    return trainable


def _named(name: str) -> Any:
    if name in _trainables:
        return _trainables[name]
    try:
        return registered_function(name)
    except UsageError:
        if not _trainables:
            raise
        unknown(name, sorted(_trainables), "no trainable is registered under")


def _check_name(verb: str, name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise WrongType(f'{verb}({name!r}, ...): expected a name first, for example {verb}("train", ...)')
