"""The scheduler process among peers that misbehave: it drops them, and everybody else goes on."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from nbray.engine import transport, wire
from nbray.engine.doorkeeper import ANOTHER_CLUSTER, CROWDED_OUT, GARBLED, MOST_STRANGERS, NO_ROOM, UNEXPECTED
from nbray.engine.driver import Driver
from nbray.engine.observer import MOST_WATCHERS
from nbray.engine.zygote import SOCKET_NAME
from nbray.ids import ObjectId
from nbray.scheduler.messages import PROTOCOL, Allocate, Answer, Ask, Hello, Put, Released
from nbray.snapshot import ClusterSnapshot
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


def welcome(sock: socket.socket) -> None:
    data, descriptors = transport.receive_with_descriptors(sock, 5)
    for descriptor in descriptors:
        os.close(descriptor)
    assert data
    assert descriptors


def hello(driver: Driver, **changes: object) -> bytes:
    said = Hello("driver", os.getpid(), PROTOCOL, driver.welcome.epoch, "job")
    for name, value in changes.items():
        setattr(said, name, value)
    return bytes(wire.frame(said))


def refused(driver: Driver) -> dict[str, int]:
    """How many connections were, so far, by why."""
    answer = driver.connection.request(lambda number: Ask(number, "snapshot"))
    assert isinstance(answer, Answer)
    return msgspec.msgpack.decode(answer.body, type=ClusterSnapshot).refused


@pytest.fixture
def counted(driver: Driver) -> Iterator[Counter[str]]:
    """What a test expects to be counted more."""
    before, expected = Counter(refused(driver)), Counter[str]()
    yield expected
    assert Counter(refused(driver)) - before == expected


RUBBISH = (
    b"\xff" * 100,
    b"\x05\0\0\0hello",
    struct.pack("<I", 2**31),
    struct.pack("<I", wire.MOST_OF_STRANGER + 1),  # who has not said Hello may announce no more
    b"GET / HTTP/1.1\r\n\r\n",
    bytes(wire.frame(Ask(1, "snapshot"))),
    bytes(wire.frame(Put(ObjectId(5), b"x"))),
)


@pytest.mark.parametrize("data", RUBBISH)
def test_who_sends_rubbish_is_dropped_and_counted(peer: socket.socket, counted: Counter[str], data: bytes) -> None:
    peer.sendall(data)
    assert dropped(peer)
    counted[GARBLED] = 1


@pytest.mark.parametrize(
    "message",
    [
        b"\xff" * 100,
        bytes(wire.frame(Hello("driver", 1, PROTOCOL, "epoch"))),
        bytes(wire.frame(Allocate(1, -4096))),
        bytes(wire.frame(Ask(1, "take_over", 77, "run"))),
    ],
    ids=["garbage", "hello again", "out of bounds", "contradiction"],
)
def test_who_talks_nonsense_after_hello_is_dropped_too(
    driver: Driver, peer: socket.socket, counted: Counter[str], message: bytes
) -> None:
    peer.sendall(hello(driver, linger=1000.0))
    welcome(peer)
    peer.sendall(message)
    assert dropped(peer)
    counted[GARBLED] = 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"protocol": PROTOCOL + 1}, ANOTHER_CLUSTER),
        ({"epoch": "another"}, ANOTHER_CLUSTER),
        ({"role": "worker", "slot": 77}, UNEXPECTED),
    ],
)
def test_who_does_not_belong_here_is_told_dropped_and_counted(
    driver: Driver, peer: socket.socket, counted: Counter[str], changes: dict[str, object], why: str
) -> None:
    counted[why] = 1
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
    welcome(peer)


def test_many_who_connect_and_go_leave_nothing(driver: Driver) -> None:
    _, (scheduler, *_) = processes(driver)
    before = scheduler.num_fds()
    for _ in range(200):
        transport.connect(Path(driver.directory) / SOCKET_NAME).close()
    assert until(lambda: scheduler.num_fds() <= before)


def test_two_thousand_connections_that_say_nothing_crowd_out_each_other(driver: Driver, counted: Counter[str]) -> None:
    _, (scheduler, *_) = processes(driver)
    before = scheduler.num_fds()
    held = []
    with descriptors(3000):
        for number in range(2000):
            held.append(transport.connect(Path(driver.directory) / SOCKET_NAME))
            if number % 2:
                held[-1].sendall(hello(driver)[:9])
            if number == 1000:
                refused(driver)  # who has said Hello is heard meanwhile
        assert until(lambda: sum(refused(driver).values()) >= 2000 - MOST_STRANGERS)
        assert scheduler.num_fds() <= before + MOST_STRANGERS
        with transport.connect(Path(driver.directory) / SOCKET_NAME) as peer:
            peer.sendall(hello(driver))
            welcome(peer)
        for sock in held:
            sock.close()
    assert until(lambda: scheduler.num_fds() <= before)
    counted[CROWDED_OUT] = 2000 + 1 - MOST_STRANGERS


def test_a_scheduler_without_descriptors_lives_and_goes_on_when_there_are_some() -> None:
    driver = Driver.start(config(), "third job")
    try:
        _, (scheduler, *_) = processes(driver)
        driver.connection.request(lambda number: Ask(number, "snapshot"))
        _, hard = psutil.Process(scheduler.pid).rlimit(psutil.RLIMIT_NOFILE)
        scheduler.rlimit(psutil.RLIMIT_NOFILE, (3, hard))
        with transport.connect(Path(driver.directory) / SOCKET_NAME) as peer, observing(driver) as watcher:
            peer.sendall(hello(driver))
            for _ in range(20):
                driver.connection.request(lambda number: Ask(number, "snapshot"))
            assert not transport.wait_readable(peer.fileno(), 0.3)
            scheduler.rlimit(psutil.RLIMIT_NOFILE, (hard, hard))
            welcome(peer)
            assert transport.wait_readable(watcher.fileno(), 5)
    finally:
        driver.close(stop=True)


def test_two_thousand_raw_connections_to_the_observer_plane_do_no_harm(driver: Driver, counted: Counter[str]) -> None:
    _, (scheduler, *_) = processes(driver)
    before, held = scheduler.num_fds(), []
    with descriptors(3000):
        for _ in range(2000):
            held.append(observing(driver))
        assert until(lambda: refused(driver).get(NO_ROOM, 0) == 2000 - MOST_WATCHERS, 20)
        for sock in held:
            sock.close()
    assert until(lambda: scheduler.num_fds() <= before)
    counted[NO_ROOM] = 2000 - MOST_WATCHERS


def observing(driver: Driver) -> socket.socket:
    return transport.connect(Path(driver.welcome.observer))


@contextlib.contextmanager
def descriptors(count: int) -> Iterator[None]:
    """This process may have so many."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, before[1]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_when_the_zygote_is_killed_everything_goes() -> None:
    driver = Driver.start(config(), "other job")
    zygote, children = processes(driver)
    zygote.kill()
    assert until(lambda: all(is_gone(process.pid) for process in children), 2)
    assert until(lambda: driver.connection.lost, 1)
    driver.close(stop=False)
    assert not Path(driver.directory).exists()


def test_who_asks_and_does_not_listen_holds_up_nobody(driver: Driver, peer: socket.socket) -> None:
    """A question that nobody knows comes back in its answer."""
    scheduler = processes(driver)[1][0]
    peer.sendall(hello(driver, role="watcher"))
    _, descriptors = transport.receive_with_descriptors(peer, 5)
    for descriptor in descriptors:
        os.close(descriptor)
    before = scheduler.memory_info().rss
    peer.settimeout(0.2)
    asked = 0
    with contextlib.suppress(TimeoutError):  # it is not heard any more
        while asked < 20_000:
            peer.sendall(wire.frame(Ask(asked, "why" * 10_000)))
            asked += 1
            driver.connection.request(lambda number: Ask(number, "cell_runs"))
    assert asked < 2000, "it was heard on and on"
    assert scheduler.memory_info().rss - before < 40 << 20
    peer.settimeout(5)
    decoder, heard = wire.process_decoder(), 0
    while heard < asked:
        heard += len(decoder.feed(peer.recv(1 << 20)))
