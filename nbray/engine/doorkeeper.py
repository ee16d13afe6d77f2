"""Who may come in: accepts connections while there are descriptors, waits a while for their Hello, counts whom it refused.

A connection that has not said Hello is a stranger. Strangers are few, may say little, and have a deadline, so that whoever
opens sockets by the thousand takes the place of other strangers only: the oldest goes first.
"""

from __future__ import annotations

import errno
import resource
import socket
import sys
from collections import Counter
from typing import Generic, TypeVar

from nbray.engine import transport

SPARE_DESCRIPTORS = 128
"""So many are never given to connections: the workers' logs, the disk and the watchers need some, too."""
MOST_STRANGERS = 64
HELLO_SECONDS = 30.0
REST_SECONDS = 0.1
"""When there are no descriptors left, who wants to come in waits for so long."""
MOST_LINES = 20
"""In the log, of each kind of refusal; then only their number goes up."""

ANOTHER_USER = "of another user"
ANOTHER_CLUSTER = "meant for another cluster or release"
UNEXPECTED = "from a worker that nobody expects"
GARBLED = "with what is no message"
SILENT = "without a word"
CROWDED_OUT = "without a word, when others came"
NO_ROOM = "for want of descriptors"

Stranger = TypeVar("Stranger")


def raise_descriptor_limit() -> int:
    """Lift the soft limit of descriptors to the hard one; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 65536 if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except ValueError:  # macOS names no limit and has one
        limit = soft
    return limit


class Doorkeeper(Generic[Stranger]):
    """Decides about connections; whoever uses it registers and closes them."""

    def __init__(self, listener: socket.socket) -> None:
        self.refused: Counter[str] = Counter()
        """How many connections, by why."""
        self.resting = False
        """There are no descriptors: the listener is not to be looked at until `wake` says so."""
        self._listener = listener
        self._strangers: dict[Stranger, float] = {}
        """The oldest first, with their deadlines."""
        self._rests_until = 0.0

    def accept(self, now: float) -> socket.socket | None:
        """The next connection; None where there is none, where it was refused, and where this has begun to rest."""
        try:
            connection = transport.accept(self._listener)
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return None
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            self.resting, self._rests_until = True, now + REST_SECONDS
            return None
        if connection is None:
            self.refuse(ANOTHER_USER)
        elif not self._strangers and connection.fileno() >= most_connections():
            connection.close()
            self.refuse(NO_ROOM)
            return None
        return connection

    def wake(self, now: float) -> bool:
        """Whether it has rested, just now."""
        if self.resting and now >= self._rests_until:
            self.resting = False
            return True
        return False

    # ---------------------------------------------------------------- strangers

    def let_in(self, stranger: Stranger, descriptor: int, now: float) -> Stranger | None:
        """From now on its Hello is waited for; returns whom to close for it, if there are too many, or too few descriptors."""
        self._strangers[stranger] = now + HELLO_SECONDS
        if len(self._strangers) <= MOST_STRANGERS and descriptor < most_connections():
            return None
        oldest = next(iter(self._strangers))
        self.forget(oldest)
        self.refuse(CROWDED_OUT)
        return oldest

    def forget(self, stranger: Stranger) -> bool:
        """It has said Hello, or is gone; whether it was a stranger until now."""
        return self._strangers.pop(stranger, None) is not None

    def overdue(self, now: float) -> list[Stranger]:
        """Those that have not said Hello in time; they are to be closed."""
        late = []
        for stranger, deadline in self._strangers.items():
            if deadline > now:
                break
            late.append(stranger)
        for stranger in late:
            self.forget(stranger)
            self.refuse(SILENT)
        return late

    def refuse(self, why: str, more: str = "") -> None:
        """Count a refused connection."""
        self.refused[why] += 1
        if self.refused[why] <= MOST_LINES:
            sys.stderr.write(f"a connection refused {why}{f': {more}' if more else ''}\n")


def most_connections() -> int:
    """The first descriptor that no connection may have; the limit can be lowered from outside at any time."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit - min(SPARE_DESCRIPTORS, limit // 4)
