"""A crowd at both sockets of a cluster: whatever it sends, tasks go on, everybody is refused, and `%nbray` says how many."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbray
from nbray import session
from nbray.engine import run_directory, transport, wire
from nbray.engine.doorkeeper import ANOTHER_CLUSTER, ANOTHER_USER, CROWDED_OUT, GARBLED, NO_ROOM, SILENT
from nbray.engine.zygote import SOCKET_NAME
from nbray.notebook.status import Status
from nbray.scheduler.messages import PROTOCOL, Hello, Put
from nbray.snapshot import ClusterSnapshot
from tests.engine.local_cluster import until

pytestmark = pytest.mark.local

CROWD = 1200
HELD = 400
"""So many of its connections stay open."""
SOMEBODY = 54_321


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """The run directory of a cluster."""
    nbray.init(num_cpus=2)
    yield run_directory.parent() / f"{run_directory.PREFIX}{snapshot().epoch}"
    nbray.shutdown()


def snapshot() -> ClusterSnapshot:
    return session.current_backend().snapshot()


def said(kind: str, draw: random.Random) -> bytes:
    """What a hostile connection sends."""
    match kind:
        case "silent":
            return b""
        case "half-open":
            return bytes(wire.frame(Hello("driver", 1, PROTOCOL, "epoch")))[: draw.randint(1, 9)]
        case "garbled":
            return struct.pack("<I", 50) + draw.randbytes(50)
        case "oversized":
            return struct.pack("<I", draw.randint(wire.MOST_OF_STRANGER + 1, 2**32 - 1)) + draw.randbytes(100)
        case "old epoch":
            return bytes(wire.frame(Hello("driver", os.getpid(), PROTOCOL, "an epoch of yesterday", "job")))
        case _:
            return bytes(wire.frame(Put(5, b"x" * 1000)))  # type: ignore[arg-type]


KINDS = ("silent", "half-open", "garbled", "oversized", "old epoch", "no hello")


def crowd(place: Path, held: list[socket.socket]) -> None:
    """Connects again and again."""
    draw = random.Random(7)
    for number in range(CROWD):
        observes = number % 5 == 4
        sock = transport.connect(place / ("observer.sock" if observes else SOCKET_NAME))
        with contextlib.suppress(BrokenPipeError):
            sock.sendall(said(KINDS[number % len(KINDS)], draw))
        held.append(sock)
        if len(held) > HELD:
            held.pop(draw.randrange(HELD)).close()


def test_tasks_go_on_and_the_crowd_is_counted(place: Path) -> None:
    before = sum(snapshot().refused.values())
    held: list[socket.socket] = []
    attackers = threading.Thread(target=crowd, args=(place, held))
    attackers.start()
    try:
        square = nbray.remote(lambda x: x * x)
        while attackers.is_alive():
            assert nbray.get([square.remote(n) for n in range(100)]) == [n * n for n in range(100)]
        attackers.join()
        assert nbray.get(square.remote(9)) == 81
        of_old = CROWD // len(KINDS) - CROWD // (5 * len(KINDS))
        assert until(lambda: snapshot().refused.get(ANOTHER_CLUSTER) == of_old, 30)  # the last ones wait to be accepted
        picture = snapshot()
        refused = picture.refused
        assert {GARBLED, CROWDED_OUT} <= set(refused)
        assert set(refused) <= {GARBLED, ANOTHER_CLUSTER, CROWDED_OUT, SILENT, NO_ROOM}
        assert sum(refused.values()) > before + CROWD // 3
        line = repr(Status("local", picture))
        assert f"{refused[GARBLED]:,} connections refused {GARBLED}".replace(",", "") in line.replace(",", "")
    finally:
        attackers.join()
        for sock in held:
            sock.close()


OTHER = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
for path in sys.argv[2:]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.settimeout(20)
        try:
            print(sock.recv(1))
        except ConnectionResetError:
            print(b"")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_who_gets_to_the_sockets_is_refused_and_counted(place: Path) -> None:
    """The directory keeps him out; should somebody open it, the kernel names the peer."""
    paths = [place / SOCKET_NAME, place / "observer.sock"]
    before = snapshot().refused.get(ANOTHER_USER, 0)
    places = [place.parent.parent, place.parent, place, *paths]
    modes = {path: path.stat().st_mode for path in places}
    for path in places:
        path.chmod(0o777)
    try:
        program = [sys.executable, "-c", OTHER, str(SOMEBODY), *map(str, paths)]
        done = subprocess.run(program, capture_output=True, text=True, check=False, cwd="/")
    finally:
        for path in places:
            path.chmod(modes[path])
    assert (done.stdout, done.stderr) == ("b''\nb''\n", "")
    assert snapshot().refused[ANOTHER_USER] == before + 2
    assert f"2 connections refused {ANOTHER_USER}" in repr(Status("local", snapshot()))
