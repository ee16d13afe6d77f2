"""Stop for cells in namespaces: one that obeys, one in C code, a second Stop, what is said of the price."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbray.notebook.namespace_stops import goes_on_text
from tests.notebook.kernel import Cell, Kernel, running_kernel


class Space:
    def __init__(self, name: str, *known: str) -> None:
        self.name = name
        self._known = frozenset(known)

    def at_stake(self) -> frozenset[str]:
        return self._known


@pytest.mark.parametrize(
    ("spaces", "end"),
    [
        ([Space("a", "y", "df")], "in the namespace 'a' goes on: .*\nStop again kills the namespace. a loses: df, y.\n"),
        ([Space("a")], "Stop again kills the namespace. There are no names yet that would be lost.\n"),
        ([Space("a", "x"), Space("b")], "the namespaces 'a' and 'b' goes on: .*\nStop again kills the namespaces. a loses: x.\n"),
    ],
)  # fmt: skip
def test_what_a_second_stop_would_cost(spaces: list[Any], end: str) -> None:
    before, _, after = end.partition(".*")
    text = goes_on_text(spaces)
    assert (before in text and text.endswith(after)) if after else text.endswith(before)


# -------------------------------------------------------------------- in a real kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("stops"), "%load_ext nbray", "%nbray start -n 2") as kernel:
        yield kernel


LONG = "import hashlib\nprint('in C', flush=True)\nhashlib.pbkdf2_hmac('sha256', b'', b'', 100_000_000)\nprint('returned')"
"""It lets other threads run, and hears no signal."""

UNTIL_RELEASED = """
import ctypes, os, threading, time
libc, barrier = ctypes.CDLL(None), ctypes.create_string_buffer(64)
libc.pthread_barrier_init(barrier, None, 2)

def release():
    while not os.path.exists({path!r}):
        time.sleep(0.02)
    libc.pthread_barrier_wait(barrier)

threading.Thread(target=release).start()
print('in C', flush=True)
libc.pthread_barrier_wait(barrier)
print('returned')
"""


def stopped(kernel: Kernel, line: str, code: str = LONG, count: int = 1) -> Cell:
    """A cell in C code for which Stop was pressed, once it has said that it goes on."""
    cell = kernel.submit(f"%%remote {line}\n{code}")
    kernel.until(lambda: cell.stdout.count("in C") == count, 20, cell)
    kernel.interrupt()
    kernel.until(lambda: "Stop again kills" in cell.stderr, 5, cell)
    assert cell.status == "running"
    return cell


@pytest.mark.local
def test_code_that_hears_stop_ends_at_once_and_the_names_stay(kernel: Kernel) -> None:
    kernel.run_ok("%%remote --on kept\nx = 1")
    cell = kernel.submit("%%remote --on kept\nimport time\nprint('at work', flush=True)\ntime.sleep(60)")
    kernel.until(lambda: "at work" in cell.stdout, 20, cell)
    pressed = time.monotonic()
    kernel.interrupt()
    assert kernel.wait(cell).error_name == "KeyboardInterrupt"
    assert time.monotonic() - pressed < 1.5
    assert cell.stderr == ""
    kernel.run_ok("%%remote --on kept -o x\nx += 1")
    assert kernel.run_ok("x").result == "2"


@pytest.mark.local
def test_c_code_goes_on_until_it_returns(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run_ok("%%remote --on kept\nx = 1")
    released = tmp_path / "released"
    cell = stopped(kernel, "--on kept", UNTIL_RELEASED.format(path=str(released)))
    assert "the cell in the namespace 'kept' goes on" in cell.stderr
    released.touch()
    assert kernel.wait(cell).error_name == "KeyboardInterrupt"
    assert "returned" not in cell.stdout
    kernel.run_ok("%%remote --on kept -o x\nx += 1")
    assert kernel.run_ok("x").result == "2"


@pytest.mark.local
@pytest.mark.parametrize("begin", ["%%remote --on c", "%remote on c"])
def test_a_second_stop_kills_it_and_says_what_is_lost(kernel: Kernel, begin: str) -> None:
    kernel.run_ok("%%remote --on c\ndf, model = 1, 2")
    if begin == "%remote on c":
        kernel.run_ok(begin)
        cell = kernel.submit(LONG)
        kernel.until(lambda: "in C" in cell.stdout, 20, cell)
        kernel.interrupt()
        kernel.until(lambda: "Stop again kills the namespace. c loses: df, model.\n" in cell.stderr, 5, cell)
    else:
        cell = stopped(kernel, "--on c")
    pressed = time.monotonic()
    kernel.interrupt()
    assert kernel.wait(cell).error_name == "KeyboardInterrupt"
    assert time.monotonic() - pressed < 1
    kernel.run_ok("%remote off")
    assert "nbray: the namespace 'c' was killed. Lost: df, model. The next %%remote --on c begins with an" in cell.stderr
    assert "NameError" in kernel.run("%%remote --on c\ndf").error


@pytest.mark.local
def test_a_second_stop_kills_all_that_go_on(kernel: Kernel) -> None:
    kernel.run_ok("%%remote --each l r\ny = rank")
    cell = stopped(kernel, "--each l r", count=2)
    kernel.interrupt()
    assert kernel.wait(cell).error_name == "KeyboardInterrupt"
    assert cell.stderr.count("was killed. Lost: y.") == 2
