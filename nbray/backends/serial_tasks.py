"""Tasks of the serial backend: each runs at once, on the thread that submits it, with copies of function and arguments."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io
import pickle
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from nbray import serialization
from nbray.backends.backend import CallOptions, OutputEvent, OutputHandler
from nbray.backends.serial_objects import Failed, SerialObjects
from nbray.backends.serial_records import FAILED, SUCCEEDED, SerialRecords
from nbray.backends.serial_streams import SerialStreams, all_items, is_generator, items_of
from nbray.engine import task_context
from nbray.engine.hosted_actor import ActorExit
from nbray.engine.task_context import TaskContext
from nbray.errors import ActorDied, NotShippable, ResultNotShippable, WrongCluster
from nbray.functions import FunctionPickler, PickledFunction, load_function
from nbray.ids import NO_TASK, CellRunId, ObjectId, Reference, TaskId
from nbray.scheduler.messages import DYNAMIC, STREAMING
from nbray.serialization import Payload

WORKER = "worker 0 (in this process)"


class Work(NamedTuple):
    """A task, or the call of an actor's method."""

    task_id: TaskId
    returns: list[ObjectId]
    name: str
    prepare: Callable[[], Callable[..., Any]]
    """Makes what is called, inside the task."""
    args: list[Any]
    kwargs: dict[str, Any]
    options: CallOptions
    cell_run: CellRunId
    kind: str
    actor: ObjectId


class _Dependency(NamedTuple):
    object_id: ObjectId


Outcome = list[Payload] | Failed


class SerialTasks:
    """Runs tasks."""

    def __init__(self, objects: SerialObjects, records: SerialRecords, epoch: str) -> None:
        self.output: OutputHandler | None = None
        self.bundle: Callable[[list[ObjectId]], Any] = list
        self.streams = SerialStreams(objects, self._inside, self._failed, self._end)
        self._objects = objects
        self._records = records
        self._epoch = epoch
        self._functions = FunctionPickler(self._lift)
        self._loaded: dict[bytes, Callable[..., Any]] = {}
        self._coroutines = Coroutines()

    # ---------------------------------------------------------------- code

    def pickle(self, function: Callable[..., Any]) -> PickledFunction:
        """A function or class as it would travel. Raises NotShippable."""
        return self._functions.pickle(function)

    def load(self, pickled: PickledFunction) -> Callable[..., Any]:
        """The copy of a function that tasks call, loaded once."""
        function = self._loaded.get(pickled.key)
        if function is None:
            for each in pickled.nested:
                self._objects.hold(each)
            function = self._loaded[pickled.key] = load_function(pickled.blob, self._objects.value)
        return function

    def new_cell(self) -> None:
        """A new cell run begins: what was changed in place since is noticed."""
        self._functions.new_cell()

    def close(self) -> None:
        """No more tasks will come."""
        self._coroutines.close()

    def _lift(self, data: bytes | memoryview) -> ObjectId:
        return self._objects.store(serialization.dumps(pickle.PickleBuffer(data)))

    # ---------------------------------------------------------------- one task

    def run(
        self, name: str, prepare: Callable[[], Callable[..., Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any],
        options: CallOptions, cell_run: CellRunId, kind: str = "NORMAL_TASK", actor: ObjectId = NO_TASK,
    ) -> list[ObjectId]:  # fmt: skip
        """Run a call now and return the ids of its returns, each with one reference."""
        deps = [self._id_of(each) for each in (*args, *kwargs.values()) if isinstance(each, Reference)]
        values = [_Dependency(each.id) if isinstance(each, Reference) else each for each in args]
        by_name = {key: _Dependency(each.id) if isinstance(each, Reference) else each for key, each in kwargs.items()}
        payload = serialization.dumps((values, by_name), f"the arguments of {name}")
        failed = self._objects.error(deps)
        if failed is not None:
            return self.fail(name, options, failed, cell_run)
        ids = self._returns(options)
        values, by_name = serialization.loads(serialization.encode(payload))
        returns = ids if options.num_returns else []
        self._attempts(Work(ids[0], returns, name, prepare, values, by_name, options, cell_run, kind, actor))
        return self._given(ids, options)

    def fail(self, name: str, options: CallOptions, failed: Failed, cell_run: CellRunId) -> list[ObjectId]:
        """End a call that cannot run."""
        ids = self._returns(options)
        self._end(name, cell_run, ids if options.num_returns else [], failed)
        return self._given(ids, options)

    def _returns(self, options: CallOptions) -> list[ObjectId]:
        ids = [self._objects.new_id() for _ in range(max(options.num_returns, 1))]
        for each in ids if options.num_returns else ():
            self._objects.hold(each)
        return ids

    @staticmethod
    def _given(ids: list[ObjectId], options: CallOptions) -> list[ObjectId]:
        if options.num_returns == STREAMING:
            return [ids[0], ObjectId(-ids[0])]
        return ids if options.num_returns else []

    def _id_of(self, reference: Reference) -> ObjectId:
        if reference.epoch != self._epoch:
            raise WrongCluster(f"{reference!r} belongs to another cluster ({reference.epoch}): compute it again here")
        return reference.id

    def _attempts(self, work: Work) -> None:
        most = 1 + (work.options.max_retries or 0) if work.options.retry_exceptions else 1
        attempt = 0
        while True:
            attempt += 1
            began = time.monotonic()
            outcome = self._attempt(work, attempt)
            if outcome is None:
                return
            error = outcome.error if isinstance(outcome, Failed) else None
            again = error is not None and attempt != most and _is_retried(error, work.options)
            self._records.note(
                work.task_id, work.name, work.cell_run, WORKER, attempt, began, error, again=again, kind=work.kind,
                actor=work.actor,
            )  # fmt: skip
            if not again:
                self._end(work.name, work.cell_run, work.returns, outcome)
                return

    def _attempt(self, work: Work, attempt: int) -> Outcome | None:
        """The outcome; None where the task has become a stream, whose outcome comes later."""
        with self._inside(work, attempt):
            try:
                function = work.prepare()
                result = function(
                    *map(self._resolved, work.args), **{key: self._resolved(each) for key, each in work.kwargs.items()}
                )
                if isinstance(result, Coroutine):
                    result = self._coroutines.run(result)
                return self._pack(result, work)
            except KeyboardInterrupt:  # Stop: there is nothing to stop but this
                raise
            except BaseException as error:  # noqa: BLE001 - the task's own failure, whatever it is, is its outcome
                return self._failed(error, work, attempt)

    def _resolved(self, argument: Any) -> Any:
        return self._objects.value(argument.object_id) if isinstance(argument, _Dependency) else argument

    def _pack(self, result: Any, work: Work) -> Outcome | None:
        count = work.options.num_returns
        if count < 0 or (count != 1 and is_generator(result)):
            items = items_of(result, work.name, self._coroutines.run)
            if count == STREAMING:
                self.streams.begin(items, work)
                return None
            result, count = (self._dynamic(items, work), 1) if count == DYNAMIC else (tuple(items), count)
        if count > 1 and (not isinstance(result, (tuple, list)) or len(result) != count):
            got = f"{len(result)} values" if isinstance(result, (tuple, list)) else f"one {type(result).__name__}"
            raise ValueError(f"{work.name} has num_returns={count} but returned {got}")
        parts = [result] if count == 1 else result if count else []
        try:
            payloads = [serialization.dumps(part, f"the result of {work.name}") for part in parts]
        except NotShippable as error:
            return Failed(ResultNotShippable(str(error)))
        for each in _nested(payloads):  # until `_end`: the refs in the result itself go with this frame
            self._objects.hold(each)
        return payloads

    def _dynamic(self, items: Iterator[Any], work: Work) -> Any:
        return self.bundle(all_items(items, self._objects, lambda error: self._failed(error, work)))

    def _failed(self, error: BaseException, work: Work, attempt: int = 1) -> Failed:
        if isinstance(error, ActorExit):
            return Failed(ActorDied(f"the actor has ended by its own wish (exit_actor) in {work.name}"))
        error.__traceback__ = _from_user_code(error)
        return Failed(error, f"in task {work.name} on {WORKER}, attempt {attempt}")

    def _end(self, name: str, cell_run: CellRunId, returns: list[ObjectId], outcome: Outcome) -> None:
        error = outcome.error if isinstance(outcome, Failed) else None
        self._records.end(name, cell_run, SUCCEEDED if error is None else FAILED, error)
        for place, each in enumerate(returns):
            self._objects.settle(each, outcome if isinstance(outcome, Failed) else outcome[place])
        if not isinstance(outcome, Failed):
            self._objects.release(_nested(outcome))

    # ---------------------------------------------------------------- around it

    @contextlib.contextmanager
    def _inside(self, work: Work, attempt: int = 1) -> Iterator[None]:
        """The task is what runs here, and what it prints is its own."""
        outer = task_context.current()
        context = TaskContext(work.task_id, work.name, work.cell_run, attempt, WORKER, self._emit, work.options.resources)
        task_context.enter(context)
        try:
            with contextlib.ExitStack() as stack:
                if self.output is not None:
                    stack.enter_context(contextlib.redirect_stdout(_Printing(context, "stdout")))
                    stack.enter_context(contextlib.redirect_stderr(_Printing(context, "stderr")))
                yield
        finally:
            task_context.end(work.task_id)
            task_context.enter(outer)

    def _emit(self, task_id: TaskId, stream: str, data: bytes) -> None:
        context = task_context.current()
        if self.output is None:
            if stream in ("stdout", "stderr"):
                getattr(sys, stream).write(data.decode("utf-8", "replace"))
        elif context is not None:
            self.output(OutputEvent(context.cell_run, task_id, context.name, WORKER, stream, data))


class _Printing(io.TextIOBase):
    """What a task prints goes to its cell as it comes."""

    def __init__(self, context: TaskContext, stream: str) -> None:
        self._context = context
        self._stream = stream

    def write(self, text: str) -> int:
        """Pass it on."""
        if text:
            self._context.emit(self._stream, text.encode("utf-8", "backslashreplace"))
        return len(text)

    def writable(self) -> bool:
        """Always."""
        return True


class Coroutines:
    """Runs coroutines to their end on one event loop, so that what they leave behind still belongs to it at the next."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The coroutine's value: run here, or beside the event loop that runs on this thread already, as in a notebook."""
        if self._loop.is_running():  # called from inside another coroutine
            return self._beside(lambda: asyncio.run(coroutine))
        loop = self._loop
        if asyncio._get_running_loop() is None:
            return loop.run_until_complete(coroutine)
        return self._beside(lambda: loop.run_until_complete(coroutine))

    @staticmethod
    def _beside(run: Callable[[], Any]) -> Any:
        outcome: list[Any] = [None, None]

        def fill() -> None:
            try:
                outcome[0] = run()
            except BaseException as error:  # noqa: BLE001 - raised again by who waits
                outcome[1] = error

        copied = contextvars.copy_context()
        thread = threading.Thread(target=copied.run, args=(fill,), name="nbray-serial-coroutine", daemon=True)
        thread.start()
        thread.join()
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    def close(self) -> None:
        """Close the loop."""
        self._loop.close()


def _nested(payloads: Iterable[Payload]) -> list[ObjectId]:
    return [each for payload in payloads for each in payload.nested]


def _is_retried(error: BaseException, options: CallOptions) -> bool:
    wanted = options.retry_exceptions
    if not isinstance(error, Exception):
        return False
    return wanted if isinstance(wanted, bool) else isinstance(error, wanted)


def _from_user_code(error: BaseException) -> TracebackType | None:
    """The traceback from the first frame that is not this module's, or all of it."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return frames if frames is not None else error.__traceback__
