"""The first words between a process and a pretended scheduler."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nbray.engine import transport, wire
from nbray.engine.handshake import join, say_hello
from nbray.errors import StartFailed
from nbray.ids import ProcessId, object_id
from nbray.scheduler.messages import Failure, Hello, Ready, Refused
from tests.engine.pretended_scheduler import WELCOME

THEIRS = object_id(ProcessId(9), 1)


class TestHello:
    def answer(self, *messages: msgspec.Struct, descriptors: int = 1) -> Any:
        ours, theirs = socket.socketpair()
        read, write = os.pipe()
        with ours, theirs:
            data = b"".join(bytes(wire.frame(message)) for message in messages)
            transport.send_with_descriptors(theirs, data or b"\0", [read] * descriptors)
            os.close(read)
            os.close(write)
            return say_hello(ours, Hello("driver", 1, 1, "epoch-1"), 5)

    def test_the_welcome_comes_with_the_arena_and_what_followed(self) -> None:
        welcome, early, _, (descriptor,) = self.answer(WELCOME, Ready([(THEIRS, b"")]))
        os.close(descriptor)
        assert welcome == WELCOME
        assert early == [Ready([(THEIRS, b"")])]

    def test_a_refusal_says_why_and_leaves_no_descriptor(self) -> None:
        with pytest.raises(StartFailed, match="another protocol"):
            self.answer(Refused(0, Failure("refused", "this cluster speaks another protocol")))

    def test_silence_and_absence_are_errors_of_the_system(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            with pytest.raises(TimeoutError):
                say_hello(ours, Hello("driver", 1, 1, "epoch-1"), 0.001)
            theirs.close()
            with pytest.raises(ConnectionError):
                say_hello(ours, Hello("driver", 1, 1, "epoch-1"), 1)


class Doors:
    """Closes the first connections and welcomes the next one."""

    def __init__(self, path: Path, closed: int) -> None:
        self.came = 0
        self._closed = closed
        self._listener = transport.listen(path)
        self._listener.setblocking(True)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for _ in range(self._closed):
            self._listener.accept()[0].close()
            self.came += 1
        connection, _ = self._listener.accept()
        self.came += 1
        with connection:
            read, write = os.pipe()
            connection.recv(65536)  # what is left unread would reset the connection at its end
            transport.send_with_descriptors(connection, bytes(wire.frame(WELCOME)), [read])
            os.close(read)
            os.close(write)

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


class TestJoin:
    HELLO = Hello("worker", 1, 1, "epoch-1", slot=0)

    def test_a_worker_that_is_not_let_in_asks_again(self, tmp_path: Path) -> None:
        read, write = os.pipe()
        doors = Doors(tmp_path / "s", closed=3)
        sock, (welcome, _, _, descriptors) = join(tmp_path / "s", self.HELLO, 20, read)
        doors.close()
        assert (welcome, doors.came, len(descriptors)) == (WELCOME, 4, 1)
        for descriptor in (*descriptors, read, write):
            os.close(descriptor)
        sock.close()

    def test_not_when_the_zygote_is_gone_or_the_time_is_over(self, tmp_path: Path) -> None:
        read, write = os.pipe()
        doors = Doors(tmp_path / "s", closed=2)
        with pytest.raises((ConnectionError, TimeoutError)):
            join(tmp_path / "s", self.HELLO, -1, read)
        os.close(write)
        with pytest.raises(ConnectionError):
            join(tmp_path / "s", self.HELLO, 20, read)
        assert doors.came == 2
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(tmp_path / "s"))
            last.sendall(b"hello")
            doors.close()
        os.close(read)

    def test_nobody_listens(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            join(tmp_path / "s", self.HELLO, 20, 0)
