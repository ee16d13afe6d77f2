"""Streams of the serial backend run from item to item."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import nbray
from tests.fakes import fresh_session


@pytest.fixture(autouse=True)
def serial() -> Iterator[None]:
    with fresh_session():
        nbray.init("serial")
        yield


@nbray.remote
def count(n: int) -> Iterator[int]:
    for number in range(n):
        print(f"makes {number}")
        yield number


def test_an_item_is_made_when_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    stream = count.remote(3)
    assert capsys.readouterr().out == ""
    assert nbray.get(next(stream)) == 0
    assert capsys.readouterr().out == "makes 0\n"
    nbray.wait([stream])
    assert capsys.readouterr().out == "makes 1\n"
    assert nbray.get(list(stream)) == [1, 2]


def test_it_runs_to_its_end_for_who_waits_for_that(capsys: pytest.CaptureFixture[str]) -> None:
    stream = count.remote(3)
    nbray.get(stream.completed())
    assert capsys.readouterr().out.count("makes") == 3
    assert nbray.get(list(stream)) == [0, 1, 2]


def test_a_stream_that_is_cancelled_ends_there() -> None:
    stream = count.remote(5)
    next(stream)
    assert nbray.cancel(stream).cancelled == 1
    *_, last = stream
    with pytest.raises(nbray.TaskCancelledError):
        nbray.get(last)


def test_what_cannot_be_iterated_is_told() -> None:
    stream = nbray.remote(num_returns="streaming")(lambda: 5).remote()
    with pytest.raises(TypeError, match="cannot be iterated"):
        nbray.get(next(stream))
