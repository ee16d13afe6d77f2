"""One attempt at a task: its function with its arguments, what it returns as values, what it raises as a failure."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

from nbray import exceptions_shipping, serialization
from nbray.engine.arguments import arguments_of
from nbray.engine.hosted_actor import ActorExit
from nbray.engine.learned_code import LearnedCode
from nbray.engine.object_exchange import ObjectExchange
from nbray.engine.references import References
from nbray.engine.streaming import Streaming, is_stream
from nbray.errors import NotShippable, StoreFull
from nbray.ids import ObjectId, TaskId
from nbray.scheduler.messages import Failure, RunSpec, Template, Value


class Attempts:
    """Runs them on the caller's thread, several at once where there are several threads.

    `carried` collects the references inside the results. They are held on behalf of the results, until these have left.
    """

    def __init__(
        self, code: LearnedCode, exchange: ObjectExchange, references: References, worker: str,
        is_cancelled: Callable[[TaskId], bool], streaming: Streaming,
    ) -> None:  # fmt: skip
        self._code = code
        self._exchange = exchange
        self._references = references
        self._worker = worker
        self._is_cancelled = is_cancelled
        self._streaming = streaming

    def run(self, spec: RunSpec, template: Template, carried: list[ObjectId]) -> list[Value]:
        """The values of a task, or the one Failure that stands for them; raises nothing but a late KeyboardInterrupt."""
        try:
            prepared = self._code.prepared
            function = prepared[1] if prepared is not None and prepared[0] is template else self._code.prepare(template)
            if spec.args or spec.deps:
                args, kwargs = arguments_of(spec, self._exchange.unpack)
                result = function(*args, **kwargs)
            else:
                result = function()
        except BaseException as error:  # noqa: BLE001 - the task's own failure, whatever it is, is its outcome
            return [self.failure(error, spec, template)]
        return self.pack(result, spec, template, carried)

    def begin(self, spec: RunSpec, template: Template) -> Any:
        """What the function returns or raises, for who deals with a coroutine and its failures himself."""
        prepared = self._code.prepared
        function = prepared[1] if prepared is not None and prepared[0] is template else self._code.prepare(template)
        args, kwargs = arguments_of(spec, self._exchange.unpack)
        return function(*args, **kwargs)

    def pack(self, result: Any, spec: RunSpec, template: Template, carried: list[ObjectId]) -> list[Value]:
        """What a function returned, as its task's values; what it yields is sent to its consumer."""
        count = template.num_returns
        try:
            plain = serialization.dumps_plain(result) if count == 1 else None
            if plain is not None:
                return [plain]
            if count == 1:
                return [self._carry(self._exchange.pack(result, f"the result of {template.name}"), carried)]
            if is_stream(result, template):
                fail = partial(self.failure, spec=spec, template=template)
                result = self._streaming.resolve(result, spec.task_id, template, fail)
            return self._values(result, template, carried)
        except BaseException as error:  # noqa: BLE001 - a __reduce__ of the user's may raise anything
            return [self._unpacked(error, spec, template)]

    async def pack_items(self, items: Any, spec: RunSpec, template: Template, carried: list[ObjectId]) -> list[Value]:
        """The same on an event loop, for what is a stream; to cancel it raises CancelledError."""
        import asyncio  # 50 ms, which who has a loop has paid

        try:
            fail = partial(self.failure, spec=spec, template=template)
            result = await self._streaming.resolve_async(items, spec.task_id, template, fail)
            return self._values(result, template, carried)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - as above
            return [self._unpacked(error, spec, template)]

    def _values(self, result: Any, template: Template, carried: list[ObjectId]) -> list[Value]:
        count = template.num_returns
        name = f"the result of {template.name}"
        if count == 1 or count < 0:
            return [self._carry(self._exchange.pack(result, name), carried)]
        if count == 0:
            return []
        if not isinstance(result, (tuple, list)) or len(result) != count:
            got = f"{len(result)} values" if isinstance(result, (tuple, list)) else f"one {type(result).__name__}"
            raise ValueError(f"{template.name} has num_returns={count} but returned {got}")
        return [self._carry(self._exchange.pack(part, name), carried) for part in result]

    def _unpacked(self, error: BaseException, spec: RunSpec, template: Template) -> Failure:
        if isinstance(error, NotShippable):
            return Failure("unpicklable_result", str(error), **self._origin(spec, template))
        if isinstance(error, StoreFull):
            return Failure("store_full", str(error), **self._origin(spec, template))
        return self.failure(error, spec, template)

    def _carry(self, value: Value, carried: list[ObjectId]) -> Value:
        nested = getattr(value, "nested", None)  # a small value without references is bare bytes
        if nested:
            for object_id in nested:
                self._references.hold(object_id)
            carried += nested
        return value

    # ---------------------------------------------------------------- failures

    def failure(self, error: BaseException, spec: RunSpec, template: Template) -> Failure:
        """What a task raised, as its outcome."""
        host = self._code.host
        if host is not None and (host.leaving or isinstance(error, ActorExit)):
            return host.farewell(template.name, self._worker, spec.attempt)
        if isinstance(error, KeyboardInterrupt) and self._is_cancelled(spec.task_id):
            return self.cancelled(spec, template)
        retriable = _retries(error, template)
        pickled, type_name, message, traceback, frames = exceptions_shipping.dump_exception(error)
        return Failure(
            "exception", message, type_name, pickled, traceback, retriable=retriable, frames=frames,
            **self._origin(spec, template),
        )  # fmt: skip

    def cancelled(self, spec: RunSpec, template: Template) -> Failure:
        """The outcome of a task that was cancelled while it ran."""
        message = f"task {template.name} was cancelled while it ran on {self._worker}"
        return Failure("cancelled", message, **self._origin(spec, template))

    def _origin(self, spec: RunSpec, template: Template) -> dict[str, Any]:
        return {"task": template.name, "worker": self._worker, "attempt": spec.attempt}


def _retries(error: BaseException, template: Template) -> bool:
    """Whether the options of the call ask for another attempt after this exception."""
    if not template.options or isinstance(error, (KeyboardInterrupt, SystemExit)):
        return False
    try:
        wanted = pickle.loads(template.options)
    except Exception as problem:  # noqa: BLE001 - a class that cannot be rebuilt here must not cost the worker
        exceptions_shipping.add_note(error, f"Not tried again: retry_exceptions cannot be read on the worker: {problem!r}")
        return False
    return isinstance(error, Exception) if wanted is True else isinstance(error, wanted)
