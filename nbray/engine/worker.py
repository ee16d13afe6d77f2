"""The worker: runs one task at a time on its main thread while the I/O thread receives.

    I/O thread, or the main thread while idle    main thread
    -----------------------------------------    -----------
    Run       -> puts tasks in the queue         takes the next task, writes its id into the shared word, runs it
    Learn     -> keeps functions, templates      loads a function at its first task
    TakeBack  -> takes tasks out again           after each task: the result into the outbox; a flush when the queue is
    death pipe ends -> exit (I/O thread only)    empty or a millisecond has passed

SIGINT raises KeyboardInterrupt only while the task runs that the scheduler marked in the shared word.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from nbray import exceptions_shipping, functions, serialization
from nbray.engine import environment, output, process_tree, task_context
from nbray.engine.connection import Connection
from nbray.engine.interrupts import InterruptShield
from nbray.engine.object_exchange import ObjectExchange
from nbray.engine.output import TaskOutput, TaskStream
from nbray.engine.task_context import TaskContext
from nbray.engine.unsent import UnsentOfWorker
from nbray.engine.words import Words
from nbray.errors import NotShippable, StoreFull
from nbray.ids import NO_TASK, ObjectId, TaskId, TemplateId
from nbray.resources import CPU, UNIT
from nbray.scheduler.messages import (
    Blocked,
    Exit,
    Failure,
    Finished,
    Forget,
    FromScheduler,
    Learn,
    Output,
    Run,
    RunSpec,
    TakeBack,
    TakenBack,
    TaskResult,
    Template,
    Unblocked,
    Value,
)  # fmt: skip

FLUSH_SECONDS = 0.002
OUTPUT_SECONDS = 0.02
BLINK_SECONDS = 0.0001
"""After a shorter task the log is not looked at while tasks of the same cell follow: two system calls are half its price."""

Function = Callable[..., Any]


class Worker:
    """The state of one worker process; `run` returns when the scheduler says Exit."""

    def __init__(
        self, slot: int, words: Words, unsent: UnsentOfWorker, connection: Connection, exchange: ObjectExchange, output_limit: int
    ) -> None:
        self._slot = slot
        self._words = words
        self._connection = connection
        self._exchange = exchange
        self._name = f"worker {slot} (pid {os.getpid()})"
        self._queue: deque[RunSpec] = deque()
        self._queue_lock = threading.Lock()
        self._exiting = False
        self._templates: dict[TemplateId, Template] = {}
        self._blobs: dict[bytes, tuple[str, bytes]] = {}
        self._functions: dict[bytes, Function] = {}
        self._results: list[TaskResult] = []
        self._results_since = 0.0
        self._carried: list[ObjectId] = []
        """References inside `_results`: held until these have left, or the release of the task's own would overtake them."""
        self._packed: list[ObjectId] = []
        """The same of the running task."""
        self._results_lock = threading.Lock()
        self._shield = InterruptShield()
        """Results leave exactly once, also when the task that waits in `get` is cancelled just then."""
        self._log = os.dup(1)
        """User code may close or redirect descriptor 1."""
        self._log_length = output.log_length(self._log)
        self._running = NO_TASK
        self._waits = 0
        """How many waits of the running task overlap: several where it awaits, one inside the other where that nests."""
        self._threads = 1
        self._environment = b""
        self._prepared: tuple[Template, Function] | None = None
        """The template of the last task, for which all is as it must be; one field, since the I/O thread clears it."""
        self._output = TaskOutput(
            self._post_output, connection.io.call_at, OUTPUT_SECONDS, output_limit, unsent, self._log
        )  # fmt: skip
        connection.on_message = self._handle
        connection.on_wait = self._waiting
        connection.before_making = self._flush_results  # the scheduler takes who submits for the first task not yet reported

    # ---------------------------------------------------------------- I/O thread

    def _handle(self, message: FromScheduler) -> None:
        if type(message) is Run:
            self._queue.extend(message.tasks)
        elif isinstance(message, Learn):
            self._templates.update((template.template_id, template) for template in message.templates)
            self._blobs.update((key, (name, blob)) for key, name, blob in message.functions)
        elif isinstance(message, TakeBack):
            self._give_back(set(message.task_ids))
        elif isinstance(message, Forget):
            for template_id in message.template_ids:
                self._templates.pop(template_id, None)
            self._prepared = None
            for key in message.function_keys:
                self._blobs.pop(key, None)
                self._functions.pop(key, None)
        elif isinstance(message, Exit):
            self._exiting = True

    def _give_back(self, task_ids: set[TaskId]) -> None:
        with self._queue_lock:
            taken = [spec.task_id for spec in self._queue if spec.task_id in task_ids]
            kept = [spec for spec in self._queue if spec.task_id not in task_ids]
            self._queue.clear()
            self._queue.extend(kept)
        self._connection.post(TakenBack(taken), now=True)

    # ---------------------------------------------------------------- main thread

    def run(self) -> None:
        """Run tasks until the scheduler says Exit or is gone."""
        signal.signal(signal.SIGINT, self._on_interrupt)
        self._connection.on_lost = self._on_lost
        if self._connection.lost:
            self._on_lost()
        while not self._exiting:
            spec = self._next()
            if spec is None:
                self._connection.receive_here(self._is_idle)
            else:
                self._run(spec)

    def _is_idle(self) -> bool:
        return not self._queue and not self._exiting

    def _next(self) -> RunSpec | None:
        """The next task; before an empty queue, everything that is finished goes out."""
        with self._queue_lock:
            if self._queue:
                return self._queue.popleft()
        self._flush_results()
        return None

    def _run(self, spec: RunSpec) -> None:
        template = self._templates[spec.template_id]
        self._words.start(self._slot, spec.task_id, self._log_length)
        context = TaskContext(
            spec.task_id, template.name, template.cell_run, spec.attempt, self._name, self._emit_display
        )  # fmt: skip
        task_context.enter(context)
        started = time.perf_counter()
        try:
            self._running, self._waits = spec.task_id, 0
            if self._words.cancelled(self._slot) == spec.task_id:  # SIGINT came while nothing ran that it could mean
                raise KeyboardInterrupt
            values = self._attempt(spec, template)
            self._running = NO_TASK
        except KeyboardInterrupt:  # at the very edge of the task: as if inside
            self._running = NO_TASK
            values = [self._cancelled(context)]
        task_context.end(spec.task_id)
        self._finish(spec.task_id, values, time.perf_counter() - started)

    def _attempt(self, spec: RunSpec, template: Template) -> list[Value]:
        try:
            prepared = self._prepared
            function = prepared[1] if prepared is not None and prepared[0] is template else self._prepare(template)
            if spec.args or spec.deps:
                args, kwargs = self._arguments(spec)
                result = function(*args, **kwargs)
            else:
                result = function()
        except BaseException as error:  # noqa: BLE001 - the task's own failure, whatever it is, is its outcome
            return [self._failure(error, spec, template)]
        return self._pack(result, spec, template)

    def _prepare(self, template: Template) -> Function:
        """Make everything ready for the tasks of a template, and its function at hand for the next of them."""
        self._prepared = None
        if template.environment != self._environment:
            environment.adopt(template.environment)
            self._environment = template.environment
        function = self._functions.get(template.function_key) or self._load(template.function_key)
        self._set_threads(template)
        self._prepared = template, function
        return function

    def _set_threads(self, template: Template) -> None:
        """BLAS and OpenMP use as many threads as the task has CPUs."""
        threads = max(1, template.resources.get(CPU, UNIT) // UNIT)
        if threads != self._threads:
            import threadpoolctl

            threadpoolctl.threadpool_limits(threads)
            self._threads = threads

    def _load(self, key: bytes) -> Function:
        _, blob = self._blobs[key]
        function: Function = functions.load_function(blob, self._resolve)
        self._functions[key] = function
        return function

    def _resolve(self, object_id: ObjectId) -> Any:
        """The value of an object that a function has captured; the function keeps it alive, and so do its arrays."""
        self._connection.references.hold(object_id)
        try:
            self._connection.wait((object_id,), 1, None, exist=True)
            value = self._connection.value(object_id)
            assert value is not None
            return self._exchange.unpack(object_id, value)
        finally:
            self._connection.release(object_id)

    def _arguments(self, spec: RunSpec) -> tuple[tuple[Any, ...], dict[str, Any]]:
        values = [self._exchange.unpack(object_id, value) for object_id, value in spec.deps]
        args, kwargs = values.pop() if spec.has_payload else serialization.loads(spec.args) if spec.args else ((), {})
        if values:
            args = tuple(values[arg.index] if type(arg) is Dependency else arg for arg in args)
            kwargs = {name: values[arg.index] if type(arg) is Dependency else arg for name, arg in kwargs.items()}
        return args, kwargs

    def _pack(self, result: Any, spec: RunSpec, template: Template) -> list[Value]:
        count = template.num_returns
        try:
            plain = serialization.dumps_plain(result) if count == 1 else None
            if plain is not None:
                return [plain]
            name = f"the result of {template.name}"
            if count == 1:
                return [self._carry(self._exchange.pack(result, name))]
            if count == 0:
                return []
            if not isinstance(result, (tuple, list)) or len(result) != count:
                got = f"{len(result)} values" if isinstance(result, (tuple, list)) else f"one {type(result).__name__}"
                raise ValueError(f"{template.name} has num_returns={count} but returned {got}")
            return [self._carry(self._exchange.pack(part, name)) for part in result]
        except NotShippable as error:
            return [Failure("unpicklable_result", str(error), **self._origin(spec, template))]
        except StoreFull as error:
            return [Failure("store_full", str(error), **self._origin(spec, template))]
        except BaseException as error:  # noqa: BLE001 - a __reduce__ of the user's may raise anything
            return [self._failure(error, spec, template)]

    def _carry(self, value: Value) -> Value:
        nested = getattr(value, "nested", None)  # a small value without references is bare bytes
        if nested:
            for object_id in nested:
                self._connection.references.hold(object_id)
            self._packed += nested
        return value

    def _finish(self, task_id: TaskId, values: list[Value], seconds: float) -> None:
        self._output.end_task(task_id)
        log_end = self._log_end() if seconds > BLINK_SECONDS or self._another_cell_next() else 0
        now = time.monotonic()
        with self._results_lock:
            self._results.append(TaskResult(task_id, values, int(seconds * 1e6), log_end))
            self._carried += self._packed
            self._packed.clear()
            first = len(self._results) == 1
            if first:
                self._results_since = now
        if not self._queue or now - self._results_since > FLUSH_SECONDS or seconds > FLUSH_SECONDS:
            self._flush_results()
        elif first:
            # If the next task turns out long, the I/O thread must not let this result wait for it.
            self._connection.io.call_at(now + 2 * FLUSH_SECONDS, self._flush_results)

    def _log_end(self) -> int:
        """The log's length if it has grown since the last look, else 0."""
        length = output.log_length(self._log)
        grew, self._log_length = length != self._log_length, length
        return length if grew else 0

    def _another_cell_next(self) -> bool:
        """Whether what was written to the log until now could be taken for the output of another cell."""
        try:
            following = self._templates[self._queue[0].template_id].cell_run
        except IndexError:  # an empty queue, maybe since a moment ago
            return True
        context = task_context.current()
        return context is None or context.cell_run != following

    def _flush_results(self) -> None:
        with self._results_lock, self._shield:
            if self._results:
                self._connection.post(Finished(self._results), now=True)
                self._results = []
                for object_id in self._carried:
                    self._connection.release(object_id)
                self._carried.clear()

    # ---------------------------------------------------------------- failures

    def _failure(self, error: BaseException, spec: RunSpec, template: Template) -> Failure:
        if isinstance(error, KeyboardInterrupt) and self._words.cancelled(self._slot) == spec.task_id:
            context = task_context.current()
            assert context is not None
            return self._cancelled(context)
        retriable = _retries(error, template)
        pickled, type_name, message, traceback = exceptions_shipping.dump_exception(error)
        return Failure(
            "exception", message, type_name, pickled, traceback, retriable=retriable,
            **self._origin(spec, template),
        )  # fmt: skip

    def _cancelled(self, context: TaskContext) -> Failure:
        return Failure(
            "cancelled", f"task {context.name} was cancelled while it ran on {self._name}",
            task=context.name, worker=self._name, attempt=context.attempt,
        )  # fmt: skip

    def _origin(self, spec: RunSpec, template: Template) -> dict[str, Any]:
        return {"task": template.name, "worker": self._name, "attempt": spec.attempt}

    # ---------------------------------------------------------------- waiting, signals, output

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        """While the running task waits for objects, its CPU is free and its prefetched tasks are taken back."""
        task_id = self._running
        if not task_id or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._waits += 1
        if self._waits == 1:
            self._flush_results()
            self._output.flush(now=False)  # what the task said before it called others stands above what they say
            self._connection.receive_in_background()
            self._connection.post(Blocked(task_id), now=True)
        try:
            yield
        finally:
            if self._running == task_id:  # else a coroutine that the task had abandoned
                self._waits -= 1
                if self._waits == 0:
                    self._connection.post(Unblocked(task_id), now=True)

    def _on_interrupt(self, number: int, frame: object) -> None:
        if self._running and self._words.cancelled(self._slot) == self._running:
            raise KeyboardInterrupt

    def _on_lost(self) -> None:
        end_with_group()

    def _emit_display(self, task_id: TaskId, stream: str, data: bytes) -> None:
        if stream in ("stdout", "stderr"):
            self._output.write(task_context.current(), stream, data)
        else:
            self._output.flush()
            self._post_output(task_id, stream, data, True)

    def _post_output(self, task_id: TaskId, stream: str, data: bytes, now: bool) -> None:
        self._connection.post(Output(task_id, stream, data), now=now)

    def take_streams(self) -> None:
        """From now on Python's prints go to the cells of the tasks."""
        sys.stdout = TaskStream("stdout", 1, self._output)
        sys.stderr = TaskStream("stderr", 2, self._output)


class Dependency:
    """Stands in the pickled arguments for the value of a dependency."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __reduce__(self) -> tuple[type[Dependency], tuple[int]]:
        return Dependency, (self.index,)


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


def reseed() -> None:
    """Forked workers share the zygote's random state: give each its own."""
    random.seed()
    if "numpy" in sys.modules:
        import numpy

        numpy.random.seed(int.from_bytes(os.urandom(4), "little"))


def end_with_group() -> NoReturn:
    """End this worker and everything it started, at once; the zygote may be gone and cannot."""
    with contextlib.suppress(OSError):
        process_tree.end_descendants({os.getpid()})
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
