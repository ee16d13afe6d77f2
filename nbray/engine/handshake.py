"""The first words on a connection: this process says who it is, the scheduler welcomes it and hands over the arena."""

from __future__ import annotations

import errno
import os
import socket
import time
from pathlib import Path

from nbray.engine import transport, wire
from nbray.errors import StartFailed
from nbray.scheduler.messages import FromScheduler, Hello, Refused, Welcome

AGAIN_SECONDS = 0.1

Welcomed = tuple[Welcome, list[FromScheduler], wire.FrameDecoder[FromScheduler], list[int]]


def say_hello(sock: socket.socket, hello: Hello, timeout: float) -> Welcomed:
    """Introduce this process; returns the welcome, what came right behind it, the decoder and the descriptors sent along.

    Raises StartFailed when the scheduler does not want it, OSError when the scheduler is gone or silent, ConnectionError when
    it has closed the connection without a word.
    """
    sock.setblocking(True)
    sock.sendall(wire.frame(hello))
    sock.setblocking(False)
    decoder = wire.process_decoder()
    data, descriptors = transport.receive_with_descriptors(sock, timeout)
    if not data:
        raise ConnectionResetError(errno.ECONNRESET, "the scheduler has closed the connection without a word")
    messages = decoder.feed(data)
    if messages and isinstance(messages[0], Welcome) and descriptors:
        return messages[0], messages[1:], decoder, descriptors
    for descriptor in descriptors:
        os.close(descriptor)
    if messages and isinstance(messages[0], Refused):
        raise StartFailed(messages[0].failure.message)
    raise StartFailed(f"the scheduler did not welcome this process, it said {messages or 'nothing'!r}")


def join(path: Path, hello: Hello, timeout: float, death_pipe: int) -> tuple[socket.socket, Welcomed]:
    """Connect a worker. A scheduler process that has no descriptor left closes what comes, which passes: so until then, again.

    Raises what `say_hello` does, and OSError when nobody listens.
    """
    deadline = time.monotonic() + timeout
    while True:
        sock = transport.connect(path)
        try:
            return sock, say_hello(sock, hello, max(0.0, deadline - time.monotonic()))
        except ConnectionError:
            sock.close()
            if time.monotonic() > deadline or transport.wait_readable(death_pipe, AGAIN_SECONDS):  # the zygote is gone
                raise
        except BaseException:
            sock.close()
            raise
