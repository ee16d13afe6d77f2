"""How arguments that are objects travel: a place is kept in the pickle, and filled on the worker with the object's value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbray import serialization
from nbray.ids import ObjectId
from nbray.scheduler.messages import RunSpec, Value


class Dependency:
    """Stands in the pickled arguments for the value of a dependency."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __reduce__(self) -> tuple[type[Dependency], tuple[int]]:
        return Dependency, (self.index,)


def arguments_of(spec: RunSpec, unpack: Callable[[ObjectId, Value], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call as its function gets them; `unpack` gives the value of an object."""
    values = [unpack(object_id, value) for object_id, value in spec.deps]
    args, kwargs = values.pop() if spec.has_payload else serialization.loads(spec.args) if spec.args else ((), {})
    if values:
        args = tuple(values[arg.index] if type(arg) is Dependency else arg for arg in args)
        kwargs = {name: values[arg.index] if type(arg) is Dependency else arg for name, arg in kwargs.items()}
    return args, kwargs
