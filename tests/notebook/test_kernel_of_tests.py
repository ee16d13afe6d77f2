"""The test kernel itself: outputs are filed under their cells, errors and interrupts arrive."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from tests.notebook.kernel import Kernel

pytestmark = pytest.mark.local


def test_outputs_are_filed_under_their_cell(bare_kernel: Kernel) -> None:
    first = bare_kernel.run("print('one'); 1 + 1")
    second = bare_kernel.run("import sys; print('two', file=sys.stderr)")
    assert (first.status, first.stdout, first.result, first.number) == ("ok", "one\n", "2", 1)
    assert (second.stdout, second.stderr, second.number) == ("", "two\n", 2)
    failed = bare_kernel.run("1 / 0")
    assert failed.status == "error"
    assert failed.error_name == "ZeroDivisionError"
    assert "----> 1 1 / 0" in failed.error


def test_interrupt_ends_a_running_cell(bare_kernel: Kernel) -> None:
    cell = bare_kernel.submit("import time\nprint('started', flush=True)\ntime.sleep(30)")
    bare_kernel.until(lambda: "started" in cell.stdout, 10)
    bare_kernel.interrupt()
    assert bare_kernel.wait(cell, 5).error_name == "KeyboardInterrupt"


def test_it_is_of_the_ipykernel_that_the_tests_have(bare_kernel: Kernel) -> None:
    assert bare_kernel.run("import ipykernel; ipykernel.__version__").result == repr(version("ipykernel"))
