"""The local backend: the embedded engine on this machine, in a driver and inside its workers."""

from __future__ import annotations

import contextlib
import math
import pickle
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from nbray import progress_board, runtime_env, serialization, terminal_bars
from nbray import resources as amounts
from nbray.backends import local_clusters
from nbray.backends.backend import (
    ActorOptions,
    Backend,
    CallOptions,
    CancelReport,
    FoundActor,
    OutputEvent,
    OutputHandler,
    SnapshotHandler,
    Written,
)  # fmt: skip
from nbray.backends.local_actors import LocalActors
from nbray.backends.local_arguments import LocalArguments
from nbray.backends.local_gangs import LocalGangs
from nbray.backends.templates import Templates
from nbray.engine import connection, imported_modules, injection, task_context
from nbray.engine.connection import Connection, Interlude
from nbray.engine.driver import Driver
from nbray.engine.incoming_streams import returns_of
from nbray.engine.injection import Injection
from nbray.engine.object_exchange import ObjectExchange
from nbray.engine.watches import Watch
from nbray.errors import InfeasibleRequest, UsageError
from nbray.functions import FunctionPickler, name_of
from nbray.ids import ActorId, CellRunId, ObjectId, TaskId, TemplateId
from nbray.local_modules import LocalModules, Snapshot
from nbray.runtime_env import profile_of
from nbray.scheduler.messages import (
    INLINE_LIMIT,
    PROMPT,
    TAKEN_OVER,
    Answer,
    Ask,
    Cancel,
    DescribeCellRun,
    Emitted,
    Failure,
    GiveBack,
    Goodbye,
    Granted,
    Inline,
    NoteCellRun,
    Scale,
    Spilled,
    Stored,
    TaskSpec,
    Value,
    Welcome,
)  # fmt: skip
from nbray.snapshot import ClusterSnapshot, LeftCellRun

NO_ARGUMENTS = b""
NO_TEMPLATE = TemplateId(0)
NO_REQUEST = 0
"""Stands in a message whose answer nobody waits for."""
NO_NOTEBOOK = "it was submitted by a script, and only a notebook answers what tasks ask"


class LocalBackend(Backend):
    """The embedded engine as the public API sees it."""

    name = "local"
    linger = 0.0
    """How long the cluster outlives its last driver, in seconds."""

    def __init__(
        self, link: Connection, exchange: ObjectExchange, welcome: Welcome, driver: Driver | None = None,
        profile: runtime_env.Profile = runtime_env.EMPTY,
    ) -> None:  # fmt: skip
        self.epoch = link.epoch
        self._link = link
        self._exchange = exchange
        self._driver = driver
        self._run_directory = Path(welcome.observer).parent
        self._resources = welcome.resources
        self._default_max_retries = welcome.default_max_retries
        self._functions = FunctionPickler(self._lift)
        self._templates = Templates(link, welcome.store_limit, lambda object_id: self.get((object_id,))[0])
        self._templates.profile = profile
        self._gangs = LocalGangs(link)
        self._arguments = LocalArguments(link.epoch, exchange)
        self._actors = LocalActors(link, self._templates, self._arguments.fill, self._check)
        self._modules = LocalModules()
        self._modules_seen = self._modules.snapshot() if driver is not None else {}
        exchange.on_full = self._give_up_what_is_kept
        self._output_handler: OutputHandler | None = None
        if driver is not None:
            self.joined, self.job = driver.joined, driver.job
            driver.on_emitted = self._emit

    @property
    def lost(self) -> str:
        """See `Backend.lost`."""
        return self._link.lost

    # ---------------------------------------------------------------- tasks

    def submit(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions,
        cell_run: CellRunId,
    ) -> list[ObjectId]:  # fmt: skip
        """See `Backend.submit`."""
        count = options.num_returns
        link = self._link
        task_id = link.next_object(count if count > 0 else 1)
        returns = given = [task_id]
        if count != 1:
            returns, given = returns_of(task_id, count)
        frame = NO_ARGUMENTS if not args else serialization.dumps_plain_arguments(args)
        if kwargs or frame is None or len(frame) > INLINE_LIMIT:
            task = self._arguments.fill(TaskSpec(task_id, NO_TEMPLATE, NO_ARGUMENTS), args, kwargs, name_of(function))
        else:
            task = TaskSpec(task_id, NO_TEMPLATE, frame)
        try:
            with self._templates.lock:
                task.template_id = self._templates.find(self._functions.pickle(function), options, cell_run, self._check)
                if given is not returns:
                    link.streams.open(task_id, options.window)
                link.submit(task, returns)
        except BaseException:
            if given is not returns:
                link.streams.close(task_id, cancel=False)
            raise
        finally:
            if task.payload:  # the task holds it from here on
                link.release(task.payload)
        return given

    def take_item(self, stream: TaskId) -> ObjectId | None:
        """See `Backend.take_item`."""
        return self._link.streams.take(stream)

    def run_freely(self, stream: TaskId) -> None:
        """See `Backend.run_freely`."""
        self._link.streams.run_freely(stream)

    def close_stream(self, stream: TaskId, *, cancel: bool) -> None:
        """See `Backend.close_stream`."""
        self._link.streams.close(stream, cancel=cancel)

    def _give_up_what_is_kept(self) -> bool:
        self._functions.new_cell()  # what it remembers may need what goes now
        return self._templates.give_up()

    def _check(self, options: CallOptions) -> int:
        """The retries of a call, once it is sure that the cluster can run it at all."""
        if options.gang:
            self._gangs.check(options)
        elif (missing := amounts.shortfall(options.resources, self._resources)) and (
            missing := amounts.shortfall(options.resources, self.snapshot().resources)  # others may have scaled it
        ):
            raise InfeasibleRequest(
                f"this task could never run: {missing}. {amounts.nearest_known(options.resources, self._resources)}Ask for less "
                "in .options(...), or start the cluster with more: nbray.shutdown(), then nbray.init(...)."
            )
        return self._default_max_retries if options.max_retries is None else options.max_retries

    def _lift(self, data: bytes | memoryview) -> ObjectId:
        if task_context.current() is not None:  # nobody tells a worker when a cell begins, and the store is everybody's
            task_context.at_end(self._give_up_what_is_kept)
        payload = serialization.dumps(pickle.PickleBuffer(data))
        size = serialization.encoded_size(payload)
        return self._templates.lift(data, size, lambda: self._exchange.put_payload(payload))

    # ---------------------------------------------------------------- actors

    def create_actor(
        self, cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions, actor: ActorOptions,
        cell_run: CellRunId,
    ) -> FoundActor:  # fmt: skip
        """See `Backend.create_actor`."""
        return self._actors.create(lambda: self._functions.pickle(cls), args, kwargs, options, actor, cell_run)

    def call(
        self, actor_id: ActorId, method: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any],
        options: CallOptions, cell_run: CellRunId,
    ) -> list[ObjectId]:  # fmt: skip
        """See `Backend.call`."""
        return self._actors.call(actor_id, method, name, args, kwargs, options, cell_run)

    def kill_actor(self, actor_id: ActorId, *, no_restart: bool = True, after_calls: bool = False) -> None:
        """See `Backend.kill_actor`."""
        self._actors.kill(actor_id, no_restart=no_restart, after_calls=after_calls)

    def find_actor(self, name: str, namespace: str = "") -> FoundActor | None:
        """See `Backend.find_actor`."""
        return self._actors.find(name, namespace)

    def actor_state(self, actor_id: ActorId) -> str:
        """See `Backend.actor_state`."""
        return self._actors.state(actor_id)

    # ---------------------------------------------------------------- objects

    def put(self, value: Any) -> ObjectId:
        """See `Backend.put`."""
        return self._exchange.put(value)

    def get(self, object_ids: Sequence[ObjectId], timeout: float | None = None) -> list[Any]:
        """See `Backend.get`."""
        if len(object_ids) == 1:
            return [self._get_one(object_ids[0], timeout)]
        link = self._link
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        known = [link.value(object_id) for object_id in object_ids]
        if None in known:
            arrived = link.wait(object_ids, len(set(object_ids)), timeout, wake_on_failure=True)
            known = [link.value(object_id) for object_id in object_ids]
            self.settle()
            self._raise_first_failure(object_ids, known)
            if not arrived:
                raise connection.timed_out(known.count(None), len(known), timeout or 0)
        else:
            self.settle()
        unpack = self._exchange.unpack
        return [
            unpack(object_id, value, deadline) for object_id, value in zip(object_ids, known, strict=True) if value is not None
        ]

    def _get_one(self, object_id: ObjectId, timeout: float | None) -> Any:
        link = self._link
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        value = link.value(object_id)
        if value is None:
            link.wait((object_id,), 1, timeout)
            value = link.value(object_id)
        self.settle()
        if value is None:
            raise connection.timed_out(1, 1, timeout or 0)
        return self._exchange.unpack(object_id, value, deadline)

    def _raise_first_failure(self, object_ids: Sequence[ObjectId], known: Sequence[Value | None]) -> None:
        for object_id, value in zip(object_ids, known, strict=True):
            if type(value) is Failure:
                self._exchange.unpack(object_id, value)

    def wait(self, object_ids: Sequence[ObjectId], num_returns: int, timeout: float | None = None) -> set[ObjectId]:
        """See `Backend.wait`."""
        self._link.wait(object_ids, num_returns, timeout)
        self.settle()
        return {object_id for object_id in object_ids if self._link.value(object_id) is not None}

    def watch(self) -> Watch:
        """See `Backend.watch`."""
        return self._link.watch()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """See `Backend.call_later`."""
        self._link.io.call_at(time.monotonic() + seconds, callback)

    def hurry(self) -> None:
        """See `Backend.hurry`."""
        self._link.hurry()

    def waiting(self) -> contextlib.AbstractContextManager[object]:
        """See `Backend.waiting`."""
        return self._link.on_wait()

    def on_ready(self, object_id: ObjectId, callback: Callable[[], None]) -> None:
        """See `Backend.on_ready`."""
        self._link.call_when_ready(object_id, callback)

    def hold(self, object_id: ObjectId) -> None:
        """See `Backend.hold`."""
        self._link.references.hold(object_id)

    def release(self, object_id: ObjectId) -> None:
        """See `Backend.release`."""
        self._link.release(object_id)

    def state(self, object_id: ObjectId) -> str:
        """See `Backend.state`."""
        value = self._link.value(object_id)
        return "pending" if value is None else "failed" if isinstance(value, Failure) else "ready"

    def size(self, object_id: ObjectId) -> int | None:
        """See `Backend.size`."""
        value = self._link.value(object_id)
        if isinstance(value, (Stored, Spilled)):
            return value.size
        if isinstance(value, Inline):
            return len(value.data)
        return len(value) if isinstance(value, bytes) else None

    # ---------------------------------------------------------------- cell runs

    def cancel(self, task_ids: Sequence[TaskId], *, force: bool = False, recursive: bool = True) -> CancelReport:
        """See `Backend.cancel`."""
        return self._cancel(lambda request: Cancel(request, task_ids=list(task_ids), force=force, recursive=recursive))

    def withdraw(self, task_ids: Sequence[TaskId]) -> int:
        """See `Backend.withdraw`."""
        return self._cancel(lambda request: Cancel(request, task_ids=list(task_ids), unstarted=True)).cancelled

    def is_started(self, task_id: TaskId) -> bool:
        """See `Backend.is_started`."""
        answer = self._link.request(lambda request: Ask(request, "started", task_id))
        assert isinstance(answer, Answer)
        return bool(msgspec.msgpack.decode(answer.body)["started"])

    def abandon(self, task_ids: Sequence[TaskId]) -> None:
        """See `Backend.abandon`."""
        message = Cancel(NO_REQUEST, task_ids=list(task_ids))
        self._link.io.call_soon(lambda: self._link.post(message))  # from there, since a finalizer must not take its lock

    def cancel_cell_runs(self, cell_runs: Sequence[CellRunId] | None, *, force: bool = False) -> CancelReport:
        """See `Backend.cancel_cell_runs`."""
        if cell_runs is None:
            return self._cancel(lambda request: Cancel(request, everything=True, force=force))
        return self._cancel(lambda request: Cancel(request, cell_runs=list(cell_runs), force=force))

    def _cancel(self, make: Callable[[int], msgspec.Struct]) -> CancelReport:
        answer = self._link.request(make)
        assert isinstance(answer, Answer)
        return CancelReport(**msgspec.msgpack.decode(answer.body, type=dict[str, int]))

    def describe_cell_run(self, cell_run: CellRunId, label: str) -> None:
        """See `Backend.describe_cell_run`."""
        self._functions.new_cell()
        self._templates.begin_cell()
        self._renew_workers()
        self._link.post(DescribeCellRun(cell_run, label))

    def _follow(self, found: Snapshot) -> None:
        """A worker has imported local modules: look for their edits as for those of modules that are imported here."""
        self._modules.add(found)
        self._modules_seen = {**self._modules_seen, **found}

    def _renew_workers(self) -> None:
        """Workers have imported local modules by name: when one was edited since, they are followed by fresh ones."""
        if self._modules.changed(self._modules_seen):
            self._link.post(Ask(0, "renew"))
        self._modules_seen = self._modules.snapshot()

    def note(self, cell_run: CellRunId, note: bytes) -> None:
        """See `Backend.note`."""
        self._link.post(NoteCellRun(cell_run, note))

    def left_work(self, *, of_all: bool = False) -> list[LeftCellRun]:
        """See `Backend.left_work`."""
        return msgspec.convert(self.rows("left_work", int(of_all)), list[LeftCellRun])

    def take_over(self, cell_run: CellRunId, output: Literal["unseen", "all", "none"] = "none") -> list[ObjectId] | None:
        """See `Backend.take_over`."""
        answer = self.rows("take_over", TAKEN_OVER.index(output), cell_run)
        if not answer["found"]:
            return None
        for object_id in answer["results"]:
            self._link.references.hold(object_id)
        return [ObjectId(object_id) for object_id in answer["results"]]

    def on_output(self, handler: OutputHandler | None) -> None:
        """See `Backend.on_output`."""
        self._output_handler = handler

    def _emit(self, emitted: Emitted) -> None:
        if emitted.stream == imported_modules.STREAM:
            self._follow(imported_modules.decode(emitted.data))
            return
        event = OutputEvent(
            emitted.cell_run, emitted.task_id, emitted.task, emitted.worker, emitted.stream, emitted.data
        )  # fmt: skip
        if self._output_handler is not None:
            self._output_handler(event)
        elif self.joined:
            return  # of an earlier kernel's cells: the cluster keeps it until somebody asks for it (`take_over`)
        elif event.stream in ("stdout", "stderr"):
            # The user's stream may block, or call nbray: not on the thread that receives, which holds a lock.
            self._link.io.call_soon(lambda: _print(event))
        elif event.stream == progress_board.STREAM:
            self._link.io.call_soon(lambda: _draw(event))
        elif event.stream == PROMPT:
            self._link.io.call_soon(lambda: self._link.post(_reply(NO_REQUEST, event.task_id, {"refused": NO_NOTEBOOK})))

    # ---------------------------------------------------------------- input

    def interrupt_waits(self, interlude: Interlude) -> None:
        """See `Backend.interrupt_waits`."""
        self._link.interlude = interlude

    def is_interlude_due(self) -> bool:
        """See `Backend.is_interlude_due`."""
        return self._link.is_interlude_due()

    def play_interlude(self) -> None:
        """See `Backend.play_interlude`."""
        if self._link.interlude is not None:
            self._link.interlude.play()

    def ask_person(self, task_id: TaskId, prompt: str) -> dict[str, str]:
        """See `Backend.ask_person`."""
        answer = self._link.request(lambda request: Ask(request, "prompt", task_id, prompt))
        assert isinstance(answer, Answer)
        return msgspec.msgpack.decode(answer.body, type=dict[str, str])

    def reply(self, task_id: TaskId, answer: Mapping[str, str]) -> bool:
        """See `Backend.reply`."""
        waits = self._link.request(lambda request: _reply(request, task_id, answer))
        assert isinstance(waits, Answer)
        return msgspec.msgpack.decode(waits.body, type=dict[str, bool])["waits"]

    # ---------------------------------------------------------------- the cluster

    def on_snapshot(self, handler: SnapshotHandler | None) -> None:
        """See `Backend.on_snapshot`."""
        assert self._driver is not None
        self._driver.watch(handler)

    def snapshot(self) -> ClusterSnapshot:
        """See `Backend.snapshot`."""
        answer = self._link.request(lambda request: Ask(request, "snapshot"))
        assert isinstance(answer, Answer)
        return msgspec.msgpack.decode(answer.body, type=ClusterSnapshot)

    def rows(self, kind: str, limit: int, state: str = "") -> Any:
        """See `Backend.rows`."""
        answer = self._link.request(lambda request: Ask(request, kind, limit, state))
        assert isinstance(answer, Answer)
        return msgspec.msgpack.decode(answer.body)

    def create_gang(
        self, bundles: Sequence[Mapping[str, int]], strategy: str, name: str, detached: bool, value: Callable[[ObjectId], bytes]
    ) -> ObjectId:
        """See `Backend.create_gang`."""
        return self._gangs.create(bundles, strategy, name, detached, value, self.snapshot().resources)

    def remove_gang(self, gang: ObjectId) -> None:
        """See `Backend.remove_gang`."""
        self._gangs.remove(gang)

    def find_gang(self, name: str) -> bytes:
        """See `Backend.find_gang`."""
        return self._gangs.find(name)

    def gangs(self) -> list[dict[str, Any]]:
        """See `Backend.gangs`."""
        return self._gangs.table()

    def scale(self, least: int, most: int) -> None:
        """See `Backend.scale`."""
        answer = self._link.request(lambda request: Scale(request, least, most))
        assert isinstance(answer, Answer)
        error = msgspec.msgpack.decode(answer.body, type=dict[str, str])["error"]
        if error:
            raise UsageError(f"scale(): {error}")
        self._resources = self._resources | {amounts.CPU: most * amounts.UNIT}

    def written(self) -> Written:
        """See `Backend.written`."""
        return Written(*self._exchange.written)

    def object_at(self, address: int) -> ObjectId | None:
        """See `Backend.object_at`."""
        return self._exchange.object_at(address)

    def dump_stacks(self) -> dict[int, str]:
        """See `Backend.dump_stacks`."""
        from nbray.engine import stack_dumps  # only for who looks

        return stack_dumps.dump(self._run_directory, [each.pid for each in self.snapshot().workers])

    def failed_frames(self) -> Path:
        """See `Backend.failed_frames`."""
        from nbray.engine import failed_frames  # only for who looks

        return failed_frames.directory(self._run_directory)

    def inject(self, fault: Injection) -> bool:
        """See `Backend.inject`."""
        answer = self._link.request(lambda request: Ask(request, "inject", text=injection.encode(fault)))
        assert isinstance(answer, Answer)
        return bool(msgspec.msgpack.decode(answer.body)["done"])

    def occupy(self, size: int) -> Callable[[], None] | None:
        """See `Backend.occupy`."""
        reply = self._link.allocate(size)
        return (lambda: self._link.post(GiveBack(reply.offset), now=True)) if isinstance(reply, Granted) else None

    def part(self) -> None:
        """See `Backend.part`."""
        self._link.post(Goodbye(), now=True)

    def close(self, *, stop: bool = True) -> None:
        """Leave the cluster; with `stop` it ends now, else it lingers as it was told to."""
        if self._driver is not None:
            self._driver.close(stop=stop or not self.linger)

    @classmethod
    def start(
        cls, *, num_workers: int | None = None, memory: int | None = None, num_cpus: float | None = None,
        num_gpus: float | None = None, resources: Mapping[str, float] | None = None, linger: float = 0.0,
        default_max_retries: int = 0, preload: Sequence[str] = ("numpy",), job: str = "",
        spill_directory: str | Literal[False] | None = None, min_workers: int | None = None, max_workers: int | None = None,
        runtime_env: Mapping[str, Any] | None = None, namespace: str = "", cluster: str = "", notebook: str = "",
        heir: str = "",
    ) -> LocalBackend:  # fmt: skip
        """Start a cluster on this machine and connect to it; sizes in bytes. Raises StartFailed.

        A cluster of the same job that lingers after a kernel restart is joined instead, if it has all that is asked for
        explicitly; `cluster` names one by its epoch, which is joined in any case, by the kernel whose own job would be `heir`.
        `notebook` is the path of the caller's.
        """
        driver, config = local_clusters.connect(
            num_workers=num_workers, memory=memory, num_cpus=num_cpus, num_gpus=num_gpus, resources=resources, linger=linger,
            default_max_retries=default_max_retries, preload=preload, job=job, spill_directory=spill_directory,
            min_workers=min_workers, max_workers=max_workers, cluster=cluster, notebook=notebook, heir=heir,
        )  # fmt: skip
        backend = cls(driver.connection, driver.exchange, driver.welcome, driver, profile_of(runtime_env))
        if namespace:
            driver.connection.post(Ask(NO_REQUEST, "namespace", text=namespace))
        backend.linger = linger
        backend.settings = local_clusters.settings_of(driver) | {
            "linger": linger, "default_max_retries": default_max_retries, "preload": config.preload,
        }  # fmt: skip
        return backend


def _reply(request: int, task_id: TaskId, answer: Mapping[str, str]) -> Ask:
    return Ask(request, "reply", task_id, msgspec.json.encode(answer).decode() if answer else "")


def _print(event: OutputEvent) -> None:
    terminal_bars.BARS.interrupt()
    stream = sys.stdout if event.stream == "stdout" else sys.stderr
    stream.write(event.data.decode("utf-8", "replace"))
    stream.flush()


def _draw(event: OutputEvent) -> None:
    state = progress_board.decode(event.data)
    if state is not None:
        terminal_bars.BARS.show(event.task_id, event.task, state)
