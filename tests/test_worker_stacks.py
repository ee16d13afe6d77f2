"""Dumps of faulthandler as people read them."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import nbray
from nbray.snapshot import WorkerSnapshot
from nbray.worker_stacks import parse, read

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
