"""What is for a peer that does not read waits within bounds, in order, and comes when it reads again."""

from __future__ import annotations

import selectors
import socket
import tracemalloc
from collections.abc import Iterator

import pytest

from nbray.engine import wire
from nbray.engine.links import MOST_DISPLAYED, MOST_OUTPUT, MOST_UNREAD, REFILL, Link
from nbray.ids import CellRunId, ObjectId, TaskId
from nbray.scheduler.messages import Answer, Emitted, FromScheduler, Inline, Ready

RUN = CellRunId("run")
PIECE = 64 * 1024


class Peer:
    """The other end."""

    def __init__(self) -> None:
        ours, self.socket = socket.socketpair()
        ours.setblocking(False)
        self.socket.setblocking(False)
        self.link = Link(ours)
        self._decoder = wire.process_decoder()

    def post(self, *messages: FromScheduler) -> None:
        for message in messages:
            self.link.post(message)
        self.link.send()

    def read(self) -> list[FromScheduler]:
        """All there is, as the loop would send it."""
        heard: list[FromScheduler] = []
        while self.link.wanted & selectors.EVENT_WRITE or not heard:
            self.link.send()
            data = self.socket.recv(1 << 20)
            heard += self._decoder.feed(data)
        return heard

    def close(self) -> None:
        self.link.socket.close()
        self.socket.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()
    vars(peer).clear()


def text(number: int, stream: str = "stdout", run: CellRunId = RUN, size: int = PIECE) -> Emitted:
    return Emitted(TaskId(number), run, "f", "worker 0", stream, b"%06d" % number + b"x" * (size - 6))


def fill(peer: Peer) -> int:
    """Post answers until messages wait; returns how many."""
    count = 0
    while peer.link.wanted & selectors.EVENT_READ:
        peer.post(Answer(count, b"a" * PIECE))
        count += 1
    return count


def test_who_reads_gets_it_at_once(peer: Peer) -> None:
    peer.post(Answer(1, b"one"), Answer(2, b"two"))
    assert peer.link.wanted == selectors.EVENT_READ
    assert peer.read() == [Answer(1, b"one"), Answer(2, b"two")]


def test_who_does_not_read_is_not_heard_until_it_has(peer: Peer) -> None:
    count = fill(peer)
    assert MOST_UNREAD < count * PIECE < 2 * MOST_UNREAD
    assert peer.link.wanted == selectors.EVENT_WRITE
    heard = peer.read()
    assert [message.request_id for message in heard if isinstance(message, Answer)] == list(range(count))
    assert peer.link.wanted == selectors.EVENT_READ


def test_values_that_wait_take_no_memory_of_their_own(peer: Peer) -> None:
    fill(peer)
    value = Inline(b"v" * PIECE, [])
    tracemalloc.start()
    peer.post(*(Ready([(ObjectId(number), value)]) for number in range(1000)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20
    assert sum(isinstance(message, Ready) for message in peer.read()) == 1000


def test_of_text_so_much_waits_and_the_rest_is_counted_in_its_place(peer: Peer) -> None:
    first = fill(peer)
    pieces = MOST_OUTPUT // PIECE
    peer.post(*(text(number) for number in range(pieces + 101)), Answer(7, b"behind"))
    heard = peer.read()[first:]
    assert [message for message in heard if message == Answer(7, b"behind")] == heard[-1:]
    shown = [message for message in heard[:-1] if isinstance(message, Emitted)]
    assert [int(message.data[:6]) for message in shown[:-1]] == list(range(pieces + 1))
    assert shown[-1].cell_run == RUN
    assert shown[-1].stream == "stderr"
    assert shown[-1].data == f"\n[nbray] {100 * PIECE:,} bytes of output are not shown: nobody read them in time\n".encode()


def test_each_cell_is_told_of_its_own(peer: Peer) -> None:
    fill(peer)
    other = CellRunId("other")
    peer.post(*(text(number) for number in range(MOST_OUTPUT // PIECE + 2)), text(0, run=other), text(1, run=other))
    told = [message for message in peer.read() if isinstance(message, Emitted) and b"not shown" in message.data]
    assert [message.cell_run for message in told] == [RUN, other]
    assert [int(message.data.split()[1].replace(b",", b"")) for message in told] == [PIECE, 2 * PIECE]
    peer.post(text(5))
    assert peer.read() == [text(5)], "all is as before"


def test_displays_may_take_more_than_text_but_are_bounded_too(peer: Peer) -> None:
    fill(peer)
    count = MOST_DISPLAYED // PIECE
    peer.post(*(text(number, "display_data") for number in range(count + 11)))
    *shown, told = [message for message in peer.read() if isinstance(message, Emitted)]
    assert len(shown) == count + 1
    assert f"{10 * PIECE:,} bytes".encode() in told.data


def test_who_is_gone_is_heard_to_the_end(peer: Peer) -> None:
    fill(peer)
    peer.socket.close()
    peer.link.send()
    assert peer.link.wanted == selectors.EVENT_READ
    assert not peer.link.out


def test_a_turn_makes_no_more_bytes_than_a_few_milliseconds_take(peer: Peer) -> None:
    fill(peer)
    peer.post(*(Answer(1000 + number, b"b" * PIECE) for number in range(500)))
    peer.link.out.clear()
    peer.link.send()
    assert REFILL <= len(peer.link.out) <= REFILL + 2 * PIECE
