"""Chunks: what runs in the worker, and how iterables are cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from nbray.chunks import Source, run_chunk, run_item, take_out_refs
from nbray.exceptions_shipping import load_exception
from nbray.ids import ObjectId
from nbray.objects import ObjectRef


def invert(x: int) -> float:
    return 1 / x


def test_a_chunk_goes_on_after_each_failure() -> None:
    seconds, results, failures = run_chunk(invert, [[1, 0, 2, 0]], [])
    assert results == [1.0, None, 0.5, None]
    assert [row for row, _ in failures] == [1, 3]
    assert isinstance(load_exception(*failures[0][1]), ZeroDivisionError)
    assert seconds >= 0


def test_stop_iteration_does_not_shorten_the_results() -> None:
    def stop(x: int) -> int:
        if x == 1:
            raise StopIteration
        return x

    _, results, failures = run_chunk(stop, [[0, 1, 2]], [])
    assert results == [0, None, 2]
    assert "raised StopIteration" in str(load_exception(*failures[0][1]))


def test_an_interrupt_ends_a_chunk() -> None:
    def interrupted(x: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_chunk(interrupted, [[1, 2]], [])


def test_a_single_item_raises_its_own_error() -> None:
    assert run_item(divmod, [[7], [2]], [])[1] == [(3, 1)]
    with pytest.raises(ZeroDivisionError):
        run_item(invert, [[0]], [])


def test_refs_are_taken_out_and_their_values_put_in() -> None:
    ref = ObjectRef(ObjectId(1), "nowhere")
    columns, holes, refs = take_out_refs([[1, ref], (ref, 2)])
    assert (columns, holes, refs) == ([[1, None], [None, 2]], [(0, 1), (1, 0)], [ref, ref])
    assert run_chunk(max, columns, holes, 10, 20)[1] == [20, 10]
    plain = [range(3)]
    assert take_out_refs(list(plain)) == (plain, [], [])


def cuts(source: Source, *sizes: int) -> list[Any]:
    return [source.cut(size) for size in sizes]


def test_slices_stay_what_they_are() -> None:
    assert cuts(Source([range(10)]), 4, 4, 4) == [[range(4)], [range(4, 8)], [range(8, 10)]]
    array = Source([np.arange(6)]).cut(4)[0]
    assert isinstance(array, np.ndarray)
    assert array.tolist() == [0, 1, 2, 3]


def test_the_shortest_iterable_ends_it() -> None:
    source = Source([range(5), ["a", "b", "c"]])
    assert cuts(source, 2, 2) == [[range(2), ["a", "b"]], [range(2, 3), ["c"]]]
    assert source.ended
    source = Source([iter(range(5)), iter("abc")])
    assert cuts(source, 2, 2) == [[[0, 1], ["a", "b"]], [[2], ["c"]]]
    assert source.ended


def test_an_iterable_that_raises_gives_what_came_before() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("no more")

    source = Source([broken()])
    assert source.cut(5) == [[1]]
    assert source.ended
    assert str(source.error) == "no more"
