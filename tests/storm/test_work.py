from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nbray
from tests.fakes import fresh_session
from tests.storm import ledger, mix, work
from tests.storm.ledger import Line


@pytest.fixture
def book(tmp_path: Path) -> str:
    return str(tmp_path / "ledger")


def read(book: str) -> list[tuple[str, int, int]]:
    return [line[:3] for line in ledger.read(Path(book).read_bytes())]


@pytest.mark.parametrize("number", range(40))
def test_graphs_and_tasks_give_what_the_mix_says(book: str, number: int) -> None:
    jobs = [job for job in (mix.job(7, each) for each in range(number * 50, number * 50 + 50)) if job.kind in ("task", "graph")]
    job = jobs[0]
    ids = list(mix.nodes(job))
    tokens = [mix.token(7, node) for node in ids]
    values: list[int] = []
    for node, token in zip(ids, tokens, strict=True):
        inputs = values[-1:] if job.how == "chain" else values if node == ids[-1] else []
        values.append(work.task(book, node, token, 0.0, False, *inputs))
    assert values[-1] == mix.answer(7, job)
    work.close_ledgers()


def test_an_attempt_stands_in_the_ledger_with_its_end(book: str) -> None:
    work.task(book, 5, 6, 0.0, False)
    with pytest.raises(ValueError, match="odd 9"):
        work.odd(book, 9, 1, 0.0, "raises")
    work.Counter(book, 2).call(17, 4, 0, 0.0)
    assert read(book) == [("b", 5, 0), ("d", 5, 0), ("b", 9, 0), ("x", 9, 0), ("c", 2, 17), ("e", 2, 17)]
    work.close_ledgers()


@pytest.mark.parametrize("size", [mix.SMALLEST_BYTES, mix.SMALLEST_BYTES + 8])
def test_an_array_is_known_by_each_of_its_elements(size: int) -> None:
    array = work.array_of(12, size)
    assert array.nbytes == size
    assert work.look(array, 12) == mix.object_answer(12, size)
    assert work.look(array, 13) != mix.object_answer(13, size)
    for place in (1, work.PIECE_WORDS - 1, work.PIECE_WORDS, array.size // 5, array.size - 2):
        array[place] += np.uint64(1)
        assert work.look(array, 12) == -1
        array[place] -= np.uint64(1)


def test_the_odd_ones_fail_as_they_are_to(book: str) -> None:
    with fresh_session(), pytest.raises(work.Unpicklable):
        work.odd(book, 9, 1, 0.0, "unpicklable_error")
    with pytest.raises(TypeError):
        work.Unpicklable().__reduce__()
    assert work.odd(book, 9, 1, 0.0, "flaky") == mix.digest(9, 1)
    assert not isinstance(work.odd(book, 9, 1, 0.0, "unpicklable_result"), int)
    work.close_ledgers()


def test_a_line_is_one_write() -> None:
    assert len(ledger.written(Line("b", 10**12, 399, 4_000_000, 1e9))) < 512
    assert nbray.get_runtime_context().attempt == 0, "here no task runs"
