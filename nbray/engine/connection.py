"""One process's end of the task plane: what a driver and a worker share.

Any thread of the process may submit, put, wait and hold references; the I/O thread receives, or who waits (`receiving`);
whoever comes first sends (`sending`). One lock guards the outbox, the values and the settled references; it is never held
while anybody waits, nor while user code runs, apart from finalizers that Python runs in the middle of anything. To these a
wait is refused, since the thread that would wait holds what the answer needs.
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
from typing import Protocol, cast

import msgspec

from nbray.engine import forks, wire
from nbray.engine.incoming_streams import IncomingStreams
from nbray.engine.interrupts import PollShield
from nbray.engine.io_thread import IoThread, call_reporting
from nbray.engine.receiving import Receiver, is_held_here
from nbray.engine.references import References
from nbray.engine.sending import Sender
from nbray.engine.values import Values, Waiter
from nbray.engine.watches import Watch
from nbray.errors import ClusterDied, GetTimeoutError, UsageError
from nbray.ids import OBJECT_BITS, ObjectId, ProcessId, TemplateId, object_id, template_id
from nbray.scheduler.messages import (
    Allocate,
    Answer,
    Failure,
    Fetch,
    Fetched,
    FromScheduler,
    GiveBack,
    Goodbye,
    Granted,
    LetGo,
    LetGone,
    Ready,
    Refused,
    Streamed,
    Subscribe,
    Value,
    Welcome,
)  # fmt: skip

FIRST_GROUP = 1 << (OBJECT_BITS - 1)
"""Single objects are numbered below, those that follow each other from here on: one counter for both would need a lock."""
SLICE_SECONDS = 0.25

IN_THE_MIDDLE = (
    "a finalizer (__del__, or a weakref's callback) that Python ran in the middle of one of nbray's steps wants to wait for the "
    "cluster, which cannot answer before it has ended. What starts something and returns at once may be called there: "
    ".remote(...), nbray.kill(...). For what waits (nbray.get, nbray.put of a large value), start a thread in it"
)

Reply = Granted | Refused | Answer | Fetched


class Interlude(Protocol):
    """Something that may come up while the main thread waits, and that it alone can do: to ask a person."""

    def is_due(self) -> bool:
        """Whether there is something to do now; asked often, under no lock."""

    def play(self) -> None:
        """Do it; the wait goes on afterwards, or ends with what this raises."""


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
        self.before_making: Callable[[], None] | None = None
        """Called before this process submits, puts or registers anything; a worker first reports the tasks that have ended."""
        self.reading: Callable[[], set[ObjectId]] = set
        """The stored objects whose bytes this process reads just now."""
        self.interlude: Interlude | None = None
        """What the main thread may have to do in the middle of a wait for objects."""
        self.on_lost: Callable[[], None] = lambda: None
        self._socket = sock
        self._lock = threading.RLock()
        self._values = Values()
        self._replies: dict[int, Reply | None] = {}
        self._reply_waiters: dict[int, Waiter] = {}
        self._requests = itertools.count(1)
        self._single_ids = cast("Iterator[ObjectId]", itertools.count(object_id(self.process_id, 1)))
        self._next_group = object_id(self.process_id, FIRST_GROUP)
        self._group_lock = threading.RLock()
        self._templates = itertools.count(1)
        self._lost = ""
        self._receiver = Receiver(sock, decoder, io, self._receive, self.lose)
        self.sender = Sender(sock, self._lock, self.references, self._values, io, self._receiver, self._check, self.lose)
        self.submit, self.call = self.sender.submit, self.sender.call
        self.create_actor, self.create_gang = self.sender.create_actor, self.sender.create_gang
        self.post, self.flush, self.hurry = self.sender.post, self.sender.flush, self.sender.hurry
        self.release, self.wait_for_room = self.sender.release, self.sender.wait_for_room
        self.streams = IncomingStreams(self._lock, self.references, self._values, io, self.post, self.release)
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
            self.sender.over = True
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
        self.sender.after_fork(self._lock)
        self._receiver.after_fork()

    def _check(self) -> None:
        if self._lost:
            raise ClusterDied(
                f"The cluster {self.epoch} is gone: {self._lost}. Its objects are gone with it; the next use starts a new one."
            )

    # ---------------------------------------------------------------- ids

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
                self.sender.settle()
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
                self.sender.say_releases()
                self._reply_waiters[request_id] = waiter
                self.sender.enqueue(frame)
                self.sender.flush_here(time.monotonic())
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
                self.sender.flush_before_wait()
            with contextlib.nullcontext() if exist else self.on_wait():
                return self._sleep(waiter, timeout, None if exist else self.interlude)
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
            self.sender.flush_here(time.monotonic())

    def _subscribe(self, object_ids: Sequence[ObjectId]) -> bool:
        """Ask for those whose values do not come by themselves; whether there was one."""
        unexpected = self._values.unexpected(object_ids)
        if unexpected:
            self.sender.enqueue(wire.frame(Subscribe(unexpected)))
            self._values.expect(unexpected)  # behind: an interrupt in between asks twice, never not at all
        return bool(unexpected)

    def _sleep(self, waiter: Waiter, timeout: float | None, interlude: Interlude | None = None) -> bool:
        self._check_may_wait()
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        if interlude is None or threading.current_thread() is not threading.main_thread():
            return self._sleep_until(waiter, deadline, lambda: False)
        while not self._sleep_until(waiter, deadline, interlude.is_due):
            if not interlude.is_due():
                return False
            began = time.monotonic()
            interlude.play()
            deadline += time.monotonic() - began  # a person's time is not the tasks'
        return True

    def is_interlude_due(self) -> bool:
        """Whether this is the main thread, and there is something for it to play."""
        here = threading.current_thread() is threading.main_thread()
        return here and self.interlude is not None and self.interlude.is_due()

    def _sleep_until(self, waiter: Waiter, deadline: float, is_due: Callable[[], bool]) -> bool:
        """Wait for the waiter until the deadline, or until something else is due; False then."""
        with PollShield() as shield:
            if shield.possible:
                self.receive_here(lambda: not (waiter.done or is_due()), deadline, shield.poll)
        while not waiter.done:
            if is_due():
                return False
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
                self.sender.flush_here(time.monotonic())
        if not waits:
            callback()


def timed_out(missing: int, total: int, timeout: float) -> GetTimeoutError:
    """The error of a `get` whose time is up."""
    return GetTimeoutError(
        f"after {timeout:g} s, {missing} of {total} objects are not there yet. Their tasks go on: get them again later, "
        "or nbray.cancel them."
    )
