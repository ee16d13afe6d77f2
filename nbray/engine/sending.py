"""How a process's messages leave: in order, in batches, with what began before them and what ended behind them.

Any thread posts; one lock guards the outbox, the values and the settled references. KeyboardInterrupt may arrive anywhere on
the main thread except while a flush moves things on; elsewhere the order of steps keeps all in order.

So may a finalizer (`__del__`) of the user's, which Python's garbage collector runs in the middle of anything: the lock is
reentrant, a flush takes what it sends out of the outbox in one step, and what a finalizer posts meanwhile leaves with the
next flush.

A call sends at once when the line was quiet, and otherwise leaves its message for the next flush, which whoever comes first
does: a later call, a wait, or the I/O thread after `BATCH_SECONDS`.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from nbray.engine import transport, wire
from nbray.engine.interrupts import InterruptShield
from nbray.engine.io_thread import IoThread
from nbray.engine.receiving import Receiver
from nbray.engine.references import References
from nbray.engine.values import Values
from nbray.ids import ActorId, ObjectId, TaskId
from nbray.scheduler.messages import Call, CreateActor, CreateGang, Held, Released, Submit, TaskSpec

BATCH_SECONDS = 0.0005
LONGEST_BATCH_SECONDS = 0.004
MOST_UNSAID = 256
"""Ended references that may wait `RELEASE_SECONDS` for each other."""
RELEASE_SECONDS = 0.05
MOST_UNSENT = 64 * 1024 * 1024
"""Bytes that may wait for the scheduler before submitters wait too."""


class Sender:
    """The sending half of a connection, whose lock, references and values it shares.

    `check` raises where the connection is over; `lose` is told why it is.
    """

    def __init__(
        self, sock: socket.socket, lock: threading.RLock, references: References, values: Values, io: IoThread,
        receiver: Receiver, check: Callable[[], None], lose: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.maker: Callable[[], TaskId] | None = None
        """Who submits, where the scheduler cannot know it: which of the calls that an actor runs at a time."""
        self.over = False
        """Nobody hears it any more."""
        self._socket = sock
        self._lock = lock
        self._references = references
        self._values = values
        self._io = io
        self._receiver = receiver
        self._check = check
        self._lose = lose
        self._shield = InterruptShield()
        self._outbox: list[bytearray | list[TaskSpec] | Call] = []
        """Encoded messages, and lists of tasks and calls that become one message each."""
        self._tasks: list[TaskSpec] | None = None
        """The last list in the outbox while nothing else was posted behind it: it still takes tasks."""
        self._calls: dict[ActorId, Call] = {}
        """The last list of calls of each actor in the outbox, while no message was posted behind it: it still takes calls."""
        self._unsent = bytearray()
        self._last_flush = 0.0
        self._flushing = False
        """A flush inside, by a finalizer, leaves its work to the next one."""
        self._batch_seconds = BATCH_SECONDS
        self._flush_due: float | None = None
        """When the I/O thread flushes at the latest; None while nothing waits."""
        self._flush_timer = math.inf
        """When the I/O thread looks next whether a flush is due."""
        self._settle_timer = False
        self._releases_due = False
        self._quiet = True
        """Somebody has waited since the last submission: the next one is awaited too, and leaves at once."""

    def after_fork(self, lock: threading.RLock) -> None:
        """In a forked child: it says nothing, and no thread of its parent's holds the lock."""
        self._lock, self.over = lock, True

    @property
    def all_sent(self) -> bool:
        """Whether the system has taken all that was posted: what happens to this process now does not change it."""
        return not self._unsent and not self._outbox

    # ---------------------------------------------------------------- tasks, calls, messages

    def submit(self, task: TaskSpec, returns: Sequence[ObjectId]) -> None:
        """Hand over one task; the process then holds one reference of each of its `returns`."""
        now = time.monotonic()
        if self.maker is not None:
            task.parent = self.maker()
        try:
            with self._lock:
                self._references.create(returns)
                self._values.expect(returns)
                if self._tasks is None:
                    tasks = self._tasks = [task]
                    self._outbox.append(tasks)
                else:
                    self._tasks.append(task)
                if self._quiet or now - self._last_flush >= self._batch_seconds:
                    self._flush_batch(now)
                elif self._flush_due is None:
                    self._flush_at(now + self._batch_seconds)
        except BaseException:  # an interrupt: the caller never learns the ids, so nobody holds them
            for object_id in returns:
                self.release(object_id)
            raise
        if self.over:
            self._check()
        if len(self._unsent) > MOST_UNSENT:
            self.wait_for_room()

    def call(self, actor_id: ActorId, task: TaskSpec, returns: Sequence[ObjectId]) -> None:
        """Hand over one call of an actor; otherwise as `submit`."""
        now = time.monotonic()
        if self.maker is not None:
            task.parent = self.maker()
        try:
            with self._lock:
                self._references.create(returns)
                self._values.expect(returns)
                calls = self._calls
                # Behind what came last, since it may need that. What needs nothing may overtake other actors' calls.
                if actor_id in calls and (not (task.deps or task.nested) or calls[actor_id] is self._outbox[-1]):
                    calls[actor_id].tasks.append(task)  # no call since it was looked up: a finalizer could flush there
                else:
                    call = calls[actor_id] = Call(actor_id, [task])
                    self._tasks = None  # before, for an interrupt, and behind, for a finalizer that begins a list
                    self._outbox.append(call)
                    self._tasks = None
                if self._quiet or now - self._last_flush >= self._batch_seconds:
                    self._flush_batch(now)
                elif self._flush_due is None:
                    self._flush_at(now + self._batch_seconds)
        except BaseException:
            for object_id in returns:
                self.release(object_id)
            raise
        if self.over:
            self._check()
        if len(self._unsent) > MOST_UNSENT:
            self.wait_for_room()

    def create_actor(self, message: CreateActor) -> None:
        """Let an actor be created; the process then holds one reference of it."""
        if self.maker is not None:
            message.task.parent = self.maker()
        self._create(message.task.task_id, message)

    def create_gang(self, message: CreateGang) -> None:
        """Let a gang be created; the process then holds one reference of it."""
        self._create(message.gang_id, message)

    def _create(self, object_id: ObjectId, message: msgspec.Struct) -> None:
        frame = wire.frame(message)
        with self._lock:
            self._references.create((object_id,))
            self._values.expect((object_id,))
            self.enqueue(frame)
            self.flush_here(time.monotonic())
        self._check()

    def post(self, message: msgspec.Struct, *, now: bool = False, delay: float = BATCH_SECONDS) -> None:
        """Send a message after all that were posted before; at once with `now`, else within `delay` seconds.

        Raises ProtocolError when it is larger than a message may be.
        """
        moment = time.monotonic()
        frame = wire.frame(message)
        with self._lock:
            self.enqueue(frame)
            if now:
                self.flush_here(moment)
            elif self._flush_due is None or self._flush_due > moment + delay:
                self._flush_at(moment + delay)

    def flush(self) -> None:
        """Send all that waits."""
        with self._lock:
            self._releases_due = True
            self.flush_here(time.monotonic())

    def hurry(self) -> None:
        """Somebody waits for what was submitted: it leaves now, and what follows is not kept for large batches."""
        with self._lock:
            self._batch_seconds = BATCH_SECONDS
            if self._outbox:
                self.flush_here(time.monotonic())

    def release(self, object_id: ObjectId) -> None:
        """One reference less; for finalizers: takes no lock, and the scheduler hears of it in time."""
        self._references.release(object_id)
        if not self._settle_timer:
            self._settle_timer = True
            try:
                self._io.call_at(time.monotonic() + RELEASE_SECONDS, self._settle)
            except BaseException:  # an interrupt
                self._settle_timer = False
                raise

    def _settle(self) -> None:
        self._settle_timer = False
        with self._lock:
            self.say_releases()

    def say_releases(self) -> None:
        """Tell the scheduler now which references have ended; under the lock."""
        if self._references.unsettled or self._references.unsaid:
            self._releases_due = True
            self.flush_here(time.monotonic())

    def flush_before_wait(self) -> None:
        """Somebody is about to wait: all leaves that he may wait for; under the lock."""
        if self._outbox or not self._references.quiet:
            self.flush_here(time.monotonic())
        self._quiet = True

    def settle(self) -> None:
        """Do the sums of references, with no flush half-way; under the lock."""
        try:
            self._flushing = True
            self._references.settle()
        finally:
            self._flushing = False

    # ---------------------------------------------------------------- the outbox, under the lock

    def enqueue(self, frame: bytearray) -> None:
        """Put an encoded message behind all that was posted; under the lock."""
        self._tasks = None
        self._calls.clear()
        self._outbox.append(frame)
        self._tasks = None  # a finalizer may have begun a list meanwhile, in front of the frame
        self._calls.clear()

    def _flush_batch(self, now: float) -> None:
        """Send submissions. The longer a loop goes on submitting, the larger are its batches: the workers are busy anyway."""
        self._batch_seconds = BATCH_SECONDS if self._quiet else min(2 * self._batch_seconds, LONGEST_BATCH_SECONDS)
        self._quiet = False
        self.flush_here(now)

    def _flush_at(self, when: float) -> None:
        self._flush_due = when
        if when < self._flush_timer:
            self._io.call_at(when, self._flush_if_due)
            self._flush_timer = when  # behind: an interrupt in between sets two timers, never none

    def _flush_if_due(self) -> None:
        with self._lock:
            self._flush_timer = math.inf
            now = time.monotonic()
            if self._flush_due is not None and self._flush_due <= now + 0.0001:
                self.flush_here(now)
            elif self._flush_due is not None:
                self._flush_at(self._flush_due)

    def flush_here(self, now: float) -> None:
        """Send all that was posted; under the lock.

        New references are said first and ended ones last: a reference that is said early or ended late is safe, since
        what it came from is still held; the other way round the object could be gone. Ends can wait for each other, so
        that a single task there and back carries none.
        """
        if self._flushing:
            self._flush_at(now + BATCH_SECONDS)
            return
        try:  # the mark stands around the shield, which is not reentrant
            self._flushing = True
            with self._shield:
                self._flush_due = None
                self._last_flush = now
                ended = self._releases_due or self._references.unsaid > MOST_UNSAID
                self._releases_due = False
                held, released = self._references.take(ended=ended)
                if held:
                    wire.append_frame(self._unsent, Held(held))
                outbox, self._outbox = self._outbox, []
                self._tasks = None
                self._calls.clear()
                for posted in outbox:
                    if isinstance(posted, list):
                        wire.append_frame(self._unsent, Submit(posted))
                    elif isinstance(posted, Call):
                        wire.append_frame(self._unsent, posted)
                    else:
                        self._unsent += posted
                if released:
                    self._values.forget(released)
                    wire.append_frame(self._unsent, Released(released))
                self._send()
        finally:
            self._flushing = False

    def _send(self) -> None:
        if self.over:
            self._unsent.clear()
        elif not transport.send(self._socket, self._unsent):
            self._unsent.clear()
            self._io.call_soon(lambda: self._lose("its scheduler process ended"))
        elif bool(self._unsent) != (self._receiver.on_writable is not None):
            self._receiver.on_writable = self._on_writable if self._unsent else None
            self._io.call_soon(self._receiver.watch)

    def _on_writable(self) -> None:
        with self._lock:
            self._send()

    def wait_for_room(self) -> None:
        """Wait while far more was posted than the scheduler takes; not under a lock that the I/O thread may want."""
        if len(self._unsent) > MOST_UNSENT and not self._io.on_this_thread():
            while len(self._unsent) > MOST_UNSENT // 2 and not self.over:
                time.sleep(0.002)
