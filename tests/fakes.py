"""A backend without processes, threads or clock: tasks run in this process, in order, when somebody waits for them.

Values, functions and failures go through nbray's own pickling, so that copies are copies and references are counted.
`frozen` stands for a busy cluster: nothing runs, and every wait with a timeout runs out at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import pickle
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nbray import exceptions_shipping, resources, serialization, session
from nbray.backends.backend import (
    Backend,
    CallOptions,
    CancelReport,
    OutputEvent,
    OutputHandler,
    SnapshotHandler,
)
from nbray.engine import task_context
from nbray.engine.failures import to_exception
from nbray.engine.streaming import is_generator
from nbray.engine.task_context import TaskContext
from nbray.errors import ClusterDied, GetTimeoutError, InfeasibleRequest, NotShippable
from nbray.functions import FunctionPickler, PickledFunction, load_function
from nbray.ids import CellRunId, ObjectId, ProcessId, Reference, TaskId, object_id
from nbray.scheduler.messages import STREAMING, Failure, FailureKind
from nbray.serialization import Payload, dumps
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot, StoreSnapshot, WorkerSnapshot
from nbray.streams import bundle

_epochs = itertools.count(1)
_WORKER = "worker 0 (in this process)"


class _Stored(NamedTuple):
    frame: bytes
    nested: list[ObjectId]


def _frozen(payload: Payload) -> _Stored:
    return _Stored(serialization.encode(payload), payload.nested)


def all_of(generator: Any) -> Iterator[Any]:
    """The items of a generator of either kind."""
    if not hasattr(generator, "__aiter__"):
        yield from generator
        return
    with asyncio.Runner() as runner, contextlib.suppress(StopAsyncIteration):
        while True:
            yield runner.run(anext(generator))


def _nested(payloads: Sequence[Payload]) -> list[ObjectId]:
    return [each for payload in payloads for each in payload.nested]


class _Dependency(NamedTuple):
    object_id: ObjectId


class _Task(NamedTuple):
    returns: list[ObjectId]
    task_id: TaskId
    function: PickledFunction
    arguments: _Stored
    deps: list[ObjectId]
    options: CallOptions
    cell_run: CellRunId

    @property
    def needs(self) -> list[ObjectId]:
        """What must stay alive until the task has ended."""
        return [*self.deps, *self.arguments.nested, *self.function.nested]


class FakeBackend(Backend):
    """Runs tasks in this process while a caller waits."""

    name = "fake"
    lost = ""

    def __init__(self, **settings: Any) -> None:
        self.epoch = f"fake{next(_epochs)}"
        self.settings = {"num_workers": 2, **settings}
        self.resources = resources.request(
            settings.get("num_cpus", self.settings["num_workers"]), settings.get("num_gpus"), None, settings.get("resources")
        )
        self.frozen = False
        self.closed = False
        self.counts: Counter[ObjectId] = Counter()
        """References per object, those of tasks and of other objects included."""
        self.labels: dict[CellRunId, str] = {}
        self.submitted: list[tuple[str, CallOptions, CellRunId]] = []
        self.blobs: set[bytes] = set()
        """Keys of the functions that were shipped."""
        self._objects: dict[ObjectId, _Stored | Failure] = {}
        self._queue: list[_Task] = []
        self._items: dict[ObjectId, deque[ObjectId]] = {}
        """Of streams that have not been given up: what was yielded and not taken."""
        self._ids = itertools.count(1)
        self._callbacks: defaultdict[ObjectId, list[Callable[[], None]]] = defaultdict(list)
        self._ended: defaultdict[CellRunId, Counter[str]] = defaultdict(Counter)
        self._output: OutputHandler | None = None
        self._functions = FunctionPickler(lambda data: self._store(dumps(pickle.PickleBuffer(data))))

    # ---------------------------------------------------------------- tasks

    def submit(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions,
        cell_run: CellRunId,
    ) -> list[ObjectId]:  # fmt: skip
        self._check()
        missing = resources.shortfall(options.resources, self.resources)
        if missing:
            raise InfeasibleRequest(f"this task could never run: {missing}")
        pickled = self._functions.pickle(function)
        deps = [each.id for each in (*args, *kwargs.values()) if isinstance(each, Reference)]
        values = [_Dependency(each.id) if isinstance(each, Reference) else each for each in args]
        by_name = {name: _Dependency(each.id) if isinstance(each, Reference) else each for name, each in kwargs.items()}
        ids = [self._new_id() for _ in range(max(options.num_returns, 1))]
        returns = ids[: options.num_returns] if options.num_returns >= 0 else ids
        task = _Task(returns, ids[0], pickled, _frozen(serialization.dumps((values, by_name))), deps, options, cell_run)
        for each in (*task.needs, *returns):
            self.hold(each)
        self.blobs.add(pickled.key)
        self.submitted.append((options.name or pickled.name, options, cell_run))
        self._queue.append(task)
        if options.num_returns == STREAMING:
            self._items[ids[0]] = deque()
            return [ids[0], ObjectId(-ids[0])]
        return returns

    def _run_next(self) -> bool:
        """Run the first task whose dependencies exist."""
        if self.frozen:
            return False
        for index, task in enumerate(self._queue):
            if all(each in self._objects for each in task.deps):
                del self._queue[index]
                self._run(task)
                return True
        return False

    def _run(self, task: _Task) -> None:
        failed = next((each for each in map(self._objects.get, task.deps) if isinstance(each, Failure)), None)
        if failed is not None:
            self._end(task, failed)
            return
        attempts = 1 + (task.options.max_retries or 0) if task.options.retry_exceptions else 1
        for attempt in range(1, attempts + 1):
            outcome = self._attempt(task, attempt)
            if not (isinstance(outcome, Failure) and outcome.retriable):
                break
        self._end(task, outcome)

    def _attempt(self, task: _Task, attempt: int) -> list[Payload] | Failure:
        name = task.options.name or task.function.name
        outer = task_context.current()
        printed = io.StringIO()
        task_context.enter(TaskContext(task.task_id, name, task.cell_run, attempt, _WORKER, self._emit, task.options.resources))
        try:
            with contextlib.redirect_stdout(printed):
                function = load_function(task.function.blob, self._value)
                args, kwargs = self._arguments(task)
                return self._returns(function(*args, **kwargs), task)
        except Exception as error:  # noqa: BLE001 - the task's own failure is its outcome
            return self._failure(error, task, attempt)
        finally:
            task_context.end(task.task_id)
            task_context.enter(outer)
            if printed.getvalue():
                self._emit(task.task_id, "stdout", printed.getvalue().encode(), task.cell_run, name)

    def _arguments(self, task: _Task) -> tuple[list[Any], dict[str, Any]]:
        args, kwargs = serialization.loads(task.arguments.frame)
        return (
            [self._value(each.object_id) if isinstance(each, _Dependency) else each for each in args],
            {name: self._value(each.object_id) if isinstance(each, _Dependency) else each for name, each in kwargs.items()},
        )

    def _returns(self, result: Any, task: _Task) -> list[Payload]:
        count = task.options.num_returns
        if count < 0 or (count != 1 and is_generator(result)):
            result, count = self._iterate(result, task), abs(count) if count > 0 else 1
        if count > 1 and (not isinstance(result, (tuple, list)) or len(result) != count):
            raise ValueError(f"{task.function.name} has num_returns={count} but returned {result!r}")
        parts = [result] if count == 1 else result if count else []
        payloads = [serialization.dumps(part) for part in parts]
        for each in _nested(payloads):  # until `_end`: the refs in the result itself go with this frame
            self.hold(each)
        return payloads

    def _iterate(self, result: Any, task: _Task) -> Any:
        """All items of a generator at once: into the stream, into one value of refs, or into a tuple."""
        items = all_of(result)
        if task.options.num_returns >= 0:
            return tuple(items)
        made: Any = self._items.get(task.task_id, []) if task.options.num_returns == STREAMING else []
        try:
            made.extend(self._store(serialization.dumps(item)) for item in items)
        except Exception as error:
            if task.options.num_returns == STREAMING:
                raise
            made.append(self._new_id())
            self.hold(made[-1])
            self._keep(made[-1], self._failure(error, task, 1))
        return None if task.options.num_returns == STREAMING else bundle(made)

    def take_item(self, stream: TaskId) -> ObjectId | None:
        items = self._items.get(stream)
        return items.popleft() if items else None

    def run_freely(self, stream: TaskId) -> None:
        """They always do."""

    def close_stream(self, stream: TaskId, *, cancel: bool) -> None:
        if cancel:
            self.abandon([stream])
        for each in (*self._items.pop(stream, ()), stream):
            self.release(each)
        self._objects.pop(ObjectId(-stream), None)

    def _failure(self, error: Exception, task: _Task, attempt: int) -> Failure:
        kinds = task.options.retry_exceptions
        retriable = kinds if isinstance(kinds, bool) else isinstance(error, kinds)
        pickled, type_name, message, traceback, frames = exceptions_shipping.dump_exception(error)
        kind: FailureKind = "unpicklable_result" if isinstance(error, NotShippable) else "exception"
        return Failure(
            kind, message, type_name, pickled, traceback, task.function.name, _WORKER, attempt, retriable=retriable,
            frames=frames,
        )

    def _end(self, task: _Task, outcome: list[Payload] | Failure, how: str = "") -> None:
        failed = isinstance(outcome, Failure)
        self._ended[task.cell_run][how or ("failed" if failed else "succeeded")] += 1
        for index, each in enumerate(task.returns):
            self._keep(each, outcome if isinstance(outcome, Failure) else outcome[index])
        for each in (*task.needs, *_nested([] if isinstance(outcome, Failure) else outcome)):
            self.release(each)
        if task.task_id in self._items:  # whoever waits for the next item may look now
            self._objects[ObjectId(-task.task_id)] = _Stored(b"", [])
            for callback in self._callbacks.pop(ObjectId(-task.task_id), ()):
                callback()

    # ---------------------------------------------------------------- objects

    def _new_id(self) -> ObjectId:
        return object_id(ProcessId(1), next(self._ids))

    def _store(self, payload: Payload) -> ObjectId:
        new = self._new_id()
        self.hold(new)
        self._keep(new, payload)
        return new

    def _keep(self, new: ObjectId, value: Payload | Failure) -> None:
        if self.counts[new]:
            self._objects[new] = value if isinstance(value, Failure) else _frozen(value)
            for each in () if isinstance(value, Failure) else value.nested:
                self.hold(each)
        for callback in self._callbacks.pop(new, ()):
            callback()

    def _value(self, object_id: ObjectId) -> Any:
        stored = self._objects[object_id]
        if isinstance(stored, Failure):
            raise to_exception(stored)
        return serialization.loads(stored.frame)

    def put(self, value: Any) -> ObjectId:
        self._check()
        return self._store(serialization.dumps(value))

    def get(self, object_ids: Sequence[ObjectId], timeout: float | None = None) -> list[Any]:
        self._wait_until(lambda: self._is_over(object_ids), timeout)
        for each in object_ids:
            if isinstance(self._objects.get(each), Failure):
                self._value(each)
        if not self._is_over(object_ids):
            raise GetTimeoutError("not there yet")
        return [self._value(each) for each in object_ids]

    def _is_over(self, object_ids: Sequence[ObjectId]) -> bool:
        known = [self._objects.get(each) for each in object_ids]
        return all(known) or any(isinstance(each, Failure) for each in known)

    def wait(self, object_ids: Sequence[ObjectId], num_returns: int, timeout: float | None = None) -> set[ObjectId]:
        self._wait_until(lambda: sum(each in self._objects for each in object_ids) >= num_returns, timeout)
        return {each for each in object_ids if each in self._objects}

    def _wait_until(self, is_over: Callable[[], bool], timeout: float | None) -> None:
        self._check()
        while not is_over() and timeout != 0:
            if not self._run_next():
                assert timeout is not None, "deadlock: somebody waits without end, and nothing can run"
                return

    def on_ready(self, object_id: ObjectId, callback: Callable[[], None]) -> None:
        self._callbacks[object_id].append(callback)
        while object_id not in self._objects and self._run_next():
            pass
        if object_id in self._objects or self.lost:
            for each in self._callbacks.pop(object_id, ()):
                each()

    def hold(self, object_id: ObjectId) -> None:
        self.counts[object_id] += 1

    def release(self, object_id: ObjectId) -> None:
        self.counts[object_id] -= 1
        if self.counts[object_id] == 0:
            del self.counts[object_id]
            stored = self._objects.pop(object_id, None)
            for each in stored.nested if isinstance(stored, _Stored) else ():
                self.release(each)

    def state(self, object_id: ObjectId) -> str:
        stored = self._objects.get(object_id)
        return "pending" if stored is None else "failed" if isinstance(stored, Failure) else "ready"

    def size(self, object_id: ObjectId) -> int | None:
        stored = self._objects.get(object_id)
        return len(stored.frame) if isinstance(stored, _Stored) else None

    # ---------------------------------------------------------------- cell runs and the cluster

    def cancel(self, task_ids: Sequence[TaskId], *, force: bool = False, recursive: bool = True) -> CancelReport:
        self._check()
        return self._cancel([task for task in self._queue if set(task.returns) & set(task_ids)], len(set(task_ids)))

    def withdraw(self, task_ids: Sequence[TaskId]) -> int:
        return self.cancel(task_ids).cancelled

    def is_started(self, task_id: TaskId) -> bool:
        return False  # a task that has started here has ended

    def abandon(self, task_ids: Sequence[TaskId]) -> None:
        self.cancel(task_ids)

    def cancel_cell_runs(self, cell_runs: Sequence[CellRunId] | None, *, force: bool = False) -> CancelReport:
        ended = sum(sum(counts.values()) for run, counts in self._ended.items() if cell_runs is None or run in cell_runs)
        queued = [task for task in self._queue if cell_runs is None or task.cell_run in cell_runs]
        return self._cancel(queued, len(queued) + ended)

    def _cancel(self, tasks: list[_Task], asked: int) -> CancelReport:
        for task in tasks:
            self._queue.remove(task)
            self._end(task, Failure("cancelled", f"task {task.function.name} was cancelled"), "cancelled")
        return CancelReport(len(tasks), asked - len(tasks))

    def describe_cell_run(self, cell_run: CellRunId, label: str) -> None:
        self._functions.new_cell()
        self.labels[cell_run] = label

    def on_output(self, handler: OutputHandler | None) -> None:
        self._output = handler

    def _emit(self, task_id: TaskId, stream: str, data: bytes, cell_run: CellRunId | None = None, name: str = "") -> None:
        context = task_context.current()
        event = OutputEvent(
            cell_run or (context.cell_run if context else CellRunId("")), task_id, name or (context.name if context else ""),
            _WORKER, stream, data,
        )  # fmt: skip
        if self._output is not None:
            self._output(event)
        elif stream == "stdout":
            sys.stdout.write(data.decode())

    def on_snapshot(self, handler: SnapshotHandler | None) -> None:
        if handler is not None:
            handler(self.snapshot())

    def snapshot(self) -> ClusterSnapshot:
        self._check()
        runs = {task.cell_run for task in self._queue} | set(self._ended)
        return ClusterSnapshot(
            sequence=1, epoch=self.epoch, resources=self.resources, available=self.resources,
            store=StoreSnapshot(1 << 30, sum(filter(None, map(self.size, self._objects))), len(self._objects)),
            workers=[WorkerSnapshot(slot, 1, "idle") for slot in range(self.settings["num_workers"])],
            cell_runs=[self._cell_run_snapshot(run) for run in sorted(runs)], queued=len(self._queue),
            finished=sum(sum(counts.values()) for counts in self._ended.values()),
        )  # fmt: skip

    def _cell_run_snapshot(self, run: CellRunId) -> CellRunSnapshot:
        waiting = sum(task.cell_run == run for task in self._queue)
        ended = self._ended[run]
        return CellRunSnapshot(
            run, self.labels.get(run, ""), "job", waiting=waiting, succeeded=ended["succeeded"], failed=ended["failed"],
            cancelled=ended["cancelled"],
        )  # fmt: skip

    # ---------------------------------------------------------------- life

    @classmethod
    def start(cls, **settings: Any) -> FakeBackend:
        """As the registry starts a backend."""
        return cls(**settings)

    def die(self) -> None:
        """What the end of the scheduler process looks like."""
        self.lost = "its scheduler process ended"
        for callback in itertools.chain.from_iterable(list(self._callbacks.values())):
            callback()

    def _check(self) -> None:
        if self.lost:
            raise ClusterDied(f"the cluster {self.epoch} is gone: {self.lost}")

    def close(self, *, stop: bool = True) -> None:
        self.closed, self.lost = True, self.lost or "it was closed"


@contextlib.contextmanager
def fresh_session() -> Iterator[session.Session]:
    """The session as if this process had just started; what is started in it is ended afterwards."""
    current = session.current
    kept = {name: getattr(current, name) for name in session.Session.__slots__}
    for name in session.Session.__slots__:
        setattr(current, name, getattr(session.Session(), name))
    try:
        yield current
    finally:
        current.in_worker = False
        current.end(stop=True)
        for name, value in kept.items():
            setattr(current, name, value)


@contextlib.contextmanager
def fake_session(**settings: Any) -> Iterator[FakeBackend]:
    """A fresh session on a FakeBackend."""
    with fresh_session() as current:
        current.backend = backend = FakeBackend(**settings)
        yield backend
