"""Who receives: the I/O thread or whoever waits, one of them at a time, until the connection is over."""

from __future__ import annotations

import os
import time

import pytest

from nbray.errors import ClusterDied
from nbray.scheduler.messages import Goodbye, Ready
from tests.engine.pretended_scheduler import Ends


class TestReceiving:
    def test_two_threads_wait_at_once(self, ends: Ends) -> None:
        """One of them receives for both, and neither waits for the other's end."""
        one, two = ends.submit(2)
        waits = ends.meanwhile(lambda: ends.link.wait([one], 1, None))
        others = ends.meanwhile(lambda: ends.link.wait([two], 1, None))
        with waits as first, others as second:
            ends.scheduler.say(Ready([(two, b"2")]))
            assert second.get(timeout=5) is True
            assert first.empty()
            ends.scheduler.say(Ready([(one, b"1")]))
            assert first.get(timeout=5) is True

    def test_closing_from_another_thread_ends_a_wait(self, ends: Ends) -> None:
        (mine,) = ends.submit()
        with ends.meanwhile(lambda: ends.link.wait([mine], 1, None)) as outcome:
            ends.scheduler.hear()
            time.sleep(0.01)
            ends.link.close(Goodbye(stop=True))
            assert isinstance(outcome.get(timeout=1), ClusterDied)
        assert ends.scheduler.hear() == Goodbye(stop=True)
        with pytest.raises(EOFError):
            ends.scheduler.hear()

    def test_bytes_that_are_no_message_end_the_connection(self, ends: Ends) -> None:
        (mine,) = ends.submit()
        with ends.meanwhile(lambda: ends.link.wait([mine], 1, None)) as outcome:
            ends.scheduler.socket.sendall(b"\x05\0\0\0rubbish")
            assert "what is no message" in str(outcome.get(timeout=5))

    def test_its_descriptor_is_closed(self, ends: Ends) -> None:
        descriptor = ends.link._socket.fileno()
        ends.link.close()
        ends.link.io.stop()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
