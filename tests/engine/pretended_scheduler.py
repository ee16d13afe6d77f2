"""A scheduler that the test plays itself, on the other end of a connection's socket pair."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from nbray.engine import transport, wire
from nbray.engine.connection import Connection
from nbray.ids import ObjectId, ProcessId, TemplateId
from nbray.scheduler.messages import TaskSpec, Welcome

PROCESS = ProcessId(7)
TEMPLATE = TemplateId(1)
WELCOME = Welcome(PROCESS, "epoch-1", 1 << 20, "ipc://nowhere", {"CPU": 20_000}, 0)


class PretendedScheduler:
    """The other end: hears messages one by one, says what the test wants."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._decoder = wire.scheduler_decoder()
        self._heard: list[Any] = []

    def hear(self, seconds: float = 5.0) -> Any:
        """The next message."""
        deadline = time.monotonic() + seconds
        while not self._heard:
            if not transport.wait_readable(self.socket.fileno(), deadline - time.monotonic()):
                raise TimeoutError("nothing was said")
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError("the connection is closed")
            self._heard += self._decoder.feed(data)
        return self._heard.pop(0)

    def hears_nothing(self, seconds: float = 0.0) -> bool:
        return not self._heard and not transport.wait_readable(self.socket.fileno(), seconds)

    def say(self, *messages: msgspec.Struct) -> None:
        self.socket.sendall(b"".join(bytes(wire.frame(message)) for message in messages))


class Ends:
    """Both ends, and threads that wait on ours."""

    def __init__(self, link: Connection, scheduler: PretendedScheduler) -> None:
        self.link = link
        self.scheduler = scheduler

    def submit(self, count: int = 1) -> list[ObjectId]:
        ids = [self.link.next_object() for _ in range(count)]
        for number in ids:
            self.link.submit(TaskSpec(number, TEMPLATE, b""), [number])
        return ids

    @contextmanager
    def meanwhile(self, call: Callable[[], Any]) -> Iterator[queue.SimpleQueue[Any]]:
        """Run a call that waits on a thread; the queue gets its result or its exception."""
        outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def run() -> None:
            try:
                outcome.put(call())
            except Exception as error:  # noqa: BLE001 - handed to the test
                outcome.put(error)

        thread = threading.Thread(target=run)
        thread.start()
        yield outcome
        thread.join(10)
        assert not thread.is_alive()
