"""What several tests of the engine use."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from nbray.engine import wire
from nbray.engine.connection import Connection
from nbray.engine.io_thread import IoThread
from tests.engine.pretended_scheduler import WELCOME, Ends, PretendedScheduler


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    io = IoThread("test-io")
    link = Connection(ours, wire.process_decoder(), WELCOME, io)
    link.start()
    io.start()
    with theirs:
        yield Ends(link, PretendedScheduler(theirs))
        link.close()
        io.stop()
