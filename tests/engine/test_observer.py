"""Snapshots reach who watches, the newest first, and nobody waits for a watcher."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from nbray.engine import observer, transport, wire
from nbray.engine.doorkeeper import ANOTHER_USER, NO_ROOM
from nbray.engine.observer import Publisher, Watcher
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot, StoreSnapshot

SNAPSHOT = ClusterSnapshot(0, "epoch-1", {"CPU": 20_000}, {"CPU": 10_000}, StoreSnapshot(1000, 10, 1))
LARGE = msgspec.structs.replace(SNAPSHOT, cell_runs=[CellRunSnapshot("run", "x" * 1000, "job")] * 1000)  # type: ignore[arg-type]


@pytest.fixture
def where(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path_factory.mktemp("o"))
    return observer.address(".")


@pytest.fixture
def refused() -> Counter[str]:
    return Counter()


@pytest.fixture
def publisher(where: Path, refused: Counter[str]) -> Iterator[Publisher]:
    publisher = Publisher(where, lambda why: refused.update([why]))
    yield publisher
    publisher.close()


def numbered(number: int, snapshot: ClusterSnapshot = SNAPSHOT) -> ClusterSnapshot:
    return msgspec.structs.replace(snapshot, sequence=number)


def test_a_watcher_sees_what_is_published(publisher: Publisher, where: Path) -> None:
    seen: list[ClusterSnapshot] = []
    watcher = Watcher(where, seen.append)
    for number in (1, 2):
        publisher.publish(numbered(number))
        assert watcher.drain()
    assert seen == [numbered(1), numbered(2)]
    watcher.close()


def test_of_several_it_takes_the_newest(publisher: Publisher, where: Path) -> None:
    seen: list[ClusterSnapshot] = []
    watcher = Watcher(where, seen.append)
    for number in range(1, 6):
        publisher.publish(numbered(number))
    watcher.drain()
    assert seen == [numbered(5)]
    watcher.close()


def test_for_a_watcher_that_never_looks_one_snapshot_waits(publisher: Publisher, where: Path) -> None:
    seen: list[ClusterSnapshot] = []
    watcher = Watcher(where, seen.append)
    for number in range(1, 101):
        publisher.publish(numbered(number, LARGE))
    (waiting,) = publisher._watchers.values()
    assert 0 < len(waiting) <= len(wire.frame(LARGE)) + 100
    for number in range(101, 111):
        watcher.drain()
        publisher.publish(numbered(number, LARGE))
    watcher.drain()
    assert seen[-1] == numbered(110, LARGE)
    assert 1 < seen[0].sequence < 100, "the newest of those that had room"
    watcher.close()


def test_without_a_watcher_nothing_is_encoded(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "frame", lambda message: pytest.fail("nobody watches"))
    publisher.publish(SNAPSHOT)


def test_a_watcher_that_goes_is_forgotten(publisher: Publisher, where: Path) -> None:
    watcher = Watcher(where, lambda snapshot: None)
    publisher.publish(SNAPSHOT)
    watcher.close()
    publisher.publish(SNAPSHOT)
    assert publisher._watchers == {}


def test_a_watcher_that_says_something_is_sent_away(publisher: Publisher, where: Path) -> None:
    with transport.connect(where) as talker:
        publisher.publish(SNAPSHOT)
        talker.sendall(b"GET / HTTP/1.1\r\n\r\n")
        publisher.publish(SNAPSHOT)
        assert publisher._watchers == {}


def test_there_are_not_too_many(publisher: Publisher, where: Path, refused: Counter[str]) -> None:
    connections = [transport.connect(where) for _ in range(observer.MOST_WATCHERS + 10)]
    publisher.publish(SNAPSHOT)
    assert refused == {NO_ROOM: 10}
    assert len(publisher._watchers) == observer.MOST_WATCHERS
    for connection in connections:
        connection.close()


def test_another_user_is_refused(
    publisher: Publisher, where: Path, refused: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with transport.connect(where):
        monkeypatch.setattr(transport, "peer_uid", lambda connection: os.getuid() + 1)
        publisher.publish(SNAPSHOT)
    assert refused == {ANOTHER_USER: 1}


def test_a_publisher_that_has_ended_is_told_of(publisher: Publisher, where: Path) -> None:
    watcher = Watcher(where, lambda snapshot: pytest.fail("there is nothing to see"))
    publisher._accept()
    assert watcher.drain()
    publisher.close()
    assert not watcher.drain()
    watcher.close()


def test_there_is_no_watching_what_is_gone(where: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Watcher(where, lambda snapshot: None)


def test_what_another_release_publishes_is_not_looked_at(where: Path) -> None:
    with transport.listen(where) as listener:
        watcher = Watcher(where, lambda snapshot: pytest.fail("it cannot be understood"))
        accepted, _ = listener.accept()
        with accepted:
            accepted.sendall(b"\x01\0\0\0\xc0")
            assert not watcher.drain()
        watcher.close()


def _descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_the_socket_is_not_left_open_where_nobody_listens(where: Path) -> None:
    before = _descriptors()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(where))
        with pytest.raises(ConnectionRefusedError):
            Watcher(where, lambda snapshot: None)
    after = _descriptors()
    assert before == after
