"""The observer plane: snapshots for whoever watches, over a socket of their own; lossy by design, so that nobody waits.

A watcher only listens. Who has not taken the last snapshot misses the next one: a slow watcher never slows the cluster.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from nbray.engine import transport, wire
from nbray.engine.doorkeeper import ANOTHER_USER, NO_ROOM
from nbray.snapshot import ClusterSnapshot

MOST_WATCHERS = 64
MOST_ACCEPTED = 256
"""At one time; the others come next time."""


def address(run_directory: str) -> Path:
    """Where the snapshots of a cluster are published."""
    return Path(run_directory) / "observer.sock"


class Publisher:
    """The scheduler process's end."""

    def __init__(self, where: Path, refuse: Callable[[str], None]) -> None:
        self._listener = transport.listen(where)
        self._refuse = refuse
        """Counts a connection that is closed, by why."""
        self._watchers: dict[socket.socket, bytearray] = {}
        """With what they have not taken yet."""

    def publish(self, snapshot: ClusterSnapshot) -> None:
        """Send a snapshot to whoever watches; never blocks."""
        self._accept()
        if not self._watchers:
            return
        frame = wire.frame(snapshot)
        for watcher, left in list(self._watchers.items()):
            stays = self._send(watcher, left)
            if stays and not left:
                left += frame
                stays = transport.send(watcher, left)
            if not stays:
                self._leave(watcher)

    def close(self) -> None:
        """Close all sockets."""
        for watcher in list(self._watchers):
            self._leave(watcher)
        self._listener.close()

    def _send(self, watcher: socket.socket, left: bytearray) -> bool:
        """Send what it takes; False when it is gone, or says something, which watchers have no words for."""
        return transport.receive(watcher) is None and transport.send(watcher, left)

    def _leave(self, watcher: socket.socket) -> None:
        del self._watchers[watcher]
        watcher.close()

    def _accept(self) -> None:
        for _ in range(MOST_ACCEPTED):
            try:
                watcher = transport.accept(self._listener)
            except OSError:  # nobody is there, or no descriptor: then they come next time
                return
            if watcher is None:
                self._refuse(ANOTHER_USER)
            elif len(self._watchers) >= MOST_WATCHERS:
                watcher.close()
                self._refuse(NO_ROOM)
            else:
                self._watchers[watcher] = bytearray()


class Watcher:
    """A driver's end; used on the I/O thread alone once it is made."""

    def __init__(self, where: Path, handler: Callable[[ClusterSnapshot], None]) -> None:
        """Raises OSError where nobody publishes."""
        self._handler = handler
        self._decoder: wire.FrameDecoder[ClusterSnapshot] = wire.FrameDecoder(ClusterSnapshot)
        self._socket = transport.connect(where)

    def fileno(self) -> int:
        """Readable when `drain` has something to do."""
        return self._socket.fileno()

    def drain(self) -> bool:
        """Hand the newest snapshot to the handler; older ones that piled up are skipped. False when no more will come."""
        newest: ClusterSnapshot | None = None
        while data := transport.receive(self._socket):
            try:
                snapshots = self._decoder.feed(data)
            except wire.ProtocolError:  # of another release: there is nothing to see here
                return False
            newest = snapshots[-1] if snapshots else newest
        if newest is not None:
            self._handler(newest)
        return data is None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
