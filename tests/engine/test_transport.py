"""Sockets that only this user reaches, descriptors that travel, and sends that say when the peer is gone."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.engine import transport
from nbray.errors import StartFailed


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    os.chmod(tmp_path, 0o700)  # noqa: PTH101
    with contextlib.chdir(tmp_path), transport.listen(Path("s.sock")) as sock:
        yield sock


@pytest.fixture
def pair(listener: socket.socket) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The connecting end and the accepted one."""
    with transport.connect(Path("s.sock")) as connecting:
        accepted = transport.accept(listener)
        assert accepted is not None
        with accepted:
            yield connecting, accepted


def test_the_socket_is_the_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        with contextlib.chdir(tmp_path), transport.listen(Path("s.sock")):
            assert stat.S_IMODE(Path("s.sock").stat().st_mode) & 0o077 == 0
        assert os.umask(0) == 0, "the umask must be as it was"
    finally:
        os.umask(previous)


def test_a_long_path_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"longer than 100 bytes: set XDG_RUNTIME_DIR"):
        transport.listen(tmp_path / ("x" * 120) / "s.sock")


def test_accepting_ours_and_refusing_others(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    with transport.connect(Path("s.sock")) as connecting:
        monkeypatch.setattr(transport, "peer_uid", lambda connection: os.getuid() + 1)
        assert transport.accept(listener) is None
        assert connecting.recv(1) == b"" if connecting.getblocking() else transport.receive(connecting) == b""


def test_the_kernel_names_the_peer(pair: tuple[socket.socket, socket.socket]) -> None:
    assert transport.peer_uid(pair[0]) == transport.peer_uid(pair[1]) == os.getuid()


def test_connecting_to_nobody_raises_and_leaves_no_descriptor(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path), pytest.raises(FileNotFoundError):
        transport.connect(Path("none.sock"))


def test_descriptors_travel_with_the_first_bytes(pair: tuple[socket.socket, socket.socket]) -> None:
    read, write = os.pipe()
    transport.send_with_descriptors(pair[1], b"welcome", [read])
    os.close(read)
    data, (received,) = transport.receive_with_descriptors(pair[0], 1)
    try:
        os.write(write, b"through")
        assert data == b"welcome"
        assert os.read(received, 10) == b"through"
        assert not os.get_inheritable(received)
    finally:
        os.close(received)
        os.close(write)


def test_waiting_for_descriptors_ends(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        transport.receive_with_descriptors(pair[0], 0.001)


def test_receive_tells_nothing_yet_from_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    connecting, accepted = pair
    assert transport.receive(connecting) is None
    accepted.send(b"x")
    assert transport.receive(connecting) == b"x"
    connecting.send(b"unread")
    accepted.close()  # with bytes unread, which the other side meets as a reset
    assert transport.receive(connecting) == b""


def test_send_keeps_what_does_not_fit(pair: tuple[socket.socket, socket.socket]) -> None:
    connecting, accepted = pair
    content = os.urandom(1 << 20) * 20
    buffer = bytearray(content)
    assert transport.send(connecting, buffer)
    assert 0 < len(buffer) < len(content)
    received = bytearray()
    while len(received) < len(content):
        received += transport.receive(accepted) or b""
        assert transport.send(connecting, buffer)
    assert received == content


def test_send_tells_that_the_peer_is_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    connecting, accepted = pair
    accepted.close()
    assert not transport.send(connecting, bytearray(b"x"))


def test_wait_readable_works_above_the_limit_of_select() -> None:
    read, write = os.pipe()
    high = 1500
    os.dup2(read, high)
    try:
        assert not transport.wait_readable(high, 0)
        os.write(write, b"x")
        assert transport.wait_readable(high, 1)
    finally:
        for descriptor in (read, write, high):
            os.close(descriptor)
