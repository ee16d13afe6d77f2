"""One process's end of the task plane: what a driver and a worker share.

Any thread of the process may submit, put, wait and hold references; the I/O thread receives. One lock guards the outbox,
the values and the settled references; it is never held while user code runs or while anybody waits. KeyboardInterrupt may
arrive anywhere on the main thread except while a flush moves things on; elsewhere the order of steps keeps all in order.

So may a finalizer (`__del__`) of the user's, which Python's garbage collector runs in the middle of anything: the lock is
reentrant, a flush takes what it sends out of the outbox in one step, and what a finalizer posts meanwhile leaves with the
next flush. Only to wait is refused there, since the thread that would wait holds what the answer needs.

Messages leave in batches: a call sends at once when the line was quiet, and otherwise leaves its message for the next
flush, which whoever comes first does: a later call, a wait, or the I/O thread after `BATCH_SECONDS`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

import msgspec

from nbray.engine import forks, transport, wire
from nbray.engine.incoming_streams import IncomingStreams
from nbray.engine.interrupts import InterruptShield, PollShield
from nbray.engine.io_thread import IoThread, call_reporting
from nbray.engine.receiving import Receiver, is_held_here
from nbray.engine.references import References
from nbray.engine.values import Values, Waiter
from nbray.engine.watches import Watch
from nbray.errors import ClusterDied, GetTimeoutError, UsageError
from nbray.ids import OBJECT_BITS, ActorId, ObjectId, ProcessId, TaskId, TemplateId, object_id, template_id
from nbray.scheduler.messages import (
    Allocate,
    Answer,
    Call,
    CreateActor,
    CreateGang,
    Failure,
    Fetch,
    Fetched,
    FromScheduler,
    GiveBack,
    Goodbye,
    Granted,
    Held,
    LetGo,
    LetGone,
    Ready,
    Refused,
    Released,
    Streamed,
    Submit,
    Subscribe,
    TaskSpec,
    Value,
    Welcome,
)  # fmt: skip

FIRST_GROUP = 1 << (OBJECT_BITS - 1)
"""Single objects are numbered below, those that follow each other from here on: one counter for both would need a lock."""
BATCH_SECONDS = 0.0005
LONGEST_BATCH_SECONDS = 0.004
MOST_UNSAID = 256
"""Ended references that may wait `RELEASE_SECONDS` for each other."""
RELEASE_SECONDS = 0.05
SLICE_SECONDS = 0.25
MOST_UNSENT = 64 * 1024 * 1024
"""Bytes that may wait for the scheduler before submitters wait too."""

IN_THE_MIDDLE = (
    "a finalizer (__del__, or a weakref's callback) that Python ran in the middle of one of nbray's steps wants to wait for the "
    "cluster, which cannot answer before it has ended. What starts something and returns at once may be called there: "
    ".remote(...), nbray.kill(...). For what waits (nbray.get, nbray.put of a large value), start a thread in it"
)

Reply = Granted | Refused | Answer | Fetched


class Connection:
    """The process's connection to the scheduler; `start` begins to receive, `close` ends it."""

    def __init__(self, sock: socket.socket, decoder: wire.FrameDecoder[FromScheduler], welcome: Welcome, io: IoThread) -> None:
        self.process_id: ProcessId = welcome.process_id
        self.epoch = welcome.epoch
        self.store_limit = welcome.store_limit
        self.io = io
        self.references = References()
        self.on_message: Callable[[FromScheduler], None] = lambda message: None
        """Gets every message that is not for this class, in order, on the thread that receives just then."""
        self.on_wait: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext
        """Entered around every wait that really blocks; a worker tells the scheduler there that its CPU is free."""
        self.maker: Callable[[], TaskId] | None = None
        """Who submits, where the scheduler cannot know it: which of the calls that an actor runs at a time."""
        self.before_making: Callable[[], None] | None = None
        """Called before this process submits, puts or registers anything; a worker first reports the tasks that have ended."""
        self.reading: Callable[[], set[ObjectId]] = set
        """The stored objects whose bytes this process reads just now."""
        self.on_lost: Callable[[], None] = lambda: None
        self._socket = sock
        self._lock = threading.RLock()
        self._values = Values()
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
        self._replies: dict[int, Reply | None] = {}
        self._reply_waiters: dict[int, Waiter] = {}
        self._requests = itertools.count(1)
        self._single_ids = cast("Iterator[ObjectId]", itertools.count(object_id(self.process_id, 1)))
        self._next_group = object_id(self.process_id, FIRST_GROUP)
        self._group_lock = threading.RLock()
        self._templates = itertools.count(1)
        self._lost = ""
        self.streams = IncomingStreams(self._lock, self.references, self._values, io, self.post, self.release)
        self._receiver = Receiver(sock, decoder, io, self._receive, self.lose)
        self.receive_here = self._receiver.receive_here
        self.receive_in_background = self._receiver.receive_in_background
        forks.tell(self)

    # ---------------------------------------------------------------- life

    def start(self, early: Sequence[FromScheduler] = ()) -> None:
        """Receive from now on; `early` are messages that came with the handshake."""
        for message in early:
            self._receive(message)
        self.receive_in_background()

    @property
    def lost(self) -> str:
        """Why the connection is over; empty while it lives."""
        return self._lost

    def close(self, goodbye: Goodbye | None = None) -> None:
        """Say goodbye if there is somebody to hear it, and wake everybody who waits; idempotent."""
        if goodbye is not None and not self._lost:
            self.post(goodbye, now=True)
        self.lose("it was closed")

    def lose(self, reason: str) -> None:
        """The connection is over: everybody who waits learns why; idempotent."""
        with self._lock:
            if self._lost:
                return
            self._lost = reason
            self._receiver.shut_down()
            callbacks = self._values.abandon()
            for waiter in self._reply_waiters.values():
                waiter.wake()
        self.io.call_soon(self._receiver.close)
        for callback in callbacks:
            call_reporting(callback)
        self.on_lost()

    def after_fork(self) -> None:
        """In a forked child: the connection is the parent's alone, and its scheduler must see it close with the parent."""
        self._lock, self._group_lock = threading.RLock(), threading.RLock()
        self._lost = "this process was forked from the one that used it"
        self._receiver.after_fork()

    def _check(self) -> None:
        if self._lost:
            raise ClusterDied(
                f"The cluster {self.epoch} is gone: {self._lost}. Its objects are gone with it; the next use starts a new one."
            )

    # ---------------------------------------------------------------- sending

    def next_object(self, count: int = 1) -> ObjectId:
        """A fresh object id, followed by `count - 1` more that are ours."""
        if self.before_making is not None:
            self.before_making()
        if count == 1:
            return next(self._single_ids)
        with self._group_lock:
            first = self._next_group
            self._next_group = cast("ObjectId", first + count)  # no call in between, where a finalizer could come in
        return first

    def next_template(self) -> TemplateId:
        """A fresh template id."""
        if self.before_making is not None:
            self.before_making()
        return template_id(self.process_id, next(self._templates))

    def submit(self, task: TaskSpec, returns: Sequence[ObjectId]) -> None:
        """Hand over one task; the process then holds one reference of each of its `returns`."""
        now = time.monotonic()
        if self.maker is not None:
            task.parent = self.maker()
        try:
            with self._lock:
                self.references.create(returns)
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
        if self._lost:
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
                self.references.create(returns)
                self._values.expect(returns)
                calls = self._calls
                # Behind what came last, since it may need that. What needs nothing may overtake other actors' calls.
                if actor_id in calls and (not (task.deps or task.nested) or calls[actor_id] is self._outbox[-1]):
                    calls[actor_id].tasks.append(task)  # no call since it was looked up: a finalizer could flush there
                else:
                    call = calls[actor_id] = Call(actor_id, [task])
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
        if self._lost:
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
            self.references.create((object_id,))
            self._values.expect((object_id,))
            self._enqueue(frame)
            self._flush(time.monotonic())
        self._check()

    def post(self, message: msgspec.Struct, *, now: bool = False, delay: float = BATCH_SECONDS) -> None:
        """Send a message after all that were posted before; at once with `now`, else within `delay` seconds.

        Raises ProtocolError when it is larger than a message may be.
        """
        moment = time.monotonic()
        frame = wire.frame(message)
        with self._lock:
            self._enqueue(frame)
            if now:
                self._flush(moment)
            elif self._flush_due is None or self._flush_due > moment + delay:
                self._flush_at(moment + delay)

    def flush(self) -> None:
        """Send all that waits."""
        with self._lock:
            self._releases_due = True
            self._flush(time.monotonic())

    def hurry(self) -> None:
        """Somebody waits for what was submitted: it leaves now, and what follows is not kept for large batches."""
        with self._lock:
            self._batch_seconds = BATCH_SECONDS
            if self._outbox:
                self._flush(time.monotonic())

    def release(self, object_id: ObjectId) -> None:
        """One reference less; for finalizers: takes no lock, and the scheduler hears of it in time."""
        self.references.release(object_id)
        if not self._settle_timer:
            self._settle_timer = True
            self.io.call_at(time.monotonic() + RELEASE_SECONDS, self._settle)

    def _settle(self) -> None:
        self._settle_timer = False
        with self._lock:
            self._say_releases()

    def _say_releases(self) -> None:
        """Tell the scheduler now which references have ended; under the lock."""
        if self.references.unsettled or self.references.unsaid:
            self._releases_due = True
            self._flush(time.monotonic())

    def _enqueue(self, frame: bytearray) -> None:
        self._tasks = None
        self._calls.clear()
        self._outbox.append(frame)
        self._tasks = None  # a finalizer may have begun a list meanwhile, in front of the frame
        self._calls.clear()

    def _flush_batch(self, now: float) -> None:
        """Send submissions. The longer a loop goes on submitting, the larger are its batches: the workers are busy anyway."""
        self._batch_seconds = BATCH_SECONDS if self._quiet else min(2 * self._batch_seconds, LONGEST_BATCH_SECONDS)
        self._quiet = False
        self._flush(now)

    def _flush_at(self, when: float) -> None:
        self._flush_due = when
        if when < self._flush_timer:
            self._flush_timer = when
            self.io.call_at(when, self._flush_if_due)

    def _flush_if_due(self) -> None:
        with self._lock:
            self._flush_timer = math.inf
            now = time.monotonic()
            if self._flush_due is not None and self._flush_due <= now + 0.0001:
                self._flush(now)
            elif self._flush_due is not None:
                self._flush_at(self._flush_due)

    def _flush(self, now: float) -> None:
        """Send all that was posted; under the lock.

        New references are said first and ended ones last: a reference that is said early or ended late is safe, since
        what it came from is still held; the other way round the object could be gone. Ends can wait for each other, so
        that a single task there and back carries none.
        """
        if self._flushing:
            self._flush_at(now + BATCH_SECONDS)
            return
        with self._shield:
            self._flushing = True
            try:
                self._flush_due = None
                self._last_flush = now
                ended = self._releases_due or self.references.unsaid > MOST_UNSAID
                self._releases_due = False
                held, released = self.references.take(ended=ended)
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
        if self._lost:
            self._unsent.clear()
        elif not transport.send(self._socket, self._unsent):
            self._unsent.clear()
            self.io.call_soon(lambda: self.lose("its scheduler process ended"))
        elif bool(self._unsent) != (self._receiver.on_writable is not None):
            self._receiver.on_writable = self._on_writable if self._unsent else None
            self.io.call_soon(self._receiver.watch)

    def _on_writable(self) -> None:
        with self._lock:
            self._send()

    def wait_for_room(self) -> None:
        """Wait while far more was posted than the scheduler takes; not under a lock that the I/O thread may want."""
        if len(self._unsent) > MOST_UNSENT and not self.io.on_this_thread():
            while len(self._unsent) > MOST_UNSENT // 2 and not self._lost:
                time.sleep(0.002)

    # ---------------------------------------------------------------- receiving

    def _receive(self, message: FromScheduler) -> None:
        if type(message) is Ready:
            self._learn(message.values)
        elif isinstance(message, (Granted, Refused, Answer, Fetched)):
            if type(message) is Fetched:
                self._learn(((message.object_id, message.value),))
            with self._lock:
                waiter = self._reply_waiters.get(message.request_id)
                if waiter is not None:
                    self._replies[message.request_id] = message
                    waiter.wake()
            if waiter is None:
                self._decline(message)
        elif type(message) is Streamed:
            self.streams.receive(message)
        elif type(message) is LetGo:
            with self._lock:
                in_use = self._values.let_go(message.object_ids, self.reading)
            self.post(LetGone(message.request_id, in_use), now=True)
        else:
            call_reporting(functools.partial(self.on_message, message))

    def _decline(self, reply: Reply | None) -> None:
        """Nobody waits for this reply any more: what it grants goes back."""
        if isinstance(reply, Granted):
            self.post(GiveBack(reply.offset))

    def _learn(self, values: Iterable[tuple[ObjectId, Value]]) -> None:
        callbacks: list[Callable[[], None]] = []
        references, learn = self.references, self._values.learn
        with self._lock:
            if references.unsettled:
                self._flushing = True  # not half-way through the sums
                references.settle()
                self._flushing = False
            counts = references.counts
            for object_id, value in values:
                if object_id in counts:
                    callbacks += learn(object_id, value)
        for callback in callbacks:
            call_reporting(callback)

    # ---------------------------------------------------------------- waiting

    def request(self, make: Callable[[int], msgspec.Struct], timeout: float | None = None) -> Reply:
        """Send the message that `make` builds from a request id, and wait for its reply. Raises GetTimeoutError."""
        self._check_may_wait()
        request_id = next(self._requests)
        frame = wire.frame(make(request_id))
        waiter = Waiter(1, wake_on_failure=False)
        reply = None
        try:
            with self._lock:
                self._say_releases()
                self._reply_waiters[request_id] = waiter
                self._enqueue(frame)
                self._flush(time.monotonic())
            in_time = self._sleep(waiter, timeout)
            reply = self._replies.get(request_id)
        finally:
            with self._lock:
                self._reply_waiters.pop(request_id, None)
                came = self._replies.pop(request_id, None)
            if reply is None:  # the caller was interrupted
                self._decline(came)
        if reply is None:
            self._check()
            if not in_time:
                raise GetTimeoutError(f"no answer within {timeout:g} s")
            raise ClusterDied("the cluster ended while it was asked")
        return reply

    def allocate(self, size: int) -> Granted | Refused:
        """Ask for an extent of `size` bytes."""
        reply = self.request(lambda request_id: Allocate(request_id, size))
        assert isinstance(reply, (Granted, Refused))
        return reply

    def fetch(self, object_id: ObjectId, deadline: float = math.inf) -> Fetched | Refused:
        """Have an object brought back from disk; the caller holds it, and sees to it that `reading` names it.

        Raises GetTimeoutError after the deadline; the object comes back all the same.
        """
        timeout = None if deadline == math.inf else max(0.0, deadline - time.monotonic())
        reply = self.request(lambda request_id: Fetch(request_id, object_id), timeout)
        assert isinstance(reply, (Fetched, Refused))
        return reply

    def learn_own(self, object_id: ObjectId, value: Value) -> None:
        """This process has made the object itself: hold one reference, know its value."""
        with self._lock:
            self.references.create((object_id,))
            self._values.learn(object_id, value)

    def value(self, object_id: ObjectId) -> Value | None:
        """The value if it is known here."""
        return self._values.known.get(object_id)

    def wait(
        self, object_ids: Sequence[ObjectId], needed: int, timeout: float | None, *, wake_on_failure: bool = False,
        exist: bool = False,
    ) -> bool:  # fmt: skip
        """Wait until `needed` of the objects exist, or one has failed where that ends the wait; False after `timeout`.

        With `exist` the caller knows that they do, and that this takes a moment only: nobody else gets the CPU meanwhile.
        """
        if len(object_ids) > 1:
            object_ids = list(dict.fromkeys(object_ids))
        if timeout == 0:
            self._ask_for(object_ids)
        waiter: Waiter | None = None
        missing: list[ObjectId] = []
        try:
            with self._lock:
                known = self._values.known
                missing = [object_id for object_id in object_ids if object_id not in known]
                there = len(object_ids) - len(missing)
                if there >= needed or (there and wake_on_failure and self._any_failed(object_ids)):
                    return True
                if timeout == 0:
                    self._check()
                    return False
                waiter = self._values.wait_for(missing, needed - there, wake_on_failure=wake_on_failure)
                self._subscribe(missing)
                if self._outbox or not self.references.quiet:
                    self._flush(time.monotonic())
                self._quiet = True
            with contextlib.nullcontext() if exist else self.on_wait():
                return self._sleep(waiter, timeout)
        finally:
            if waiter is not None:
                with self._lock:
                    self._values.forget_waiter(waiter, missing)

    def _any_failed(self, object_ids: Sequence[ObjectId]) -> bool:
        known = self._values.known
        return any(type(known.get(object_id)) is Failure for object_id in object_ids)

    def _ask_for(self, object_ids: Sequence[ObjectId]) -> None:
        """With no time to wait, at least see to it that the values come and that what was posted is on its way."""
        with self._lock:
            self._subscribe(object_ids)
            self._flush(time.monotonic())

    def _subscribe(self, object_ids: Sequence[ObjectId]) -> bool:
        """Ask for those whose values do not come by themselves; whether there was one."""
        unexpected = self._values.unexpected(object_ids)
        if unexpected:
            self._enqueue(wire.frame(Subscribe(unexpected)))
            self._values.expect(unexpected)  # behind: an interrupt in between asks twice, never not at all
        return bool(unexpected)

    def _sleep(self, waiter: Waiter, timeout: float | None) -> bool:
        self._check_may_wait()
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        with PollShield() as shield:
            if shield.possible:
                self.receive_here(lambda: not waiter.done, deadline, shield.poll)
        while not waiter.done:
            self._check()
            remaining = min(SLICE_SECONDS, deadline - time.monotonic())
            if remaining <= 0:
                return False
            waiter.sleep(remaining)
        self._check()
        return True

    def _check_may_wait(self) -> None:
        if is_held_here(self._lock) or self._receiver.is_busy_here():
            raise UsageError(IN_THE_MIDDLE)

    def watch(self) -> Watch:
        """A watch over objects, none so far; `Watch.close` it in the end."""
        return Watch(self._lock, self._values, self._ask_for)

    def call_when_ready(self, object_id: ObjectId, callback: Callable[[], None]) -> None:
        """Call back once the object exists or the connection is lost; here and now if it does already."""
        with self._lock:
            waits = not self._lost and self._values.call_back(object_id, callback)
            if waits and self._subscribe((object_id,)):
                self._flush(time.monotonic())
        if not waits:
            callback()


def timed_out(missing: int, total: int, timeout: float) -> GetTimeoutError:
    """The error of a `get` whose time is up."""
    return GetTimeoutError(
        f"after {timeout:g} s, {missing} of {total} objects are not there yet. Their tasks go on: get them again later, "
        "or nbray.cancel them."
    )
