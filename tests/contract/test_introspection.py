"""Every real backend: lists of tasks, objects and workers, and the timeline."""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbray
from tests.contract.conftest import Gate, until

pytestmark = pytest.mark.usefixtures("real_backend")


def nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def fail(text: str) -> None:
    raise ValueError(f"{text}\nmore")


def test_a_task_on_its_way_through_the_states(gate: Gate) -> None:
    gate.close()
    ref = nbray.apply_async(nap, (0.05,), name="listed")
    dependent = nbray.apply_async(abs, (ref,), name="listed too")
    (row,) = nbray.list_tasks(name="listed")
    assert (row.state, row.start_time_ms, row.worker) == ("PENDING_NODE_ASSIGNMENT", None, "")
    assert [row.state for row in nbray.list_tasks([("name", "=", "listed too")])] == ["PENDING_ARGS_AVAIL"]
    assert {row.state for row in nbray.list_tasks(state="RUNNING")} == {"RUNNING"}
    began = time.time()
    gate.open()
    nbray.get(dependent)
    (row,) = nbray.list_tasks(name="listed")
    assert (row.state, row.task_id, row.attempt_number, row.type) == ("FINISHED", ref.hex(), 0, "NORMAL_TASK")
    assert f"(pid {nbray.get(ref)})" in row.worker
    assert 0.05 <= row.duration_s < 1
    assert began - 0.1 < row.start_time_ms / 1000 <= row.end_time_ms / 1000 < time.time() + 0.1


def test_failures_and_cancelled_tasks(gate: Gate) -> None:
    ref = nbray.apply_async(fail, ("no luck",), name="unlucky")
    nbray.wait([ref])
    (row,) = nbray.list_tasks(name="unlucky")
    assert (row.state, row.error_type, row.error_message) == ("FAILED", "ValueError", "no luck")
    gate.close()
    queued = nbray.apply_async(nap, (0,), name="unwanted")
    nbray.cancel(queued)
    (row,) = nbray.list_tasks(name="unwanted")
    assert (row.state, row.start_time_ms) == ("CANCELLED", None)


def test_children_name_their_parent() -> None:
    for function, argument in ((fail, "x"), (abs, -1)):
        ref = nbray.apply_async(lambda: nbray.get(nbray.apply_async(function, (argument,), name=f"{argument}'s child")))  # noqa: B023
        nbray.wait([ref])
        (row,) = nbray.list_tasks(name=f"{argument}'s child")
        assert row.parent_task_id == ref.hex()


def test_objects_say_who_keeps_them() -> None:
    ref = nbray.put(np.zeros(300_000))
    (row,) = nbray.list_objects(object_id=ref.hex())
    assert (row.state, row.place) == ("ready", "arena")
    assert row.object_size > 2_400_000
    assert row.holders[0].startswith("driver")
    assert nbray.list_objects(limit=1)[0].object_id == ref.hex()
    del ref
    assert until(lambda: row.object_id not in {each.object_id for each in nbray.list_objects()})


def test_workers() -> None:
    pids = {nbray.get(nbray.apply_async(nap, (0,))) for _ in range(3)}
    rows = nbray.list_workers()
    assert pids <= {row.pid for row in rows}
    assert {row.pid for row in nbray.list_workers(pid=rows[0].pid)} == {rows[0].pid}


def test_frames_and_limits() -> None:
    nbray.get([nbray.apply_async(abs, (n,), name="many") for n in range(20)])
    assert len(nbray.list_tasks(name="many", limit=7)) == 7
    assert list(nbray.list_tasks(name="many").to_frame()["state"]) == ["FINISHED"] * 20
    for wrong in (0, -1, 10_001, 1.5):
        with pytest.raises(nbray.UsageError, match="expected a whole number from 1 to 10,000"):
            nbray.list_tasks(limit=wrong)  # type: ignore[arg-type]
    with pytest.raises(nbray.UsageError, match="no column 'stat'"):
        nbray.list_tasks(stat="RUNNING")


def test_the_timeline(tmp_path: Path) -> None:
    nbray.get([nbray.apply_async(nap, (0.05,), name="drawn") for _ in range(4)])
    nbray.timeline(tmp_path / "trace.json")
    events: list[dict[str, Any]] = json.loads((tmp_path / "trace.json").read_text())
    bars = [event for event in events if event["name"] == "drawn"]
    assert len(bars) == 4
    assert all(50_000 <= bar["dur"] < 1_000_000 for bar in bars)
    by_lane: dict[int, list[dict[str, Any]]] = {}
    for bar in bars:
        by_lane.setdefault(bar["tid"], []).append(bar)
    for lane in by_lane.values():
        lane.sort(key=lambda bar: bar["ts"])
        assert all(one["ts"] + one["dur"] <= two["ts"] + 1 for one, two in itertools.pairwise(lane))
    assert nbray.timeline() is not None


def test_stacks_of_workers_that_are_busy(tmp_path: Path) -> None:
    def spin(started: Path) -> None:
        started.touch()
        while True:
            pass

    ref = nbray.apply_async(spin, (tmp_path / "started",), name="spins")
    assert until((tmp_path / "started").exists)
    stacks = nbray.stack()
    (busy,) = [each for each in stacks if each.task == "spins"]
    assert busy.threads[0][-1].function == "spin"
    assert ", in spin\n    " in repr(stacks)
    nbray.cancel(ref, force=True)


def test_an_array_keeps_its_object_and_is_named() -> None:
    ref = nbray.put(np.zeros(500_000))
    array = nbray.get(ref)
    column, copied, object_id = array.reshape(1000, 500)[10:, 3], array.copy(), ref.hex()
    del ref
    row = next(row for row in nbray.memory(names={"array": array, "parts": [column], "copied": copied}).rows)
    assert (row["object_id"], row["names"]) == (object_id, ["array", "parts[0]"])


def test_what_keeps_an_object() -> None:
    table = nbray.put(bytes(3_000_000))
    row = nbray.memory(names={"table": table, "Out": {4: [table]}}).rows[0]
    assert (row["object_id"], row["names"]) == (table.hex(), ["table", "Out[4][0]"])
    assert row["holders"][0].startswith("driver")


class Napper:
    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


def test_actors_and_their_calls() -> None:
    napper: Any = nbray.remote(Napper).options(name="sleepy").remote()
    nbray.get(napper.nap.remote(0))
    running, waiting = napper.nap.options(name="long nap").remote(0.5), napper.nap.options(name="next nap").remote(0)
    assert until(lambda: [row.state for row in nbray.list_tasks(name="long nap")] == ["RUNNING"])
    (row,) = nbray.list_actors(name="sleepy")
    assert (row.class_name, row.state, row.running + row.pending) == ("Napper", "ALIVE", 2)
    assert row.pid in {each.pid for each in nbray.list_workers()}
    (task,) = nbray.list_tasks(name="long nap")
    assert (task.actor_id, task.type) == (row.actor_id, "ACTOR_TASK")
    assert nbray.list_tasks(name="next nap")[0].state in ("SUBMITTED_TO_WORKER", "PENDING_NODE_ASSIGNMENT")
    nbray.get([running, waiting])
    assert [each.state for each in nbray.list_tasks(actor_id=row.actor_id, name="long nap")] == ["FINISHED"]
    nbray.kill(napper)
    assert until(lambda: [each.state for each in nbray.list_actors(name="sleepy")] == ["DEAD"])
