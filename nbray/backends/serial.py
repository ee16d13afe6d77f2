"""The serial backend, `nbray.init("serial")`: every call runs here and now, in this process, for debugging.

A task runs when it is submitted, before `.remote()` returns, on the caller's thread; so `breakpoint()`, `print` and the
notebook's debugger work inside it, and the error that `nbray.get` raises has the task's own frames, which `%debug` walks.
Functions, arguments and results are copied by the same pickling as anywhere else: what works here works on a cluster, and
what a task changes in place changes nothing here. There is no time limit and no other process, and `cancel` finds every
task ended.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from nbray import machine, resources, serialization
from nbray.backends.backend import (
    ActorOptions,
    Backend,
    CallOptions,
    CancelReport,
    FoundActor,
    OutputHandler,
    SnapshotHandler,
)  # fmt: skip
from nbray.backends.serial_actors import SerialActors
from nbray.backends.serial_objects import SerialObjects
from nbray.backends.serial_records import SerialRecords
from nbray.backends.serial_tasks import SerialTasks
from nbray.engine import task_context
from nbray.errors import ClusterDied, InfeasibleRequest, NotSupportedHere
from nbray.ids import ActorId, CellRunId, ObjectId, TaskId
from nbray.snapshot import ClusterSnapshot, ObjectSnapshot, StoreSnapshot, WorkerSnapshot


class SerialBackend(Backend):
    """Runs everything in this process, in order."""

    name = "serial"
    lost = ""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.epoch = secrets.token_hex(4)
        self.settings = dict(settings)
        cpus = settings.get("num_cpus") or settings.get("num_workers") or machine.cpu_count()
        self._resources = resources.request(cpus, settings.get("num_gpus"), machine.memory_limit(), settings.get("resources"))
        self._objects = SerialObjects()
        self._records = SerialRecords()
        self._tasks = SerialTasks(self._objects, self._records, self.epoch)
        self._tasks.bundle = lambda object_ids: self.bundle(object_ids)
        self._actors = SerialActors(self._objects, self._tasks, settings.get("namespace") or "")

    @classmethod
    def start(cls, **settings: Any) -> SerialBackend:
        """Start it; settings about processes, memory and time mean nothing here. Raises NotSupportedHere for a runtime_env."""
        if settings.get("runtime_env"):
            _refuse_runtime_env()
        return cls(settings)

    # ---------------------------------------------------------------- tasks

    def submit(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions,
        cell_run: CellRunId,
    ) -> list[ObjectId]:  # fmt: skip
        """See `Backend.submit`; the task has ended when this returns, unless it is a stream."""
        self._check(options)
        pickled = self._tasks.pickle(function)
        return self._tasks.run(options.name or pickled.name, lambda: self._tasks.load(pickled), args, kwargs, options, cell_run)

    def _check(self, options: CallOptions | None = None) -> None:
        if self.lost:
            raise ClusterDied(f"the serial backend is gone: {self.lost}")
        if options is not None and options.profile:
            _refuse_runtime_env()
        missing = "" if options is None else resources.shortfall(options.resources, self._resources)
        if missing:
            raise InfeasibleRequest(f"this task could never run: {missing}. Ask for less in .options(...)")

    def take_item(self, stream: TaskId) -> ObjectId | None:
        """See `Backend.take_item`; the generator runs until it has made one."""
        return self._tasks.streams.take(stream)

    def run_freely(self, stream: TaskId) -> None:
        """See `Backend.run_freely`: it runs to its end now."""
        self._tasks.streams.finish(stream)

    def close_stream(self, stream: TaskId, *, cancel: bool) -> None:
        """See `Backend.close_stream`."""
        self._tasks.streams.give_up(stream)

    # ---------------------------------------------------------------- actors

    def create_actor(
        self, cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions, actor: ActorOptions,
        cell_run: CellRunId,
    ) -> FoundActor:  # fmt: skip
        """See `Backend.create_actor`; the instance is there when this returns, or its `__init__` has failed."""
        self._check(options)
        return self._actors.create(cls, args, kwargs, options, actor, cell_run)

    def call(
        self, actor_id: ActorId, method: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any],
        options: CallOptions, cell_run: CellRunId,
    ) -> list[ObjectId]:  # fmt: skip
        """See `Backend.call`; the method has ended when this returns, unless it is a stream."""
        self._check()
        return self._actors.call(actor_id, method, name, args, kwargs, options, cell_run)

    def kill_actor(self, actor_id: ActorId, *, no_restart: bool = True, after_calls: bool = False) -> None:
        """See `Backend.kill_actor`; nothing is restarted here."""
        self._actors.kill(actor_id, after_calls=after_calls)

    def find_actor(self, name: str, namespace: str = "") -> FoundActor | None:
        """See `Backend.find_actor`."""
        return self._actors.find(name, namespace)

    def actor_state(self, actor_id: ActorId) -> str:
        """See `Backend.actor_state`."""
        return self._actors.state(actor_id)

    # ---------------------------------------------------------------- objects

    def put(self, value: Any) -> ObjectId:
        """See `Backend.put`."""
        self._check()
        return self._objects.store(serialization.dumps(value))

    def get(self, object_ids: Sequence[ObjectId], timeout: float | None = None) -> list[Any]:
        """See `Backend.get`."""
        self._check()
        self._make(object_ids)
        failed = self._objects.error(object_ids)
        if failed is not None:
            raise failed.raised()
        return [self._objects.value(each) for each in object_ids]

    def wait(self, object_ids: Sequence[ObjectId], num_returns: int, timeout: float | None = None) -> set[ObjectId]:
        """See `Backend.wait`; only the items and the ends of streams are ever still to come, and are made now."""
        self._check()
        self._make(object_ids)
        return {each for each in object_ids if each < 0 or each in self._objects}

    def _make(self, object_ids: Sequence[ObjectId]) -> None:
        for each in object_ids:
            if each < 0:  # stands for the arrival of a stream's next item
                self._tasks.streams.look(ObjectId(-each))
            elif self._tasks.streams.runs(each):
                self._tasks.streams.finish(each)

    def on_ready(self, object_id: ObjectId, callback: Callable[[], None]) -> None:
        """See `Backend.on_ready`."""
        self._make((object_id,))
        callback()

    def hold(self, object_id: ObjectId) -> None:
        """See `Backend.hold`."""
        self._objects.hold(object_id)

    def release(self, object_id: ObjectId) -> None:
        """See `Backend.release`."""
        self._objects.release([object_id])

    def state(self, object_id: ObjectId) -> str:
        """See `Backend.state`."""
        return self._objects.state(object_id)

    def size(self, object_id: ObjectId) -> int | None:
        """See `Backend.size`."""
        return self._objects.size(object_id)

    # ---------------------------------------------------------------- cancel: only a stream is ever still to run

    def cancel(self, task_ids: Sequence[TaskId], *, force: bool = False, recursive: bool = True) -> CancelReport:
        """See `Backend.cancel`."""
        self._check()
        cancelled = sum(map(self._tasks.streams.stop, dict.fromkeys(task_ids)))
        return CancelReport(cancelled, len(set(task_ids)) - cancelled)

    def withdraw(self, task_ids: Sequence[TaskId]) -> int:
        """See `Backend.withdraw`."""
        return 0

    def is_started(self, task_id: TaskId) -> bool:
        """See `Backend.is_started`."""
        return self._tasks.streams.runs(task_id)

    def abandon(self, task_ids: Sequence[TaskId]) -> None:
        """See `Backend.abandon`."""
        for task_id in task_ids:
            self._tasks.streams.stop(task_id)

    def cancel_cell_runs(self, cell_runs: Sequence[CellRunId] | None, *, force: bool = False) -> CancelReport:
        """See `Backend.cancel_cell_runs`."""
        ended = self._records.count(cell_runs)
        return CancelReport(sum(map(self._tasks.streams.stop, self._tasks.streams.of(cell_runs))), ended)

    # ---------------------------------------------------------------- what is shown

    def describe_cell_run(self, cell_run: CellRunId, label: str) -> None:
        """See `Backend.describe_cell_run`."""
        self._tasks.new_cell()
        self._records.labels[cell_run] = label

    def on_output(self, handler: OutputHandler | None) -> None:
        """See `Backend.on_output`."""
        self._tasks.output = handler

    def on_snapshot(self, handler: SnapshotHandler | None) -> None:
        """See `Backend.on_snapshot`; one, since nothing changes while nobody calls."""
        if handler is not None:
            handler(self.snapshot())

    def snapshot(self) -> ClusterSnapshot:
        """See `Backend.snapshot`."""
        self._check()
        sizes = [size for _, _, size, _ in self._objects.table()]
        context, pid = task_context.current(), os.getpid()
        worker = WorkerSnapshot(0, pid, "idle")
        if context is not None:
            worker = WorkerSnapshot(0, pid, "busy", context.name, context.cell_run)
        return ClusterSnapshot(
            sequence=1, epoch=self.epoch, resources=self._resources, available=self._resources, workers=[worker],
            store=StoreSnapshot(machine.default_store_limit(), sum(sizes), len(sizes)), cell_runs=self._records.cell_runs(),
            finished=self._records.count(), actors=self._actors.pictures(),
        )  # fmt: skip

    def rows(self, kind: str, limit: int, state: str = "") -> Any:
        """See `Backend.rows`."""
        if kind == "tasks":
            found = [each for each in self._records.attempts if state in ("", each.state)]
            return msgspec.to_builtins(found[:limit])
        if kind == "objects":
            largest = sorted(self._objects.table(), key=lambda each: -each[2])[:limit]
            return [
                msgspec.to_builtins(ObjectSnapshot(object_id, state, size, "here", references, ["this process"]))
                for object_id, state, size, references in largest
            ]
        if kind == "actors":
            return msgspec.to_builtins(self._actors.pictures())
        return super().rows(kind, limit, state)

    def close(self, *, stop: bool = True) -> None:
        """See `Backend.close`."""
        if not self.lost:
            self._actors.close()
            self._tasks.close()
            self.lost = "it was shut down"


def _refuse_runtime_env() -> NoReturn:
    raise NotSupportedHere(
        "runtime_env=: the backend 'serial' runs everything in this process, whose environment and modules are as they are. "
        "Set os.environ or sys.path here, or start a cluster: nbray.shutdown(), then nbray.init()"
    )
