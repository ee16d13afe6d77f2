"""Promises are judged against the column that they name, and only when it was measured."""

from __future__ import annotations

import pytest

from tests.benchmarks.limits import LIMITS
from tests.benchmarks.report import Cell, Run, verdict
from tests.benchmarks.rows import AT_LEAST, AT_MOST, ROWS, Target


@pytest.mark.parametrize(
    ("target", "columns", "met"),
    [
        (Target(AT_MOST, 0.6), {"nbray": 0.6}, True),
        (Target(AT_MOST, 0.6), {"nbray": 0.61}, False),
        (Target(AT_LEAST, 8, "executor"), {"nbray": 80.0, "executor": 10.0}, True),
        (Target(AT_LEAST, 8, "executor"), {"nbray": 79.0, "executor": 10.0}, False),
        (Target(AT_LEAST, 8, "executor"), {"nbray": 79.0}, None),
        (Target(AT_LEAST, 8, "executor"), {"executor": 10.0}, None),
    ],
)
def test_a_target_is_met_or_not_or_cannot_be_judged(target: Target, columns: dict[str, float], met: bool) -> None:
    assert target.met(columns) is met


def test_a_row_that_nbray_failed_is_a_promise_not_kept() -> None:
    row = next(row for row in ROWS if row.name == "throughput")
    run = Run(["nbray", "executor"], {})
    run.cells[row.name] = {"nbray": Cell([], "failed"), "executor": Cell([1.0], "", 1.0)}
    assert verdict(run, row) is False


def test_rows_have_names_of_their_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_a_target_may_name_what_was_measured_in_the_same_breath() -> None:
    row = next(row for row in ROWS if row.name == "actor_call")
    run = Run(["nbray", "ray"], {})
    run.cells[row.name] = {
        "nbray": Cell([90.0], "", 90.0, {"task": 100.0}),
        "ray": Cell([900.0], "", 900.0, {"task": 50.0}),
    }
    assert verdict(run, row) is True
    run.cells[row.name]["nbray"] = Cell([110.0], "", 110.0, {"task": 100.0})
    assert verdict(run, row) is False


def test_every_limit_that_a_row_names_can_be_measured() -> None:
    assert {row.limit for row in ROWS} - {""} <= set(LIMITS)
