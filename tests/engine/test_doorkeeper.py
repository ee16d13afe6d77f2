"""Who is let in, who is refused, and that whoever floods the door takes the place of strangers only."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.engine import doorkeeper, transport
from nbray.engine.doorkeeper import (
    ANOTHER_USER,
    CROWDED_OUT,
    GARBLED,
    HELLO_SECONDS,
    MOST_LINES,
    MOST_STRANGERS,
    NO_ROOM,
    REST_SECONDS,
    SILENT,
    Doorkeeper,
)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with contextlib.chdir(tmp_path), transport.listen(Path("s.sock")) as sock:
        yield sock


@pytest.fixture
def door(listener: socket.socket) -> Doorkeeper[str]:
    return Doorkeeper(listener)


@contextlib.contextmanager
def limit(descriptors: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def lowest() -> int:
    """The next descriptor that would be given."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


class TestAccepting:
    def test_ours_come_in_and_nobody_is_nobody(self, door: Doorkeeper[str]) -> None:
        assert door.accept(0.0) is None
        with transport.connect(Path("s.sock")):
            accepted = door.accept(0.0)
            assert accepted is not None
            accepted.close()
        assert not door.refused

    def test_another_user_is_refused_and_counted(self, door: Doorkeeper[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "peer_uid", lambda connection: os.getuid() + 1)
        with transport.connect(Path("s.sock")):
            assert door.accept(0.0) is None
        assert door.refused == {ANOTHER_USER: 1}

    def test_without_descriptors_it_rests_and_who_came_is_let_in_later(self, door: Doorkeeper[str]) -> None:
        with transport.connect(Path("s.sock")):
            with limit(lowest()):
                assert door.accept(5.0) is None
            assert door.resting
            assert not door.wake(5.0 + REST_SECONDS / 2)
            assert door.wake(5.0 + REST_SECONDS)
            assert not door.resting
            assert not door.wake(9.0)
            accepted = door.accept(9.0)
            assert accepted is not None
            accepted.close()
        assert not door.refused

    def test_an_error_that_no_rest_helps_is_raised(self, door: Doorkeeper[str], monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(sock: socket.socket) -> None:
            raise OSError(errno.EBADF, "bad")

        monkeypatch.setattr(transport, "accept", fail)
        with pytest.raises(OSError, match="bad"):
            door.accept(0.0)

    def test_the_last_descriptors_are_not_for_connections(self, door: Doorkeeper[str]) -> None:
        with transport.connect(Path("s.sock")) as connecting:
            with limit(4 * lowest() // 3):
                assert door.accept(0.0) is None
            assert transport.receive(connecting) == b""
        assert door.refused == {NO_ROOM: 1}


class TestStrangers:
    def test_they_have_a_deadline(self, door: Doorkeeper[str]) -> None:
        for number, name in enumerate(("first", "second", "third")):
            assert door.let_in(name, 10, float(number)) is None
        assert door.forget("second")
        assert door.overdue(HELLO_SECONDS - 0.1) == []
        assert door.overdue(HELLO_SECONDS + 1.0) == ["first"]
        assert door.overdue(HELLO_SECONDS + 5.0) == ["third"]
        assert door.refused == {SILENT: 2}

    def test_who_has_said_hello_is_no_stranger_any_more(self, door: Doorkeeper[str]) -> None:
        door.let_in("one", 10, 0.0)
        assert door.forget("one")
        assert not door.forget("one")

    def test_of_too_many_the_oldest_goes(self, door: Doorkeeper[str]) -> None:
        out = [door.let_in(str(number), 10, 0.0) for number in range(MOST_STRANGERS + 3)]
        assert out == [None] * MOST_STRANGERS + ["0", "1", "2"]
        assert door.refused == {CROWDED_OUT: 3}

    def test_where_descriptors_run_out_the_oldest_goes_too(self, door: Doorkeeper[str]) -> None:
        assert door.let_in("first", 10, 0.0) is None
        assert door.let_in("second", doorkeeper.most_connections(), 0.0) == "first"


def test_the_log_says_the_first_of_each_kind(door: Doorkeeper[str], capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(MOST_LINES + 5):
        door.refuse(GARBLED, "why")
    said = capsys.readouterr().err
    assert said.count("a connection refused with what is no message: why\n") == MOST_LINES
    assert door.refused[GARBLED] == MOST_LINES + 5


def test_the_descriptor_limit_is_lifted() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        most = doorkeeper.raise_descriptor_limit()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == most
        assert soft == hard or soft == 65536
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_system_that_refuses_keeps_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert doorkeeper.raise_descriptor_limit() == 256


def test_a_small_limit_leaves_a_quarter_for_others() -> None:
    with limit(max(400, lowest() + 10)):
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert doorkeeper.most_connections() == soft - min(128, soft // 4)
