"""Magics that make no sense on a worker, and those that do."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from IPython.core.error import UsageError

from nbray.notebook.notebook_only import CELL_MAGICS, LINE_MAGICS
from tests.notebook.worker_side import Shown, run, worker_process


@pytest.fixture(autouse=True)
def worker() -> Iterator[None]:
    with worker_process():
        yield


@pytest.mark.parametrize("name", LINE_MAGICS)
def test_line_magics_are_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(UsageError, match=rf"^%{name} belongs to the notebook, and this cell runs on a worker: \w.*\w"):
        run(f"x = 1\n%{name} 1")


@pytest.mark.parametrize("name", CELL_MAGICS)
def test_cell_magics_are_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(UsageError, match=rf"^%%{name} belongs to the notebook, and this cell runs on a worker: \w.*\w"):
        run(f"%%{name} 1\nx = 1")


@pytest.mark.parametrize("where", ["widget", "qt", "notebook"])
def test_figures_have_no_window_there(where: str) -> None:
    with pytest.raises(UsageError, match=f"%matplotlib {where}: figures of a cell on a worker come as pictures"):
        run(f"%matplotlib {where}")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("!echo hi", "hi"),
        ("x = 1\n%xdel x\nprint('x' in globals())", "False"),
        ("%who\nx = 1", "Interactive namespace is empty"),
        ("%load_ext nbray\nprint('loaded')", "loaded"),
        ("%%time\nprint('timed')", "timed"),
    ],
)
def test_others_do_what_they_do_everywhere(source: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbray import session

    monkeypatch.setattr(session.current, "in_worker", True)
    shown = Shown()
    run(source, shown=shown)
    assert re.search(expected, "".join(map(str, shown.texts())))
