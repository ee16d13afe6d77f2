"""The scheduler process among peers that misbehave: it drops them, and everybody else goes on."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.engine import transport, wire
from nbray.engine.driver import Driver
from nbray.engine.zygote import SOCKET_NAME
from nbray.ids import ObjectId
from nbray.scheduler.messages import PROTOCOL, Ask, Hello, Put, Released
from tests.engine.local_cluster import config, is_gone, processes, until

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver.start(config(), "job")
    processes(driver)
    yield driver
    driver.close(stop=True)


@pytest.fixture
def peer(driver: Driver) -> Iterator[socket.socket]:
    """A connection that has said nothing yet; afterwards the cluster must be as well as before."""
    with transport.connect(Path(driver.directory) / SOCKET_NAME) as sock:
        yield sock
    driver.connection.request(lambda number: Ask(number, "snapshot"))


def dropped(sock: socket.socket) -> bool:
    return transport.wait_readable(sock.fileno(), 5) and transport.receive(sock) == b""


def hello(driver: Driver, **changes: object) -> bytes:
    said = Hello("driver", os.getpid(), PROTOCOL, driver.welcome.epoch, "job")
    for name, value in changes.items():
        setattr(said, name, value)
    return bytes(wire.frame(said))


@pytest.mark.parametrize("data", [b"\xff" * 100, b"\x05\0\0\0hello", struct.pack("<I", 2**31), b"GET / HTTP/1.1\r\n\r\n"])
def test_who_sends_rubbish_is_dropped(peer: socket.socket, data: bytes) -> None:
    peer.sendall(data)
    assert dropped(peer)


def test_who_sends_rubbish_after_hello_is_dropped_too(driver: Driver, peer: socket.socket) -> None:
    peer.sendall(hello(driver) + b"\xff" * 100)
    _, descriptors = transport.receive_with_descriptors(peer, 5)
    for descriptor in descriptors:
        os.close(descriptor)
    assert dropped(peer)


def test_who_says_no_hello_is_not_heard(driver: Driver, peer: socket.socket) -> None:
    peer.sendall(wire.frame(Put(ObjectId(5), b"x")))
    assert not transport.wait_readable(peer.fileno(), 0.05)


@pytest.mark.parametrize("changes", [{"protocol": PROTOCOL + 1}, {"epoch": "another"}, {"role": "worker", "slot": 77}])
def test_who_does_not_belong_here_is_told_and_dropped(
    driver: Driver, peer: socket.socket, changes: dict[str, object]
) -> None:
    peer.sendall(hello(driver, **changes))
    assert transport.wait_readable(peer.fileno(), 5)
    assert transport.receive(peer)
    assert dropped(peer)


def test_references_to_nothing_do_no_harm(driver: Driver) -> None:
    driver.connection.post(Released([ObjectId(12345), ObjectId(-1)]), now=True)
    driver.connection.request(lambda number: Ask(number, "snapshot"))


def test_half_a_message_waits_for_its_other_half(driver: Driver, peer: socket.socket) -> None:
    said = hello(driver)
    peer.sendall(said[:7])
    driver.connection.request(lambda number: Ask(number, "snapshot"))
    peer.sendall(said[7:])
    data, descriptors = transport.receive_with_descriptors(peer, 5)
    for descriptor in descriptors:
        os.close(descriptor)
    assert data


def test_many_who_connect_and_go_leave_nothing(driver: Driver) -> None:
    _, (scheduler, *_) = processes(driver)
    before = scheduler.num_fds()
    for _ in range(200):
        transport.connect(Path(driver.directory) / SOCKET_NAME).close()
    assert until(lambda: scheduler.num_fds() <= before)


def test_when_the_zygote_is_killed_everything_goes() -> None:
    driver = Driver.start(config(), "other job")
    zygote, children = processes(driver)
    zygote.kill()
    assert until(lambda: all(is_gone(process.pid) for process in children), 2)
    assert until(lambda: driver.connection.lost, 1)
    driver.close(stop=False)
    assert not Path(driver.directory).exists()
