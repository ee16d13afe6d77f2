"""The first words between a process and a pretended scheduler."""

from __future__ import annotations

import os
import socket
from typing import Any

import msgspec
import pytest

from nbray.engine import transport, wire
from nbray.engine.handshake import say_hello
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
            with pytest.raises((OSError, StartFailed)):
                say_hello(ours, Hello("driver", 1, 1, "epoch-1"), 1)
