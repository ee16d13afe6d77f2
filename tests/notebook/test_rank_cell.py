"""A rank in its worker: its names, what it reports of its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nbray.errors import UsageError
from nbray.notebook.rank_cell import run_rank
from nbray.notebook.ranks import STREAM, Rank
from nbray.notebook.remote_cell import CellCode
from nbray.notebook.shipment import Shipment
from tests.notebook.worker_side import Shown, as_task, plain, worker_process


@pytest.fixture(autouse=True)
def worker() -> Iterator[None]:
    with worker_process():
        yield


def run(source: str, *wanted: str, shown: Shown, **values: Any) -> dict[str, Any]:
    code = CellCode(source, "/tmp/ipykernel_1/4.py", "[4]")
    with as_task(shown):
        return run_rank(Rank(1, 3, "rank 1"), code, Shipment.of(values, {}), {}, (), wanted, ())


def reports(shown: Shown) -> list[dict[str, Any]]:
    return [content for stream, content in shown if stream == STREAM]


def test_it_finds_rank_and_world_also_where_the_notebook_has_such_names() -> None:
    shown = Shown()
    assert run("x = rank, world, y", "x", shown=shown, rank=7, y=8) == {"x": (1, 3, 8)}
    begin, end = reports(shown)
    assert begin == {"number": 1, "world": 3, "label": "rank 1"}
    assert end["seconds"] >= 0
    assert "error" not in end


def test_the_last_expression_is_shown_and_not_brought_back() -> None:
    shown = Shown()
    assert run("print('a')\nrank * 10", shown=shown) == {}
    assert [stream for stream, _ in shown] == [STREAM, "stdout", "display_data", STREAM]


def test_it_reports_what_it_raised() -> None:
    shown = Shown()
    with pytest.raises(ZeroDivisionError):
        run("1 / 0", shown=shown)
    end = reports(shown)[-1]
    assert "----> 1 1 / 0" in plain(end["error"])
    assert end["stopped"] is False


def test_a_stop_is_reported_as_one() -> None:
    shown = Shown()
    with pytest.raises(KeyboardInterrupt):
        run("raise KeyboardInterrupt", shown=shown)
    assert reports(shown)[-1]["stopped"] is True


def test_a_name_that_it_has_not_assigned_is_its_failure() -> None:
    shown = Shown()
    with pytest.raises(UsageError, match="-o x: the cell ran well"):
        run("if rank == 0: x = 1", "x", shown=shown)
    assert reports(shown)[-1]["error"][0].startswith("UsageError: -o x")
