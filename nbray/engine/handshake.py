"""The first words on a connection: this process says who it is, the scheduler welcomes it and hands over the arena."""

from __future__ import annotations

import os
import socket

from nbray.engine import transport, wire
from nbray.errors import StartFailed
from nbray.scheduler.messages import FromScheduler, Hello, Refused, Welcome

Welcomed = tuple[Welcome, list[FromScheduler], wire.FrameDecoder[FromScheduler], list[int]]


def say_hello(sock: socket.socket, hello: Hello, timeout: float) -> Welcomed:
    """Introduce this process; returns the welcome, what came right behind it, the decoder and the descriptors sent along.

    Raises StartFailed when the scheduler does not want it, OSError when the scheduler is gone or silent.
    """
    sock.setblocking(True)
    sock.sendall(wire.frame(hello))
    sock.setblocking(False)
    decoder = wire.process_decoder()
    data, descriptors = transport.receive_with_descriptors(sock, timeout)
    messages = decoder.feed(data)
    if messages and isinstance(messages[0], Welcome) and descriptors:
        return messages[0], messages[1:], decoder, descriptors
    for descriptor in descriptors:
        os.close(descriptor)
    if messages and isinstance(messages[0], Refused):
        raise StartFailed(messages[0].failure.message)
    raise StartFailed(f"the scheduler did not welcome this process, it said {messages or 'nothing'!r}")
