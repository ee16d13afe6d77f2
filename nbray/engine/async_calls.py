"""Calls of an actor as coroutines on one event loop: any of its methods is an `async def`."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from nbray.engine.actor_calls import ConcurrentCalls, Desk
from nbray.engine.connection import Connection
from nbray.engine.hosted_actor import HostedActor, report_here, this_process
from nbray.engine.streaming import is_stream
from nbray.ids import ObjectId, TaskId
from nbray.scheduler.messages import RunSpec

LEAVE_SECONDS = 1.0
"""So long, coroutines that are cut off by the end of their actor may tidy up."""


class AsyncCalls(ConcurrentCalls):
    """Coroutines, up to `max_concurrency` at a time, and plain methods between them, on the main thread's event loop."""

    def __init__(self, host: HostedActor, desk: Desk) -> None:
        self._host = host
        self._desk = desk
        self._waiting: deque[RunSpec] = deque()
        self._loop = asyncio.new_event_loop()
        self._woken = False
        """The loop will look at `_waiting`; set by the thread that receives, cleared by the loop's before it looks."""
        self._create: Callable[[RunSpec], None] | None = None
        self._running: dict[TaskId, asyncio.Task[None]] = {}
        self._cancelled: set[TaskId] = set()
        self._flush_due = False
        self._ended = False

    def add(self, specs: list[RunSpec]) -> None:
        """See `ConcurrentCalls.add`."""
        self._waiting.extend(specs)
        if not self._woken:
            self._woken = True
            self._tell_loop(self._wake)

    def cancel(self, task_ids: set[TaskId]) -> None:
        """See `ConcurrentCalls.cancel`."""
        self._tell_loop(self._cancel, task_ids)

    def stop(self) -> None:
        """See `ConcurrentCalls.stop`."""
        self._ended = True
        self._tell_loop(self._loop.stop)

    def run(self, create: Callable[[RunSpec], None], connection: Connection) -> None:
        """See `ConcurrentCalls.run`."""
        self._create = create
        asyncio.set_event_loop(self._loop)
        connection.receive_in_background()
        while not self._ended:
            try:
                self._loop.run_forever()
            except (KeyboardInterrupt, SystemExit):  # of a task that the user's code has started and nobody awaits
                report_here()
        self._leave()
        this_process.runs_loop = False
        asyncio.set_event_loop(None)
        self._loop.close()

    def _tell_loop(self, callback: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the actor has ended
            self._loop.call_soon_threadsafe(callback, *args)

    # ---------------------------------------------------------------- in the loop

    def _wake(self) -> None:
        self._woken = False
        if self._create is not None and self._waiting:
            create, self._create = self._create, None
            create(self._waiting.popleft())
            self._desk.flush()
            this_process.runs_loop = True
            if self._host.leaving:
                self.stop()
        self._start()

    def _start(self) -> None:
        """Start calls as long as there is room."""
        waiting, running, most = self._waiting, self._running, self._host.actor.max_concurrency
        while waiting and len(running) < most and not self._host.leaving:
            spec = waiting.popleft()
            running[spec.task_id] = self._loop.create_task(self._call(spec))

    async def _call(self, spec: RunSpec) -> None:
        template = self._desk.templates[spec.template_id]
        self._desk.enter(spec, template)  # a coroutine's context is its own
        carried: list[ObjectId] = []
        attempts = self._desk.attempts
        started = time.perf_counter()
        try:
            result = attempts.begin(spec, template)
            if inspect.iscoroutine(result):  # an ObjectRef could be awaited too, but it is a value
                result = await result
            self._host.check()
            if is_stream(result, template):
                values = await attempts.pack_items(result, spec, template, carried)
            else:
                values = attempts.pack(result, spec, template, carried)
        except BaseException as error:  # noqa: BLE001 - the call's own failure, whatever it is, is its outcome
            stopped = isinstance(error, asyncio.CancelledError) and spec.task_id in self._cancelled
            values = [attempts.cancelled(spec, template) if stopped else attempts.failure(error, spec, template)]
        self._cancelled.discard(spec.task_id)
        del self._running[spec.task_id]
        self._desk.report(spec, values, time.perf_counter() - started, carried, False)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)
        if self._host.leaving:
            self.stop()
        elif self._waiting:
            self._start()

    def _flush(self) -> None:
        """Once for all calls that have ended since the loop last came round."""
        self._flush_due = False
        self._desk.flush()

    def _cancel(self, task_ids: set[TaskId]) -> None:
        for task_id in task_ids & self._running.keys():
            self._cancelled.add(task_id)
            # Behind the first step of one that is new: a coroutine that is cancelled before it has begun says nothing.
            self._loop.call_soon(self._running[task_id].cancel)
        for spec in [spec for spec in self._waiting if spec.task_id in task_ids]:
            self._waiting.remove(spec)
            template = self._desk.templates[spec.template_id]
            self._desk.report(spec, [self._desk.attempts.cancelled(spec, template)], 0.0, [], True)

    def _leave(self) -> None:
        """Calls that are cut off by the end of the actor may tidy up for a moment; what they say is no longer asked for."""
        left = list(self._running.values())
        for task in left:
            task.cancel()
        if left:
            tidied = self._loop.create_task(asyncio.wait(left, timeout=LEAVE_SECONDS))
            tidied.add_done_callback(lambda _: self._loop.stop())
            while not tidied.done():  # each call that ends now stops the loop once more, as the actor is leaving
                self._loop.run_forever()
