"""The AF_UNIX stream sockets of the task plane: listening, connecting, peers' identity, descriptors that travel."""

from __future__ import annotations

import array
import contextlib
import os
import select
import socket
import struct
import sys
from pathlib import Path

from nbray.errors import StartFailed

BUFFER_BYTES = 4 * 1024 * 1024
READ_BYTES = 64 * 1024
"""A read asks for so much at once: memory for a megabyte comes from the system each time, which took 58 us instead of 4."""
MAX_PATH_BYTES = 100
"""A socket's path must fit into sockaddr_un: 108 bytes on Linux, 104 on macOS, with the terminating zero."""


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, in a directory that only its owner can enter."""
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise StartFailed(
            f"the socket's path {str(path)!r} is longer than {MAX_PATH_BYTES} bytes: set XDG_RUNTIME_DIR to a shorter directory"
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o077)
    try:
        listener.bind(str(path))
    finally:
        os.umask(previous)
    listener.listen(512)
    listener.setblocking(False)
    return listener


def connect(path: Path) -> socket.socket:
    """A non-blocking connection to the scheduler that listens at `path`."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    _prepare(connection)
    return connection


def accept(listener: socket.socket) -> socket.socket | None:
    """The next connection if its peer is this very user; another user's is closed and None comes back."""
    connection, _ = listener.accept()
    if peer_uid(connection) != os.getuid():
        connection.close()
        return None
    _prepare(connection)
    return connection


def _prepare(connection: socket.socket) -> None:
    connection.setblocking(False)
    # The kernel caps these by its own limits: a wish, not a need.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end, as the kernel knows it."""
    if sys.platform == "linux":
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[1])
    local_peercred, sol_local = 0x001, 0  # macOS and the BSDs: struct xucred begins with a version and the uid
    return int(struct.unpack_from("2I", connection.getsockopt(sol_local, local_peercred, 76))[1])


def send_with_descriptors(connection: socket.socket, data: bytes, descriptors: list[int]) -> None:
    """Send a few bytes with open descriptors riding on them; for a fresh connection, whose buffer is empty."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    sent = connection.sendmsg([data], ancillary)
    if sent != len(data):
        raise BrokenPipeError(f"only {sent} of {len(data)} bytes went into a fresh socket")


def receive_with_descriptors(connection: socket.socket, timeout: float) -> tuple[bytes, list[int]]:
    """The first bytes of a connection and the descriptors that ride on them; the caller closes those."""
    if not wait_readable(connection.fileno(), timeout):
        raise TimeoutError(f"no answer for {timeout:g} s")
    room = socket.CMSG_SPACE(8 * array.array("i").itemsize)
    data, ancillary, _, _ = connection.recvmsg(READ_BYTES, room, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return data, list(descriptors)


def wait_readable(descriptor: int, seconds: float) -> bool:
    """Wait until there is something to read, an end of file included; select(2) would refuse descriptors above 1023."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def receive(connection: socket.socket) -> bytes | None:
    """Bytes that are there: None when there are none yet, empty when the peer is gone."""
    try:
        return connection.recv(READ_BYTES)
    except (BlockingIOError, InterruptedError):
        return None
    except (ConnectionResetError, BrokenPipeError):
        return b""


def send(connection: socket.socket, buffer: bytearray) -> bool:
    """Send what fits and remove it from `buffer`; False once the peer is gone."""
    with contextlib.suppress(BlockingIOError, InterruptedError):
        while buffer:
            try:
                sent = connection.send(buffer)
            except (ConnectionResetError, BrokenPipeError):
                return False
            del buffer[:sent]
    return True
