"""Arguments of the local backend's calls: references become dependencies, large values go into the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbray import serialization
from nbray.engine.arguments import Dependency
from nbray.engine.object_exchange import ObjectExchange
from nbray.errors import WrongCluster
from nbray.ids import ObjectId, Reference
from nbray.scheduler.messages import INLINE_LIMIT, TaskSpec


class LocalArguments:
    """Puts the arguments of calls into their specs; any thread."""

    def __init__(self, epoch: str, exchange: ObjectExchange) -> None:
        self._epoch = epoch
        self._exchange = exchange

    def fill(self, task: TaskSpec, args: tuple[Any, ...], kwargs: Mapping[str, Any], function_name: str) -> TaskSpec:
        """Top-level references become dependencies; what is large goes into the store and not into the message."""
        deps: list[ObjectId] = []
        if any(isinstance(arg, Reference) for arg in args) or any(isinstance(arg, Reference) for arg in kwargs.values()):
            args = tuple(self._depend(arg, deps) for arg in args)
            kwargs = {name: self._depend(arg, deps) for name, arg in kwargs.items()}
        payload = serialization.dumps_arguments(args, dict(kwargs), function_name)
        task.deps = deps
        task.nested = payload.nested
        if serialization.encoded_size(payload) <= INLINE_LIMIT:
            task.args = serialization.encode(payload)
            return task
        stored = self._exchange.put_payload(payload)
        task.payload = stored
        task.deps = [*deps, stored]
        return task

    def _depend(self, arg: Any, deps: list[ObjectId]) -> Any:
        if not isinstance(arg, Reference):
            return arg
        if arg.epoch != self._epoch:
            raise WrongCluster(
                f"{arg!r} belongs to another cluster ({arg.epoch}), which is gone or was shut down: compute it again here"
            )
        deps.append(arg.id)
        return Dependency(len(deps) - 1)
