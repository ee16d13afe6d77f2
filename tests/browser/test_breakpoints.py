"""Breakpoints in tasks as their user meets them in JupyterLab: pdb asks in the cell, Stop ends it, the saved cell tells."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

LOAD = "%load_ext nbray\n%nbray start -n 2"
CELLS = [
    LOAD,
    "%%remote\nrates = [0.1, 0.2]\nbreakpoint()\ntotal = sum(rates)\nprint('total', total)",
    "import nbray\n@nbray.remote\ndef work(i):\n    twice = i * 2\n    breakpoint()\n    return twice\n"
    "nbray.get([work.remote(i) for i in (3, 4)])",
    "print('after', total)",
]


def say(tab: Tab, text: str) -> None:
    """Type a line where the cell asks for one."""
    wait_for_question(tab)
    tab.page.keyboard.insert_text(text)
    tab.page.keyboard.press("Enter")


def wait_for_question(tab: Tab) -> None:
    """Wait until the cursor stands in a new line of input; that of the answer before leaves a moment later."""
    asks = "(box) => document.activeElement.matches(box) && document.activeElement.value === ''"
    tab.page.wait_for_function(asks, arg=".jp-Stdin-input", timeout=10_000)


@pytest.mark.parametrize("view", ["lab/tree", "notebooks"])
def test_pdb_asks_in_the_cell_and_stop_ends_it(open_notebook: OpenNotebook, view: str) -> None:
    tab = open_notebook(CELLS, view)
    tab.run(0)
    tab.start(1)
    say(tab, "p len(rates) + 40")
    tab.wait_for_text(1, "42", 5)
    say(tab, "n")
    tab.wait_for_text(1, "----> 5 print('total', total)", 5)
    wait_for_question(tab)
    tab.look(f"breakpoint-{view[:3]}")
    say(tab, "c")
    tab.wait_for_text(1, "total 0.3", 5)
    tab.wait_until_idle()
    tab.start(2)
    say(tab, "p twice + 100")
    tab.wait_for_text(2, "twice + 100", 5)
    wait_for_question(tab)
    tab.interrupt()
    tab.wait_for_text(2, "cancelled 2", 5)
    tab.wait_until_idle()
    tab.look(f"breakpoint-stopped-{view[:3]}")
    assert "after 0.3" in tab.run(3)
