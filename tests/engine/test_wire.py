"""Any split of the bytes gives the same messages; any bytes give messages or ProtocolError, and nothing else."""

from __future__ import annotations

import contextlib
import itertools
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbray.engine import wire
from nbray.ids import ObjectId, TemplateId
from nbray.scheduler.messages import (
    MAX_FRAME,
    Failure,
    Finished,
    Held,
    Hello,
    Inline,
    Output,
    Put,
    Run,
    RunSpec,
    Stored,
    Submit,
    TaskResult,
    TaskSpec,
)

ids = st.integers(1, 2**63 - 1).map(ObjectId)
values = st.one_of(
    st.binary(max_size=200),
    st.builds(Inline, st.binary(max_size=50), st.lists(ids, max_size=3)),
    st.builds(Stored, st.integers(0, 2**40), st.integers(0, 2**40), st.lists(ids, max_size=3)),
    st.builds(Failure, st.sampled_from(["exception", "cancelled", "lost"]), st.text(max_size=50)),
)
specs = st.builds(TaskSpec, ids, st.integers(1, 2**40).map(TemplateId), st.binary(max_size=50), st.lists(ids, max_size=3))
messages = st.one_of(
    st.builds(Submit, st.lists(specs, max_size=5)),
    st.builds(Put, ids, values),
    st.builds(Held, st.lists(ids, max_size=10)),
    st.builds(Finished, st.lists(st.builds(TaskResult, ids, st.lists(values, max_size=2), st.integers(0, 10**9)), max_size=3)),
    st.builds(Output, ids, st.sampled_from(["stdout", "display_data"]), st.binary(max_size=300)),
)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(st.lists(messages, max_size=8), st.lists(st.integers(0, 3000), max_size=20))
def test_any_split_of_the_bytes_gives_the_same_messages(sent: list[Any], cuts: list[int]) -> None:
    stream = bytearray()
    for message in sent:
        wire.append_frame(stream, message)
    decoder = wire.scheduler_decoder()
    assert [message for piece in split(bytes(stream), cuts) for message in decoder.feed(piece)] == sent


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_garbage_gives_messages_or_a_protocol_error(pieces: list[bytes]) -> None:
    decoder = wire.scheduler_decoder()
    with contextlib.suppress(wire.ProtocolError):
        for piece in pieces:
            decoder.feed(piece)


@given(st.binary(min_size=1, max_size=100))
def test_a_framed_piece_of_garbage_is_a_message_or_a_protocol_error(body: bytes) -> None:
    decoder = wire.process_decoder()
    with contextlib.suppress(wire.ProtocolError):
        decoder.feed(struct.pack("<I", len(body)) + body)


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\xff\xff\xff\xff",  # announces an array of four thousand million entries
        b"\x92\x06\xdd\x7f\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x91" * 100_000,
        b"\x92\x13\xa4\xff\xfe\xfd\xfc",
        b"",
    ],
)
def test_hostile_bodies_are_protocol_errors(body: bytes) -> None:
    with pytest.raises(wire.ProtocolError):
        wire.scheduler_decoder().feed(struct.pack("<I", len(body)) + body)


def test_a_huge_announced_frame_is_refused_before_its_bytes_come() -> None:
    with pytest.raises(wire.ProtocolError, match=r"a frame announces 268,435,457 bytes: the most is 268,435,456"):
        wire.scheduler_decoder().feed(struct.pack("<I", MAX_FRAME + 1))


class TestStrangers:
    def test_only_hello_is_understood(self) -> None:
        hello = Hello("driver", 1, 1, "epoch")
        assert wire.stranger_decoder().feed(bytes(wire.frame(hello))) == [hello]
        with pytest.raises(wire.ProtocolError, match="is no message"):
            wire.stranger_decoder().feed(bytes(wire.frame(Held([ObjectId(1)]))))

    def test_large_frames_are_refused_before_they_come(self) -> None:
        with pytest.raises(wire.ProtocolError, match=r"announces 65,537 bytes: the most is 65,536"):
            wire.stranger_decoder().feed(struct.pack("<I", wire.MOST_OF_STRANGER + 1))


def test_an_incomplete_frame_waits() -> None:
    decoder = wire.scheduler_decoder()
    frame = bytes(wire.frame(Held([ObjectId(1)])))
    assert decoder.feed(frame[:3]) == []
    assert decoder.feed(frame[3:-1]) == []
    assert decoder.feed(frame[-1:] + frame[:1]) == [Held([ObjectId(1)])]


def test_messages_do_not_keep_the_received_buffer_alive() -> None:
    """The decoder deletes from its buffer, which would raise BufferError while a message looked into it."""
    decoder = wire.process_decoder()
    run = Run([RunSpec(ObjectId(1), TemplateId(1), 1, b"x" * 1000, [(ObjectId(2), b"y" * 1000)])])
    kept = decoder.feed(bytes(wire.frame(run)))
    assert decoder.feed(bytes(wire.frame(run))) == kept


def test_the_peers_direction_counts() -> None:
    with pytest.raises(wire.ProtocolError, match="is no message"):
        wire.process_decoder().feed(bytes(wire.frame(Hello("driver", 1, 1, "epoch"))))


class TestEncoding:
    def test_a_message_that_cannot_be_encoded_leaves_no_trace(self) -> None:
        buffer = bytearray(wire.frame(Held([ObjectId(1)])))
        before = bytes(buffer)
        with pytest.raises(UnicodeEncodeError):
            wire.append_frame(buffer, Output(ObjectId(1), "\ud800", b""))
        with pytest.raises(OverflowError):
            wire.append_frame(buffer, Held([ObjectId(2**64)]))
        assert bytes(buffer) == before

    def test_a_message_over_the_limit_is_refused_with_its_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wire, "MAX_FRAME", 1000)
        buffer = bytearray(b"before")
        with pytest.raises(wire.ProtocolError, match=r"a Output message of 1,0\d\d bytes: the most is 1,000"):
            wire.append_frame(buffer, Output(ObjectId(1), "stdout", b"x" * 1000))
        assert bytes(buffer) == b"before"
