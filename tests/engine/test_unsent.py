"""What a worker had not sent is whole whenever it dies."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbray.engine.unsent import AREA_BYTES, Unsent
from nbray.ids import TaskId

Piece = tuple[TaskId, str, bytes]
streams = st.sampled_from(["stdout", "stderr"])
pieces = st.lists(st.tuples(st.integers(1, 2**60).map(TaskId), streams, st.binary(max_size=200)))


@given(pieces, pieces)
def test_what_was_added_and_not_dropped_is_there(first: list[Piece], second: list[Piece]) -> None:
    area = Unsent().of(3)
    for piece in first:
        assert area.add(*piece)
    sent = area.length
    for piece in second:
        assert area.add(*piece)
    area.drop(sent)
    assert area.take() == second
    assert area.take() == []


def test_areas_do_not_touch_each_other() -> None:
    unsent = Unsent()
    unsent.of(1).add(TaskId(1), "stdout", b"one")
    assert unsent.of(0).take() == unsent.of(2).take() == []
    assert unsent.of(1).take() == [(1, "stdout", b"one")]


def test_what_does_not_fit_is_refused_whole() -> None:
    area = Unsent().of(0)
    assert area.add(TaskId(1), "stdout", b"fits")
    assert not area.add(TaskId(1), "stdout", b"x" * AREA_BYTES)
    assert area.take() == [(1, "stdout", b"fits")]


@pytest.mark.parametrize("rubbish", [b"\xff" * AREA_BYTES, b"\x20" + b"\0" * 7 + b"\xff" * 100])
def test_rubbish_ends_the_reading(rubbish: bytes) -> None:
    area = Unsent().of(0)
    area._area[: len(rubbish)] = rubbish
    assert sum(len(data) for _, _, data in area.take()) <= AREA_BYTES


@pytest.mark.local
def test_it_outlives_who_wrote_it() -> None:
    unsent = Unsent()
    pid = os.fork()
    if not pid:
        unsent.of(0).add(TaskId(5), "stderr", b"last words")
        os._exit(0)
    os.waitpid(pid, 0)
    assert unsent.of(0).take() == [(5, "stderr", b"last words")]
