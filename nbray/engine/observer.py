"""The observer plane: snapshots over zmq PUB, lossy by design; a slow watcher never slows the cluster."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import zmq

from nbray.snapshot import ClusterSnapshot

SPARE_DESCRIPTORS = 128
"""libzmq's ipc listener aborts the process when descriptors run out, so so many are never given to connections."""


def raise_descriptor_limit() -> int:
    """Lift the soft limit of descriptors to the hard one; returns how many connections the process may hold."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 65536 if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except ValueError:  # macOS names no limit and has one
        limit = soft
    return limit - SPARE_DESCRIPTORS


def address(run_directory: str) -> str:
    """Where the snapshots of a cluster are published."""
    return f"ipc://{Path(run_directory) / 'observer.sock'}"


class Publisher:
    """The scheduler process's end."""

    def __init__(self, where: str) -> None:
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, 8)
        self._socket.setsockopt(zmq.LINGER, 0)
        if sys.platform == "linux":  # elsewhere the run directory alone keeps others out
            self._socket.setsockopt(zmq.IPC_FILTER_UID, os.getuid())
        self._socket.bind(where)

    def publish(self, snapshot: ClusterSnapshot) -> None:
        """Send a snapshot to whoever watches; never blocks."""
        self._socket.send(msgspec.msgpack.encode(snapshot), zmq.NOBLOCK)

    def close(self) -> None:
        """Close the socket and end zmq's thread."""
        self._context.destroy(linger=0)


class Watcher:
    """A driver's end; used on the I/O thread alone once it is made."""

    def __init__(self, where: str, handler: Callable[[ClusterSnapshot], None]) -> None:
        self._handler = handler
        self._decoder = msgspec.msgpack.Decoder(ClusterSnapshot)
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, 8)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.connect(where)

    def fileno(self) -> int:
        """Readable when `drain` may have something to do; edge-triggered, so `drain` takes all there is."""
        return int(self._socket.getsockopt(zmq.FD))

    def drain(self) -> None:
        """Hand the newest snapshot to the handler; older ones that piled up are skipped."""
        newest: bytes | None = None
        while int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            newest = self._socket.recv(zmq.NOBLOCK)
        if newest is not None:
            self._handler(self._decoder.decode(newest))

    def close(self) -> None:
        """Close the socket and end zmq's thread."""
        self._context.destroy(linger=0)
