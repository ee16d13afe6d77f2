"""One connection of the scheduler process: its bytes in and out, and what waits until its peer reads again.

A peer that reads nothing (a kernel that is stopped, a laptop asleep) must not fill the scheduler process's memory. Beyond
`MOST_UNREAD` bytes, messages for it wait as they are: a value in them is the one that the tables hold anyway. Of the text that
tasks print, so much waits and the rest is counted, which the peer is told in its place. Nor is the peer heard meanwhile:
each answer would be one thing more that it does not read.
"""

from __future__ import annotations

import selectors
import socket
from collections import deque

from nbray.engine import transport, wire
from nbray.ids import CellRunId, ProcessId
from nbray.scheduler.messages import Emitted, FromScheduler, ToScheduler

MOST_UNREAD = 8 * 1024 * 1024
"""Bytes for one peer that may wait as bytes."""
REFILL = 1024 * 1024
"""So much of what waits as messages becomes bytes at a time, some milliseconds of work."""
MOST_OUTPUT = 32 * 1024 * 1024
"""Bytes of tasks' output that may wait as messages."""
MOST_DISPLAYED = 2 * MOST_OUTPUT
"""The same where displays and progress bars are among it, of which a part says less than a part of a text."""
_TEXT = ("stdout", "stderr")


class _Unshown:
    """In the place of text that was not kept: of whose, and how much."""

    __slots__ = ("bytes", "last")

    def __init__(self, first: Emitted) -> None:
        self.last = first
        self.bytes = 0

    def told(self) -> Emitted:
        text = f"\n[nbray] {self.bytes:,} bytes of output are not shown: nobody read them in time\n"
        last = self.last
        return Emitted(last.task_id, last.cell_run, last.task, last.worker, "stderr", text.encode())


class Link:
    """One connection; its process once it has said Hello."""

    __slots__ = ("_held", "_output", "_unshown", "decoder", "events", "open", "out", "process", "slot", "socket", "waiting")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.decoder: wire.FrameDecoder[ToScheduler] = wire.stranger_decoder()
        self.out = bytearray()
        """What is to be sent; `send` does."""
        self.process = ProcessId(0)
        self.slot = -1
        self.waiting: deque[ToScheduler] = deque()
        """What has come and not been handled; nothing is read meanwhile."""
        self.open = True
        self.events = selectors.EVENT_READ
        """What its socket is watched for."""
        self._held: deque[FromScheduler | _Unshown] = deque()
        """What waits as messages, behind `out`."""
        self._output = 0
        """Bytes of output in it."""
        self._unshown: dict[CellRunId, _Unshown] = {}

    @property
    def reads(self) -> bool:
        """Whether the peer reads what it is sent; who does not is not heard."""
        return not self._held

    @property
    def wanted(self) -> int:
        """What its socket should be watched for."""
        return (selectors.EVENT_READ if self.reads else 0) | (selectors.EVENT_WRITE if self.out else 0)

    def post(self, message: FromScheduler) -> None:
        """Put a message behind all others."""
        if self._held or len(self.out) > MOST_UNREAD:
            self._hold(message)
        else:
            wire.append_frame(self.out, message)

    def send(self) -> None:
        """Send what the peer takes; when it is gone, its end of file follows with what it still had to say."""
        if not transport.send(self.socket, self.out):
            self.out.clear()
            self._held.clear()
            self._unshown.clear()
        while self._held and len(self.out) < REFILL:
            self._release(self._held.popleft())

    def _hold(self, message: FromScheduler) -> None:
        if type(message) is not Emitted:
            self._held.append(message)
            return
        unshown, is_text = self._unshown.get(message.cell_run), message.stream in _TEXT
        if self._output <= (MOST_OUTPUT if is_text else MOST_DISPLAYED) and not (is_text and unshown):
            self._held.append(message)
            self._output += len(message.data)
            return
        if unshown is None:
            unshown = self._unshown[message.cell_run] = _Unshown(message)
            self._held.append(unshown)
        unshown.last = message
        unshown.bytes += len(message.data)

    def _release(self, held: FromScheduler | _Unshown) -> None:
        if type(held) is _Unshown:
            self._unshown.pop(held.last.cell_run)
            held = held.told()
        elif type(held) is Emitted:
            self._output -= len(held.data)
        wire.append_frame(self.out, held)  # type: ignore[arg-type]
