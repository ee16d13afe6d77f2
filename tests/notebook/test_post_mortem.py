"""Frames of a remote failure, rebuilt in this process, and what is said where there are none."""

from __future__ import annotations

import builtins
import linecache
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from nbray import frame_snapshots
from nbray.errors import WorkerDied
from nbray.frame_snapshots import About
from nbray.notebook import failures, post_mortem

SCALE = 3
LOCK = [1]


def divide(x: int) -> float:
    """Fails for 0."""
    scaled = x * SCALE
    return LOCK[0] / scaled


def caller() -> float:
    """Passes the failure on."""
    mine = "outer"
    return divide(len(mine) - 5)


class Pdb:
    """What is opened instead of the real debugger, which would ask."""

    opened: list[Any]

    def reset(self) -> None:
        pass

    def interaction(self, frame: object, found: Any) -> None:
        assert frame is None
        Pdb.opened.append(found)


@pytest.fixture
def directory(tmp_path: Path, shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Failures are kept there, and the debugger is one that asks nobody."""
    Pdb.opened = []
    monkeypatch.setattr(shell.InteractiveTB, "debugger_cls", Pdb)
    monkeypatch.setattr(sys, "last_value", None, raising=False)
    about = About(0x2A, 1, "cell [4]", "worker 0 (pid 1)")
    frame_snapshots.keep_where(lambda: (tmp_path / "failures", about))
    yield tmp_path / "failures"
    frame_snapshots.keep_where(lambda: None)


def kept() -> str:
    """The file of a failure."""
    try:
        caller()
    except ZeroDivisionError as error:
        return frame_snapshots.keep(error)
    raise AssertionError("nothing was raised")


def failed() -> ZeroDivisionError:
    """What the notebook gets of a failure."""
    error = ZeroDivisionError("division by zero")
    setattr(error, post_mortem.ATTRIBUTE, kept())
    return error


def test_the_frames_are_where_they_were_with_their_variables(directory: Path) -> None:
    found = post_mortem.rebuilt(post_mortem.read(Path(kept()))[1])
    lines = traceback.extract_tb(found)
    assert [(line.name, line.line) for line in lines][-2:] == [
        ("caller", "return divide(len(mine) - 5)"), ("divide", "return LOCK[0] / scaled")
    ]  # fmt: skip
    frames = [frame for frame, _ in traceback.walk_tb(found)]
    assert frames[-1].f_locals == {"x": 0, "scaled": 0}
    assert frames[-2].f_locals == {"mine": "outer"}
    assert frames[-1].f_globals["SCALE"] == SCALE
    assert frames[-1].f_code.co_firstlineno == divide.__code__.co_firstlineno
    assert frames[-2].f_globals is frames[-1].f_globals, "what one assigns the other sees"


def test_a_cells_frame_has_one_namespace(directory: Path) -> None:
    source = "value = 5\nlower = 0\nvalue / lower\n"
    namespace: dict[str, Any] = {"__name__": "__main__", "In": ["x"]}
    linecache.cache["/tmp/ipykernel_1/a.py"] = (len(source), None, source.splitlines(True), "/tmp/ipykernel_1/a.py")
    try:
        exec(compile(source, "/tmp/ipykernel_1/a.py", "exec"), namespace)
    except ZeroDivisionError as error:
        snapshot = frame_snapshots.take(error)
    frame = [frame for frame, _ in traceback.walk_tb(post_mortem.rebuilt(snapshot))][-1]
    assert frame.f_locals is frame.f_globals
    assert (frame.f_locals["value"], frame.f_lineno, "In" in frame.f_locals) == (5, 3, False)


def test_a_failure_passed_on_goes_on_in_the_inner_task(directory: Path) -> None:
    inner = kept()

    def ask() -> None:
        error = ValueError("from a task")
        setattr(error, post_mortem.ATTRIBUTE, inner)
        raise error

    try:
        ask()
    except ValueError as error:
        snapshot = frame_snapshots.take(error)
    names = [frame.f_code.co_name for frame, _ in traceback.walk_tb(post_mortem.rebuilt(snapshot))]
    assert names[-4:] == ["ask", "kept", "caller", "divide"]


def test_debug_goes_from_the_notebook_into_the_task(shell: InteractiveShell, directory: Path, capsys: Any) -> None:
    error = failed()

    def get() -> None:
        raise error

    uninstall = post_mortem.install(shell)
    try:
        get()
    except ZeroDivisionError:
        sys.last_value = error
    shell.debugger(force=True)
    [found] = Pdb.opened
    names = [frame.f_code.co_name for frame, _ in traceback.walk_tb(found)]
    assert names[-4:] == ["get", "kept", "caller", "divide"]
    assert capsys.readouterr().out == (
        "nbray: task cell [4] as it failed on worker 0 (pid 1), attempt 1. Its variables are copies; the worker is free.\n"
    )
    uninstall()
    assert "debugger" not in shell.__dict__


def test_of_a_remote_cell_only_the_frames_on_the_worker_count(shell: InteractiveShell, directory: Path) -> None:
    try:
        raise failures.presentable(shell, failed())
    except ZeroDivisionError as error:
        post_mortem.debug_error(shell, error)
    assert next(frame.f_code.co_name for frame, _ in traceback.walk_tb(Pdb.opened[0])) == "kept"


def test_the_stand_in_for_a_group_knows_the_frames(shell: InteractiveShell) -> None:
    group = ExceptionGroup("two", [ValueError()])
    group.nbray_frames = "/run/failures/1"  # type: ignore[attr-defined]
    assert getattr(failures.presentable(shell, group), post_mortem.ATTRIBUTE) == "/run/failures/1"


def test_other_errors_are_left_to_ipython(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(shell, "debugger", asked.append)
    monkeypatch.setattr(sys, "last_value", KeyError("mine"), raising=False)
    post_mortem.install(shell)
    shell.debugger(True)
    assert asked == [True]


def test_without_frames_it_says_why(shell: InteractiveShell) -> None:
    error = failures.presentable(shell, WorkerDied("the worker was killed"))
    with pytest.raises(UsageError, match="%debug: there are no frames of this WorkerDied: the worker was killed"):
        post_mortem.debug_error(shell, error)


def test_frames_that_are_gone_are_said_to_be(shell: InteractiveShell, directory: Path) -> None:
    error = failed()
    for path in directory.iterdir():
        path.unlink()
    with pytest.raises(UsageError, match=r"frames of this failure are gone.*Run the cell again, then %debug"):
        post_mortem.debug_error(shell, error)


@pytest.mark.parametrize("wanted", ["", "2a", "000000000000002a", "cell [4]", "4", "[4]"])
def test_a_task_is_found_by_its_id_its_name_and_its_cell(shell: InteractiveShell, directory: Path, wanted: str) -> None:
    kept()
    post_mortem.debug_task(shell, wanted, directory)
    assert len(Pdb.opened) == 1


def test_a_task_that_is_not_there_gets_the_list_of_those_that_are(shell: InteractiveShell, directory: Path) -> None:
    kept()
    with pytest.raises(UsageError) as found:
        post_mortem.debug_task(shell, "other", directory)
    assert "%nbray debug other: no failure of such a task is kept" in str(found.value)
    assert "000000000000002a  cell [4], attempt 1, worker 0 (pid 1): division by zero" in str(found.value)


def test_before_any_failure_it_says_so(shell: InteractiveShell, directory: Path) -> None:
    with pytest.raises(UsageError, match="no task of this notebook's cells has failed"):
        post_mortem.debug_task(shell, "", directory)


def test_nothing_is_left_in_the_frames_of_how_they_were_made(directory: Path) -> None:
    found = post_mortem.rebuilt(post_mortem.read(Path(kept()))[1])
    for frame, _ in traceback.walk_tb(found):
        assert not [name for name in (*frame.f_locals, *frame.f_globals) if name.startswith("_nbray")]
    assert not hasattr(builtins, post_mortem._HERE)
