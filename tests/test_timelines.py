"""The trace of tasks in Chrome's format."""

from __future__ import annotations

from nbray.ids import CellRunId, TaskId
from nbray.snapshot import TaskSnapshot
from nbray.timelines import trace


def task(number: int, worker: str, state: str = "FINISHED", ended: float | None = 2.5, error: str = "") -> TaskSnapshot:
    return TaskSnapshot(
        TaskId(number), "fit", state, CellRunId("run"), "cell [3]", "job", worker, 2, started=2.0, ended=ended, error=error
    )


def test_each_worker_has_its_lane_and_each_attempt_its_bar() -> None:
    events = trace([task(1, "worker 1 (pid 7)"), task(2, "worker 0 (pid 6)"), task(3, "worker 1 (pid 9)")], offset=1000.0)
    lanes = {event["args"]["name"]: event["tid"] for event in events if event["name"] == "thread_name"}
    assert list(lanes) == ["worker 0 (pid 6)", "worker 1 (pid 7)", "worker 1 (pid 9)"]
    assert lanes["worker 0 (pid 6)"] < lanes["worker 1 (pid 7)"] < lanes["worker 1 (pid 9)"]
    bar = next(event for event in events if event.get("cat") == "task")
    assert bar == {
        "name": "fit", "cat": "task", "ph": "X", "pid": 1, "tid": lanes["worker 1 (pid 7)"], "ts": 1002e6, "dur": 500_000.0,
        "args": {"task_id": f"{1:016x}", "state": "FINISHED", "cell": "cell [3]", "attempt": 2},
    }  # fmt: skip


def test_what_runs_has_a_beginning_only_and_what_failed_its_error() -> None:
    *_, running, failed = trace(
        [task(1, "worker 0 (pid 6)", "RUNNING", None), task(2, "worker 0 (pid 6)", "FAILED", error="no luck")], 0.0
    )
    assert running["ph"] == "B"
    assert "dur" not in running
    assert (failed["args"]["error"], failed["cname"]) == ("no luck", "terrible")
