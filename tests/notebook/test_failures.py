"""How failures of cells are shown: as rendered on the worker, with cells numbered, without frames of nbray."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from nbray.errors import InfeasibleRequest, RemoteTraceback, StoreFull, TaskTimeout, WorkerDied
from nbray.notebook import failures
from nbray.notebook.remote_cell import TRACEBACK_ATTRIBUTE


class Compiler:
    def format_code_name(self, name: str) -> tuple[str, str] | None:
        return ("Cell", "In[2]") if name == "/tmp/ipykernel_1/2.py" else None


class SyntaxTraceback:
    def structured_traceback(self, kind: object, error: object, frames: list[object]) -> list[str]:
        assert frames == []
        return [f"SyntaxError here: {error}"]


class Shell:
    compile = Compiler()
    SyntaxTB = SyntaxTraceback()
    user_ns = {"data": [1], "_data": 2}


def remote(error: BaseException, *lines: str) -> BaseException:
    setattr(error, TRACEBACK_ATTRIBUTE, list(lines))
    error.add_note("in task train on worker 1 (pid 4711), attempt 1")
    return error


def shown(error: BaseException) -> Any:
    """What IPython asks an exception for."""
    return error._render_traceback_()  # type: ignore[attr-defined]


def test_the_workers_rendering_is_shown_with_the_note() -> None:
    error = failures.presentable(Shell(), remote(ZeroDivisionError("division by zero"), "----> 1 1/0", "ZeroDivisionError"))
    assert type(error) is ZeroDivisionError
    assert shown(error) == ["----> 1 1/0", "ZeroDivisionError", "in task train on worker 1 (pid 4711), attempt 1"]


def test_what_was_dressed_can_still_be_pickled() -> None:
    error = failures.presentable(Shell(), remote(ValueError("x"), "line"))
    assert shown(pickle.loads(pickle.dumps(error))) == shown(error)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("File \x1b[32m/tmp/ipykernel_1/2.py:5\x1b[39m, in f(x)", "Cell \x1b[32mIn[2], line 5\x1b[39m, in f(x)"),
        ("File /tmp/ipykernel_1/2.py:5, in f(x)", "Cell In[2], line 5, in f(x)"),
        ("File ~/module.py:5, in f(x)", "File ~/module.py:5, in f(x)"),
    ],
)
def test_cells_are_numbered(line: str, expected: str) -> None:
    assert failures.rendered(Shell(), remote(ValueError("x"), line))[0] == expected


def test_an_error_without_a_rendering_is_shown_by_its_message() -> None:
    assert failures.rendered(Shell(), StoreFull("no room")) == ["\x1b[31mStoreFull\x1b[39m: no room"]
    assert failures.rendered(Shell(), KeyboardInterrupt()) == ["\x1b[31mKeyboardInterrupt\x1b[39m"]


@pytest.mark.parametrize("kind", [TaskTimeout, WorkerDied, InfeasibleRequest])
def test_what_to_type_is_said_in_the_words_of_a_cell(kind: type[Exception]) -> None:
    assert failures.rendered(Shell(), kind("..."))[-1].startswith("For a remote cell: %%remote --")


def test_an_error_with_a_plain_remote_traceback_shows_that() -> None:
    error = ValueError("x")
    error.__cause__ = RemoteTraceback("Traceback:\n  line 1\nValueError: x")
    assert failures.rendered(Shell(), error) == ["Traceback:", "  line 1", "ValueError: x"]


def test_a_syntax_error_of_the_cell_is_shown_without_frames() -> None:
    error = failures.presentable(Shell(), SyntaxError("invalid syntax"))
    assert (type(error).__name__, shown(error)) == ("SyntaxError", ["SyntaxError here: invalid syntax"])


def test_a_syntax_error_that_the_worker_met_is_shown_as_it_was_there() -> None:
    assert shown(failures.presentable(Shell(), remote(SyntaxError("bad"), "there")))[0] == "there"


def test_writing_to_a_shared_array_gets_a_hint() -> None:
    error = remote(ValueError("assignment destination is read-only"), "line")
    assert failures.rendered(Shell(), error)[-1] == failures.READ_ONLY


def test_the_message_of_a_background_cell() -> None:
    content = failures.error_content(Shell(), remote(ValueError("x"), "line"))
    assert (content["ename"], content["evalue"], content["traceback"][0]) == ("ValueError", "x", "line")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("datta", "Did you mean data?"),
        ("data", "The notebook has data, but it did not go along: the code of the cell does not name it, or -i leaves it out."),
        ("something", ""),
    ],
)
def test_a_name_that_does_not_exist_comes_with_what_the_notebook_knows(name: str, hint: str) -> None:
    error = remote(NameError(f"name {name!r} is not defined"), "NameError: ...")
    assert shown(failures.presentable(Shell(), error))[2:] == ([hint] if hint else [])
