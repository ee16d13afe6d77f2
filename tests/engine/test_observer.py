"""Snapshots reach who watches, the newest first, and nobody waits for a watcher."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator

import msgspec
import pytest

from nbray.engine import observer, transport
from nbray.engine.observer import Publisher, Watcher
from nbray.snapshot import ClusterSnapshot, StoreSnapshot

SNAPSHOT = ClusterSnapshot(0, "epoch-1", {"CPU": 20_000}, {"CPU": 10_000}, StoreSnapshot(1000, 10, 1))


@pytest.fixture
def where(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path_factory.mktemp("o"))
    return observer.address(".")


@pytest.fixture
def publisher(where: str) -> Iterator[Publisher]:
    publisher = Publisher(where)
    yield publisher
    publisher.close()


def numbered(number: int) -> ClusterSnapshot:
    return msgspec.structs.replace(SNAPSHOT, sequence=number)


def publish_until_seen(publisher: Publisher, watcher: Watcher, seen: list[ClusterSnapshot]) -> int:
    """A subscription takes a moment to arrive, and what was published before is lost: that is the bargain."""
    number, deadline = 0, time.monotonic() + 5
    while not seen:
        assert time.monotonic() < deadline
        number += 1
        publisher.publish(numbered(number))
        transport.wait_readable(watcher.fileno(), 0.01)
        watcher.drain()
    return number


def test_a_watcher_sees_what_is_published(publisher: Publisher, where: str) -> None:
    seen: list[ClusterSnapshot] = []
    watcher = Watcher(where, seen.append)
    last = publish_until_seen(publisher, watcher, seen)
    assert seen == [numbered(last)]
    watcher.close()


def test_of_several_it_takes_the_newest(publisher: Publisher, where: str) -> None:
    seen: list[ClusterSnapshot] = []
    watcher = Watcher(where, seen.append)
    last = publish_until_seen(publisher, watcher, seen)
    seen.clear()
    for number in range(last + 1, last + 6):
        publisher.publish(numbered(number))
    deadline = time.monotonic() + 5
    while not seen or seen[-1].sequence < last + 5:
        assert time.monotonic() < deadline
        transport.wait_readable(watcher.fileno(), 0.1)
        watcher.drain()
    assert len(seen) < 5
    watcher.close()


def test_a_watcher_that_never_looks_slows_nobody(publisher: Publisher, where: str) -> None:
    watcher = Watcher(where, lambda snapshot: None)
    started = time.monotonic()
    for number in range(2000):
        publisher.publish(numbered(number))
    assert time.monotonic() - started < 2
    watcher.close()


def test_without_a_watcher_publishing_is_free(publisher: Publisher) -> None:
    publisher.publish(SNAPSHOT)


def test_a_watcher_of_a_cluster_that_is_gone_sees_nothing(where: str) -> None:
    watcher = Watcher(where, lambda snapshot: pytest.fail("there is nothing to see"))
    watcher.drain()
    watcher.close()


def test_the_descriptor_limit_is_lifted_and_some_are_spared() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        most = observer.raise_descriptor_limit()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == hard or soft == 65536
        assert most == soft - observer.SPARE_DESCRIPTORS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_system_that_refuses_keeps_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert observer.raise_descriptor_limit() == 256 - observer.SPARE_DESCRIPTORS
