"""What `%%remote --plan` says of each kind of input, and of what comes back."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray.ids import ObjectId
from nbray.notebook.cells import CellOptions, read_cell
from nbray.notebook.plan import plan_text
from nbray.notebook.values import Preview, RemoteValue
from nbray.objects import ObjectRef


def plan(shell: InteractiveShell, cell: str, options: CellOptions = CellOptions(), **names: object) -> list[str]:  # noqa: B008
    """The lines of the plan, with single spaces."""
    shell.user_ns.update(names)
    return [" ".join(line.split()) for line in plan_text(read_cell(shell, "", cell, options)).splitlines()]


def test_sizes_and_ways(shell: InteractiveShell) -> None:
    ref = ObjectRef(ObjectId(1), "other")
    handle = RemoteValue(ref, Preview("pandas.DataFrame", "9 x 2", "", "", 8 * 1024**2))
    lines = plan(
        shell, "np.sum(big) + n, ref, table", np=np, big=np.zeros(1_000_000), n=3, ref=ref, table=handle
    )  # fmt: skip
    assert lines[:2] == ["Nothing was run. This cell would", "take along, as copies:"]
    assert "np module imported there: import numpy" in lines
    assert "big ndarray 7.6 MiB stored on the cluster once, sent again when it has changed" in lines
    assert "n int 5 B" in lines
    assert "ref ObjectRef the reference, not its value" in lines
    assert "table pandas.DataFrame 8.0 MiB on the cluster already" in lines


def test_a_function_counts_what_it_uses(shell: InteractiveShell) -> None:
    shell.run_cell("scale = 'x' * 50_000\ndef f(): return len(scale)")
    assert "f function 49 KiB" in plan(shell, "f()")


def test_what_cannot_be_sent_is_said(shell: InteractiveShell) -> None:
    row = plan(shell, "lock", lock=threading.Lock())[2]
    assert row.startswith("lock lock lock cannot be sent: it is a thread lock")


def test_what_comes_back_and_what_does_not(shell: InteractiveShell) -> None:
    lines = plan(shell, "y = x + 1\nx.append(2)\nprint(lost)", x=[1])
    after = {title: lines[index + 1] for index, title in enumerate(lines) if title.endswith(":")}
    assert after["bring back when it has ended well:"] == "y"
    assert after["not find in the notebook (a NameError where it is read):"] == "lost"
    assert after["change in its copy only, not here (assign it anew, or ask for it with -o, to have it back):"] == "x"


def test_what_is_asked_for_comes_back(shell: InteractiveShell) -> None:
    lines = plan(shell, "y = 1\nx.append(2)", CellOptions(outputs=["x"]), x=[1])
    assert lines[-2:] == ["bring back when it has ended well:", "x"]


def test_a_cell_without_inputs(shell: InteractiveShell) -> None:
    assert plan(shell, "print(1)") == [
        "Nothing was run. This cell would", "take along, as copies:", "nothing", "bring back when it has ended well:", "nothing",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["exit", "get_ipython", "In"])
def test_what_is_ipythons_own_is_not_told(shell: InteractiveShell, name: str) -> None:
    assert "nothing" in plan(shell, name)
