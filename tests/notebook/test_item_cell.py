"""The body of a `%%parallel` cell on a worker: its namespace, its last expression, its names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nbray import serialization
from nbray.errors import NotShippable, UsageError
from nbray.notebook.item_cell import LAST, run_item
from nbray.notebook.remote_cell import CellCode
from nbray.notebook.remote_shell import the_shell
from nbray.notebook.shipment import Shipment
from tests.fakes import fake_session
from tests.notebook.worker_side import Shown, as_task, worker_process


@pytest.fixture(autouse=True)
def worker() -> Iterator[None]:
    with worker_process(), fake_session():
        yield


def run(
    source: str, *wanted: str, notebook: dict[str, Any] | None = None, changed: tuple[str, ...] = (),
    shown: Shown | None = None, **item: Any,
) -> dict[str, Any]:  # fmt: skip
    """Run a body for one item, with the values of the notebook."""
    values = notebook or {}
    shipment: Shipment = serialization.loads(serialization.encode(serialization.dumps(Shipment.of(values, dict(values)))))
    with as_task(Shown() if shown is None else shown):
        code = CellCode(source, "/tmp/ipykernel_1/body.py", "[4]")
        return run_item(code, shipment, {"m": "math"}, (), wanted or (LAST,), changed, item)


def test_the_last_expression_comes_back_and_is_not_shown() -> None:
    shown = Shown()
    assert run("y = x * rate\nprint('at', x)\nm.floor(y)", notebook={"rate": 2}, x=1.5, shown=shown) == {LAST: 3}
    assert shown == [("stdout", "at 1.5\n")]


def test_none_is_a_value_too() -> None:
    assert run("_ = 5\nNone") == {LAST: None}


def test_a_semicolon_changes_nothing() -> None:
    assert run("x;", x=1) == {LAST: 1}


def test_displays_before_the_last_expression_are_shown() -> None:
    shown = Shown()
    assert run("from IPython.display import display\ndisplay(x)\nx + 1", x=1, shown=shown) == {LAST: 2}
    assert shown.texts() == ["1"]


def test_names_come_back_and_the_last_expression_is_shown() -> None:
    shown = Shown()
    assert run("a = x; b = 2 * x\nb", "a", "b", x=1, shown=shown) == {"a": 1, "b": 2}
    assert shown.texts() == ["2"]


def test_the_next_cell_shows_its_last_expression_again() -> None:
    shell = the_shell()
    hook = shell.display_trap.hook
    run("x", x=1)
    with pytest.raises(ZeroDivisionError):
        run("1 / x", x=0)
    assert shell.display_trap.hook is hook


def test_a_name_that_was_not_assigned_is_an_error_of_the_item() -> None:
    with pytest.raises(UsageError, match="-o b: the cell ran well here, but did not assign b"):
        run("if x: b = 1", "b", x=0)


def test_what_cannot_come_back_is_an_error_of_the_item() -> None:
    with pytest.raises(NotShippable, match="the last expression cannot be sent: it is a generator"):
        run("(i for i in range(x))", x=3)
    with pytest.raises(NotShippable, match=r"^g cannot be sent: it is a generator"):
        run("g = (i for i in range(x))", "g", x=3)


def test_an_item_that_is_changed_in_place_is_a_copy() -> None:
    mine = [1]
    assert run("x.append(2)\nx", x=mine, changed=("x",)) == {LAST: [1, 2]}
    assert mine == [1]


def test_await_and_magics_work_in_a_body() -> None:
    assert run("import asyncio\nawait asyncio.sleep(0, x)", x=4) == {LAST: 4}
