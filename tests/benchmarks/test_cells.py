"""Overheads are what a cell takes longer on a worker, and each kind of work that is stopped is one that never ends."""

from __future__ import annotations

from typing import cast

import pytest

from tests.benchmarks import cells
from tests.benchmarks.kernels import Notebook, Ran
from tests.benchmarks.peers import Executor
from tests.benchmarks.systems import Unsupported


class Pretend:
    """Takes 5 ms for a cell, 12 with a magic; the first rounds, which are not counted, take a second."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def run(self, code: str) -> Ran:
        self.ran.append(code)
        warm = len(self.ran) <= 3 * cells.WARM
        return Ran(1.0 if warm else 0.012 if code.startswith("%%") else 0.005, "", "")


def test_overhead_is_over_the_same_cell_in_the_kernel() -> None:
    pretend = Pretend()
    measured = cells._overhead(cast(Notebook, pretend), "%%remote", "1 + 1", lambda number: f"x = {number}")
    assert measured.values == pytest.approx([7])
    assert measured.note == "p50 12.0 and p90 12.0, in the kernel 5.0 ms"
    assert pretend.ran[:4] == ["x = 0", "1 + 1", "%%remote\n1 + 1", "x = 1"]
    assert len(pretend.ran) == 3 * (cells.WARM + cells.ROUNDS)


def test_every_kind_of_work_is_stopped_and_says_when_it_has_begun() -> None:
    assert cells.STOPS >= 50
    assert set(cells.STOPPED) == {"sleep", "loop", "numpy", "child", "parallel", "await"}
    assert [kind for kind, code in cells.STOPPED.items() if "print('begun')" not in code] == []


def test_a_system_without_remote_cells_has_no_figure() -> None:
    with pytest.raises(Unsupported):
        cells.trivial(Executor())
    with pytest.raises(Unsupported):
        cells.tab(Executor())
