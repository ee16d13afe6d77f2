"""What the serial backend remembers of its tasks."""

from __future__ import annotations

from nbray.backends.serial_records import FAILED, SUCCEEDED, SerialRecords
from nbray.ids import NO_TASK, CellRunId, TaskId


def test_counts_and_attempts() -> None:
    records, run = SerialRecords(), CellRunId("run")
    records.labels[run] = "cell [1]"
    error = ValueError("no luck\nat all")
    records.note(TaskId(1), "f", run, "here", 1, 0.0, error, again=True, kind="NORMAL_TASK", actor=NO_TASK)
    records.note(TaskId(1), "f", run, "here", 2, 0.0, None, again=False, kind="NORMAL_TASK", actor=NO_TASK)
    records.end("f", run, SUCCEEDED)
    records.end("g", run, FAILED, error)
    records.end("h", run, FAILED, KeyError("later"))
    assert [(each.attempt, each.state) for each in records.attempts] == [(2, "FINISHED"), (1, "FAILED")]
    assert [each.error for each in records.attempts] == ["", "no luck"]
    (seen,) = records.cell_runs()
    assert (seen.label, seen.succeeded, seen.failed, seen.first_failure) == ("cell [1]", 1, 2, "g: ValueError: no luck")
    assert (records.count(), records.count([run]), records.count([CellRunId("other")])) == (3, 3, 0)
