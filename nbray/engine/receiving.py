"""Who receives on a connection: the I/O thread, or a thread that waits for a message and reads the socket itself."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import threading
import time
from collections.abc import Callable

from nbray.engine import transport, wire
from nbray.engine.interrupts import InterruptShield
from nbray.engine.io_thread import IoThread
from nbray.scheduler.messages import FromScheduler

TAKEOVER_SECONDS = 0.005

Poll = Callable[[select.poll, float | None], object]


def plain_poll(poller: select.poll, milliseconds: float | None) -> object:
    """Wait until there is something to read; for threads that no signal interrupts."""
    return poller.poll(milliseconds)


def is_held_here(lock: threading.RLock) -> bool:
    """Whether this very thread holds the lock, further down its stack."""
    return bool(lock._is_owned())  # type: ignore[attr-defined]  # what threading.Condition asks, too


class Receiver:
    """Reads one socket; `handle` gets every message in order, `lose` why there will be no more."""

    def __init__(
        self, sock: socket.socket, decoder: wire.FrameDecoder[FromScheduler], io: IoThread,
        handle: Callable[[FromScheduler], None], lose: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.on_writable: Callable[[], None] | None = None
        """Called on the I/O thread when the socket takes bytes again; `watch` after setting it."""
        self._socket = sock
        self._decoder = decoder
        self._io = io
        self._handle = handle
        self._lose = lose
        self._over = False
        self._poller = select.poll()
        """For whoever `_reads_here`, one at a time."""
        self._poller.register(sock, select.POLLIN)
        self._receive_lock = threading.RLock()
        """Whoever holds it receives and handles; two at once would mix up the order of messages."""
        self._role_lock = threading.RLock()
        self._role_shield = InterruptShield()
        self._io_reads = False
        self._reads_here = False
        self._takeover_timer = False

    def receive_in_background(self) -> None:
        """Let the I/O thread receive, unless another thread does just now; any thread."""
        with self._role_lock, self._role_shield:
            if not self._io_reads and not self._reads_here:
                self._io_reads = True
                self.watch()

    def receive_here(self, wanted: Callable[[], bool], deadline: float = math.inf, poll: Poll = plain_poll) -> None:
        """Receive on this thread as long as `wanted()`, until `deadline` (time.monotonic) at most: saves a wake-up a message.

        Returns at once when another thread does so already. Afterwards the I/O thread takes over in a moment. For a thread
        that no exception can interrupt except in `poll`, since a message that was read and not handled would be lost.
        """
        if self._begin_receiving():
            try:
                self._receive_while(wanted, deadline, poll)
            finally:
                self._reads_here = False
                self._take_over_soon()

    def watch(self) -> None:
        """Let the I/O thread watch the socket for what it is to do now."""
        if not self._over:
            read = self._on_readable if self._io_reads else None
            self._io.watch(self._socket.fileno(), read=read, write=self.on_writable)

    def is_busy_here(self) -> bool:
        """Whether this very thread is in the middle of receiving: what a finalizer asks that would wait for a message."""
        return is_held_here(self._receive_lock) or is_held_here(self._role_lock)

    def shut_down(self) -> None:
        """Wake whoever receives, for the last time; any thread."""
        self._over = True
        with contextlib.suppress(OSError):  # closing would not wake it
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket; after `shut_down`, on the I/O thread."""
        with self._receive_lock:  # nobody is just about to read from this descriptor, which may soon be another file's
            self._io.unwatch(self._socket.fileno())
            self._socket.close()

    def after_fork(self) -> None:
        """In a forked child: its parent's threads hold the locks no more, and the scheduler must see the parent close it."""
        self._role_lock, self._receive_lock = threading.RLock(), threading.RLock()
        self._over = True
        self._socket.close()

    # ---------------------------------------------------------------- roles

    def _begin_receiving(self) -> bool:
        """Take the role from the I/O thread, and wait until it has handled what it was reading.

        Without that wait this thread could find nothing done yet, and then sleep on a socket from which nothing more comes.
        """
        with self._role_lock:
            if self._reads_here:
                return False
            self._reads_here = True
            if self._io_reads:
                self._io_reads = False
                self.watch()
        with self._receive_lock:
            return True

    def _receive_while(self, wanted: Callable[[], bool], deadline: float, poll: Poll) -> None:
        milliseconds = None
        while wanted() and not self._over:
            if deadline != math.inf:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return
                milliseconds = math.ceil(remaining * 1000)
            if poll(self._poller, milliseconds):
                with self._receive_lock:
                    self._receive_all()

    def _take_over_soon(self) -> None:
        """Often this thread wants the role again within the moment, so it is not handed over at once."""
        if not self._takeover_timer:
            self._takeover_timer = True
            self._io.call_at(time.monotonic() + TAKEOVER_SECONDS, self._take_over)

    def _take_over(self) -> None:
        self._takeover_timer = False
        self.receive_in_background()

    # ---------------------------------------------------------------- reading

    def _on_readable(self) -> None:
        with self._receive_lock:
            if self._io_reads:
                self._receive_all()

    def _receive_all(self) -> None:
        data = None if self._over else transport.receive(self._socket)
        if data is None:
            return
        if not data:
            self._lose("its scheduler process ended")
            return
        try:
            messages = self._decoder.feed(data)
        except wire.ProtocolError as error:
            self._lose(f"its scheduler process sent what is no message ({error})")
            return
        for message in messages:
            self._handle(message)
