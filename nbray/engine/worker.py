"""The worker: runs one task at a time on its main thread while the I/O thread receives.

    I/O thread, or the main thread while idle    main thread
    -----------------------------------------    -----------
    Run       -> puts tasks in the queue         takes the next task, writes its id into the shared word, runs it
    Learn     -> keeps functions, templates      loads a function at its first task
    TakeBack  -> takes tasks out again           after each task: the result into the outbox; a flush when the queue is
    death pipe ends -> exit (I/O thread only)    empty or a millisecond has passed
    Host      -> prepares to host an actor       creates it, runs its calls (`actor_calls`), ends with it

SIGINT raises KeyboardInterrupt only while the task runs that the scheduler marked in the shared word.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NoReturn

from nbray.engine import hosted_actor, imported_modules, output, process_tree, task_context
from nbray.engine.actor_calls import CallsWait, ConcurrentCalls, Desk
from nbray.engine.attempts import Attempts
from nbray.engine.connection import Connection
from nbray.engine.hosted_actor import HostedActor
from nbray.engine.learned_code import LearnedCode
from nbray.engine.object_exchange import ObjectExchange
from nbray.engine.output import TaskOutput, TaskStream
from nbray.engine.results import FLUSH_SECONDS, Results
from nbray.engine.streaming import Streaming
from nbray.engine.task_context import TaskContext
from nbray.engine.unsent import Unsent
from nbray.engine.words import Words
from nbray.ids import NO_TASK, ObjectId, TaskId
from nbray.progress_board import STREAM as PROGRESS
from nbray.scheduler.messages import (
    Blocked,
    CancelCalls,
    Consumed,
    Exit,
    ExitActor,
    Forget,
    FromScheduler,
    Host,
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

OUTPUT_SECONDS = 0.02
BLINK_SECONDS = 0.0001
"""After a shorter task the log is not looked at while tasks of the same cell follow: two system calls are half its price."""


class Worker:
    """The state of one worker process; `run` returns when the scheduler says Exit."""

    def __init__(
        self, slot: int, words: Words, unsent: Unsent, connection: Connection, exchange: ObjectExchange, output_limit: int
    ) -> None:
        self._slot = slot
        self._words = words
        self._connection = connection
        self._name = f"worker {slot} (pid {os.getpid()})"
        self._queue: deque[RunSpec] = deque()
        self._queue_lock = threading.Lock()
        self._take: Callable[[list[RunSpec]], None] = self._queue.extend
        """Where tasks go that the scheduler sends."""
        self._stopping = False
        """The main thread shall look up from its tasks: it exits, or hosts an actor from now on, or the actor leaves."""
        self._exiting = False
        self._code = LearnedCode(connection, exchange)
        self._templates = self._code.templates
        self._results = Results(connection, unsent.results_of(slot))
        self.streaming = Streaming(connection, exchange)
        self._attempts = Attempts(
            self._code, exchange, connection.references, self._name, lambda task_id: words.cancelled(slot) == task_id,
            self.streaming,
        )  # fmt: skip
        self._host: HostedActor | None = None
        self._calls: ConcurrentCalls | None = None
        self._calls_wait: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        self._carried: list[ObjectId] = []
        """References inside the results of the running task."""
        self._log = os.dup(1)
        """User code may close or redirect descriptor 1."""
        self._log_length = output.log_length(self._log)
        self._modules = imported_modules.ImportedModules()
        self._running = NO_TASK
        self._waits = 0
        """How many waits of the running task overlap: several where it awaits, one inside the other where that nests."""
        self._output = TaskOutput(
            self._post_output, connection.io.call_at, OUTPUT_SECONDS, output_limit, unsent.of(slot), self._log
        )  # fmt: skip
        connection.on_message = self._handle
        connection.on_wait = self._waiting
        connection.before_making = self._results.flush  # the scheduler takes who submits for the first task not yet reported

    # ---------------------------------------------------------------- I/O thread

    def _handle(self, message: FromScheduler) -> None:
        if type(message) is Run:
            self._take(message.tasks)
        elif isinstance(message, Learn):
            self._code.learn(message)
        elif isinstance(message, TakeBack):
            self._give_back(set(message.task_ids))
        elif isinstance(message, Forget):
            self._code.forget(message)
        elif isinstance(message, Consumed):
            self.streaming.heard(message)
        elif isinstance(message, Host):
            self._prepare_to_host(HostedActor(message.actor_id, message.actor))
        elif isinstance(message, CancelCalls):
            if self._calls is not None:
                self._calls.cancel(set(message.task_ids))
        elif isinstance(message, Exit):
            self._exiting = True
            self._stop()

    def _give_back(self, task_ids: set[TaskId]) -> None:
        with self._queue_lock:
            taken = [spec.task_id for spec in self._queue if spec.task_id in task_ids]
            kept = [spec for spec in self._queue if spec.task_id not in task_ids]
            self._queue.clear()
            self._queue.extend(kept)
        self._connection.post(TakenBack(taken), now=True)

    def _prepare_to_host(self, host: HostedActor) -> None:
        """The next task creates this actor; what runs its calls takes them from here on, so that none can overtake another."""
        self._host = self._code.host = hosted_actor.this_process.actor = host
        many = host.actor.concurrency == "async"
        report, flush = (self._report_quietly, self._flush_with_log) if many else (self._report, self._results.flush)
        desk = Desk(self._attempts, self._templates, self._enter, report, flush)
        self._calls_wait = CallsWait(host, self._connection)
        self._calls = _concurrent_calls(host, desk)
        if self._calls is None:
            host.on_leave = self._stop
        else:
            self._take = self._calls.add
            self._connection.sender.maker = task_context.current_id
        self._stopping = True

    def _stop(self) -> None:
        self._stopping = True
        if self._calls is not None:
            self._calls.stop()

    # ---------------------------------------------------------------- main thread

    def run(self) -> None:
        """Run tasks until the scheduler says Exit or is gone, or the actor that it hosts ends."""
        signal.signal(signal.SIGINT, self._on_interrupt)
        self._connection.on_lost = self._on_lost
        if self._connection.lost:
            self._on_lost()
        self._serve()
        if self._host is not None:
            self._serve_actor(self._host)

    def _serve(self) -> None:
        while not self._stopping:
            spec = self._next()
            if spec is None:
                self._connection.receive_here(self._is_idle)
            else:
                self._run(spec)

    def _is_idle(self) -> bool:
        return not self._queue and not self._stopping

    def _next(self) -> RunSpec | None:
        """The next task; before an empty queue, everything that is finished goes out."""
        with self._queue_lock:
            if self._queue:
                return self._queue.popleft()
        self._results.flush()
        return None

    def _run(self, spec: RunSpec) -> None:
        template = self._templates[spec.template_id]
        self._words.start(self._slot, spec.task_id, self._log_length)
        self._enter(spec, template)
        started = time.perf_counter()
        try:
            self._running, self._waits = spec.task_id, 0
            if self._words.cancelled(self._slot) == spec.task_id:  # SIGINT came while nothing ran that it could mean
                raise KeyboardInterrupt
            values = self._attempts.run(spec, template, self._carried)
            self._running = NO_TASK
        except KeyboardInterrupt:  # at the very edge of the task: as if inside
            self._running = NO_TASK
            values = [self._attempts.cancelled(spec, template)]
        self._report(spec, values, time.perf_counter() - started, self._carried, not self._queue)

    def _enter(self, spec: RunSpec, template: Template) -> None:
        context = TaskContext(
            spec.task_id, template.name, template.cell_run, spec.attempt, self._name, self._emit_display, template.resources,
            time.perf_counter(),
        )  # fmt: skip
        task_context.enter(context)

    def _report(self, spec: RunSpec, values: list[Value], seconds: float, carried: list[ObjectId], hurry: bool) -> None:
        """The task of this thread has ended; `hurry` where nothing else is about to run."""
        modules = self._modules.news(seconds)
        if modules:
            self._post_output(spec.task_id, imported_modules.STREAM, modules, False)
        task_context.end(spec.task_id)
        self._output.end_task(spec.task_id)
        log_end = self._log_end() if seconds > BLINK_SECONDS or self._another_cell_next() else 0
        result = TaskResult(spec.task_id, values, int(seconds * 1e6), log_end)
        self._results.add(result, carried, hurry=hurry or seconds > FLUSH_SECONDS)

    def _report_quietly(self, spec: RunSpec, values: list[Value], seconds: float, carried: list[ObjectId], hurry: bool) -> None:
        """The same for one of many coroutines: how long it took says nothing of the thread, and the log is read once for all."""
        task_context.end(spec.task_id)
        self._output.end_task(spec.task_id)
        self._results.add(TaskResult(spec.task_id, values, int(seconds * 1e6)), carried, hurry=hurry)

    def _flush_with_log(self) -> None:
        self._results.flush(self._log_end())

    def _log_end(self) -> int:
        """The log's length if it has grown since the last look, else 0."""
        length = output.log_length(self._log)
        grew, self._log_length = length != self._log_length, length
        return length if grew else 0

    def _another_cell_next(self) -> bool:
        """Whether what was written to the log until now could be taken for the output of another cell."""
        if not self._queue:
            return True
        try:
            following = self._templates[self._queue[0].template_id].cell_run
        except IndexError:  # an empty queue, maybe since a moment ago
            return True
        context = task_context.current()
        return context is None or context.cell_run != following

    # ---------------------------------------------------------------- an actor

    def _serve_actor(self, host: HostedActor) -> None:
        """Create the actor, run its calls, and let it tidy up when it ends gracefully."""
        self._stopping = False
        if self._exiting:  # looked at behind: Exit may come in between
            self._stopping = True
        if self._calls is None:
            self._serve()
        else:
            self._calls.run(self._run, self._connection)
        if host.leaving:
            self._results.flush()
            self._connection.post(ExitActor(host.actor_id), now=True)
        host.close()
        atexit._run_exitfuncs()
        self._output.flush()
        self._connection.flush()

    # ---------------------------------------------------------------- waiting, signals, output

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        """While the running task waits for objects, its CPU is free and its prefetched tasks are taken back."""
        if self._calls is not None:
            with self._calls_wait:
                yield
            return
        task_id = self._running
        if not task_id or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._waits += 1
        if self._waits == 1:
            self._results.flush()
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
            hurries = stream != PROGRESS  # a bar may wait for the result of its task, which often follows at once
            self._output.flush(now=hurries)
            self._post_output(task_id, stream, data, hurries)

    def _post_output(self, task_id: TaskId, stream: str, data: bytes, now: bool) -> None:
        self._connection.post(Output(task_id, stream, data), now=now)

    def take_streams(self) -> None:
        """From now on Python's prints go to the cells of the tasks."""
        sys.stdout = TaskStream("stdout", 1, self._output)
        sys.stderr = TaskStream("stderr", 2, self._output)


def _concurrent_calls(host: HostedActor, desk: Desk) -> ConcurrentCalls | None:
    """What runs the calls of an actor, before it is created; None where the worker runs them as it runs tasks."""
    if host.actor.concurrency == "threads":
        from nbray.engine.threaded_calls import ThreadedCalls

        return ThreadedCalls(host, desk)
    if host.actor.concurrency == "async":
        from nbray.engine.async_calls import AsyncCalls  # asyncio takes 50 ms, which other workers need not pay

        return AsyncCalls(host, desk)
    return None


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
