"""Dumps of faulthandler as people read them."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

import nbray
from nbray.errors import UsageError
from nbray.ids import ObjectId
from nbray.objects import ObjectRef
from nbray.snapshot import WorkerSnapshot
from nbray.tables import Rows
from nbray.worker_stacks import _slots_of, parse, read

PACKAGE = Path(nbray.__file__).parent
HERE = Path(__file__)
DUMP = f"""Thread 0x00007f01 (most recent call first):
  File "{sysconfig.get_path("stdlib")}/selectors.py", line 468 in select
  File "{PACKAGE}/engine/io_thread.py", line 117 in _step

Current thread 0x00007f02 (most recent call first):
  File "{HERE}", line 1 in inner
  File "{HERE}", line ??? in outer
  File "{PACKAGE}/engine/worker.py", line 190 in _run
"""
WORKERS = [WorkerSnapshot(0, 41, "busy", "train"), WorkerSnapshot(1, 42, "idle")]


def test_the_main_thread_is_first_and_the_innermost_frame_last() -> None:
    main, io = parse(DUMP)
    assert [frame.function for frame in main] == ["_run", "outer", "inner"]
    assert [frame.function for frame in io] == ["_step", "select"]
    assert main[1].line == 0
    assert parse("") == []


def test_frames_of_nbray_and_its_thread_are_left_out() -> None:
    text = repr(read(WORKERS, {41: DUMP}))
    busy, idle = text.split("\n\n")
    assert busy.splitlines() == [
        "worker 0 (pid 41): runs train",
        f'  File "{HERE}", line 0, in outer',
        f'  File "{HERE}", line 1, in inner',
        '    """Dumps of faulthandler as people read them."""',
    ]
    assert idle == "worker 1 (pid 42): idle; it did not answer: it is stopped, or deep inside the system"


def test_several_threads_are_numbered_and_html_is_escaped() -> None:
    text = f'Thread 0x1 (most recent call first):\n  File "{HERE}", line 1 in <module>\n'
    stacks = read(WORKERS[:1], {41: text + text})
    assert " thread 1:" in repr(stacks)
    assert " thread 2:" in repr(stacks)
    assert "&lt;module&gt;" in stacks._repr_html_()
    assert repr(read([], {})) == "(no workers)"


COLUMNS = ["task_id", "name", "state", "cell", "worker"]
TASKS = Rows(COLUMNS, [
    ("0000000100000001", "fit", "RUNNING", "cell [4] of a.ipynb", "worker 1 (pid 7)"),
    ("0000000100000002", "fit", "RUNNING", "cell [5]", "worker 2 (pid 8)"),
    ("0000000100000003", "load", "FINISHED", "cell [3]", "worker 0"), ("0000000100000004", "late", "QUEUED", "cell [6]", ""),
])  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "workers"),
    [
        ("fit", {"worker 1", "worker 2"}), ("0000000100000002", {"worker 2"}), ("100000002", {"worker 2"}), ("4", {"worker 1"}),
        ("[5]", {"worker 2"}), (ObjectRef(ObjectId(0x100000001), "epoch", "fit"), {"worker 1"}),
    ],
)  # fmt: skip
def test_one_task_is_found_by_name_id_cell_or_ref(wanted: str | ObjectRef, workers: set[str]) -> None:
    assert _slots_of(wanted, TASKS) == workers


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("load", "no such task runs now: it is FINISHED. Running: fit"), ("late", "it is QUEUED"), ("fitt", "did you mean fit?"),
        ("[3]", "it is FINISHED"), ("99", "there is none"), ("zzz", r"stack\('zzz'\): no such task runs now: there is none"),
    ],
)  # fmt: skip
def test_what_does_not_run_is_said(wanted: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _slots_of(wanted, TASKS)
