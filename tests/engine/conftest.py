"""What several tests of the engine use."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.engine import task_context, wire
from nbray.engine.connection import Connection
from nbray.engine.hosted_actor import this_process
from nbray.engine.io_thread import IoThread
from tests.engine.pretended_scheduler import WELCOME, Ends, PretendedScheduler
from tests.engine.worker_lab import Lab


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


@pytest.fixture
def lab(ends: Ends) -> Iterator[Lab]:
    path, directory = list(sys.path), Path.cwd()
    lab = Lab(ends)
    yield lab
    ends.link.on_lost = lambda: None  # `run` has set it to end this very process
    task_context.enter(None)
    sys.path[:] = path
    os.chdir(directory)
    this_process.actor, this_process.runs_loop = None, False
    os.close(lab.worker._log)
    for each in (lab, ends):  # pytest keeps them for a while, and their descriptors with them
        vars(each).clear()
