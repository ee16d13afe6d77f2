"""What a worker had not sent is whole whenever it dies."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbray.engine.unsent import AREA_BYTES, Unsent
from nbray.engine.wire import ProtocolError
from nbray.ids import TaskId
from nbray.scheduler.messages import Failure, Stored, TaskResult, Value

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


# -------------------------------------------------------------------- results

value: st.SearchStrategy[Value] = st.binary(max_size=200) | st.just(Failure("exception", "it failed"))
values = st.lists(value, max_size=3)
results = st.lists(st.builds(TaskResult, st.integers(1, 2**60).map(TaskId), values, st.integers(0, 2**40)), max_size=20)


@given(results, results)
def test_results_that_were_added_and_not_cleared_are_there(first: list[TaskResult], second: list[TaskResult]) -> None:
    unsent = Unsent()
    area = unsent.results_of(3)
    assert all(area.add(each) for each in first)
    area.clear()
    assert all(area.add(each) for each in second)
    assert unsent.of(3).take() == []
    assert unsent.results_of(2).take() == []
    assert unsent.results_of(3).take() == second
    assert unsent.results_of(3).take() == []


def test_a_full_area_takes_no_more_and_keeps_what_it_has() -> None:
    area = Unsent().results_of(0)
    large = TaskResult(TaskId(1), [bytes(30_000)], 5)
    assert [area.add(large) for _ in range(3)] == [True, True, False]
    assert area.take() == [large, large]


def test_a_value_in_the_arena_is_not_for_here() -> None:
    area = Unsent().results_of(0)
    assert not area.add(TaskResult(TaskId(1), [b"x", Stored(4096, 100_000)], 5))
    assert area.take() == []


@pytest.mark.parametrize(
    "rubbish", [b"\xff" * 40, b"\x05" + bytes(7) + b"\x01\0\0\0\xc1", b"\x08" + bytes(7) + b"\xff" * 8]
)
def test_what_user_code_has_written_there_is_no_result(rubbish: bytes) -> None:
    area = Unsent().results_of(0)
    area._area[: len(rubbish)] = rubbish
    with pytest.raises(ProtocolError):
        area.take()
    assert area.take() == []
