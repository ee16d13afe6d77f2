"""Waiting for ranks: results by rank, failures beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from nbray.errors import TaskCancelledError, WorkerDied
from nbray.ids import CellRunId, ObjectId
from nbray.notebook.cell_runs import CellRun
from nbray.notebook.rank_runs import Member, RankRun
from nbray.notebook.ranks import Rank
from nbray.objects import ObjectRef
from tests.fakes import FakeBackend


def member(number: int, wait: Callable[[], Mapping[str, Any]]) -> Member:
    return Member(Rank(number, 3, f"rank {number}"), ObjectRef(ObjectId(number), "", ""), wait)


def gives(**values: Any) -> Callable[[], Mapping[str, Any]]:
    return lambda: values


def raises(error: BaseException) -> Callable[[], Mapping[str, Any]]:
    def wait() -> Mapping[str, Any]:
        raise error

    return wait


def test_lists_by_rank(backend: FakeBackend) -> None:
    run = RankRun(backend, [member(0, gives(x=1, y=2)), member(1, gives(x=3, y=4))], ("x", "y"), None)
    run.finish(lambda: None)
    assert run.results == {"x": [1, 3], "y": [2, 4]}
    assert run.summary() == ""
    assert run.first_error is None


def test_the_others_results_stand_beside_an_error(backend: FakeBackend) -> None:
    cell = CellRun(CellRunId("c"), 4, None, 0)
    error = ValueError("no batch\nat all")
    members = [member(0, gives(x=1)), member(1, raises(error)), member(2, raises(WorkerDied("exit code 3")))]
    run = RankRun(backend, members, ("x",), cell)
    run.finish(lambda: None)
    assert run.results["x"][:2] == [1, error]
    assert run.first_error is error
    assert cell.rank_failures == {1: "ValueError: no batch\nat all", 2: "WorkerDied: exit code 3"}
    assert [rank.label for rank in cell.ranks.values()] == ["rank 0", "rank 1", "rank 2"]
    assert run.summary() == (
        "nbray: 2 of 3 ranks failed; the others ran to their end.\n  rank 1: ValueError: no batch at all\n"
        "  rank 2: WorkerDied: exit code 3\nx: a list by rank, with an exception where a rank failed.\n"
    )


def test_one_that_was_cancelled_has_not_failed_by_itself(backend: FakeBackend) -> None:
    cell = CellRun(CellRunId("c"), 4, None, 0)
    run = RankRun(backend, [member(0, raises(TaskCancelledError("rank 0 was cancelled")))], ("x",), cell)
    run.finish(lambda: None)
    assert isinstance(run.first_error, TaskCancelledError)
    assert cell.rank_failures == {}


def test_many_failures_are_counted(backend: FakeBackend) -> None:
    run = RankRun(backend, [member(number, raises(ValueError("x"))) for number in range(8)], (), None)
    run.finish(lambda: None)
    assert run.summary().startswith("nbray: 8 of 8 ranks failed.\n")
    assert run.summary().endswith("  rank 4: ValueError: x\n  and 3 more\n")


def test_an_interrupt_of_the_waiting_goes_through(backend: FakeBackend) -> None:
    run = RankRun(backend, [member(0, raises(KeyboardInterrupt()))], ("x",), None)
    waited: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        run.finish(lambda: waited.append(1))
    assert waited == [1]
    assert run.results == {"x": [None]}
