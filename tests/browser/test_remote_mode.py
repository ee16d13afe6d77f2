"""Remote mode as its user meets it in JupyterLab: output in its cell, Tab on names that live on the worker, Stop."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenNotebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

LOAD = "%load_ext nbray\n%nbray start -n 1\n%remote on"
CELLS = [
    LOAD,
    "import os, time\ncolumns_there = [1, 2]\nprint('on a worker', os.getpid())",
    "%%local\nprint('columns_there' in globals())",
    "columns_th",
    "print('begun', flush=True)\ntime.sleep(60)",
    "print(sum(columns_there))",
]


@pytest.mark.parametrize("view", ["lab/tree", "notebooks"])
def test_cells_tab_and_stop(open_notebook: OpenNotebook, view: str) -> None:
    tab = open_notebook(CELLS, view)
    assert "in the namespace 'main'" in tab.run(0)
    assert "on a worker" in tab.run(1)
    assert tab.run(2).strip() == "False"
    page = tab.page
    page.locator(".jp-Notebook .jp-CodeCell").nth(3).locator(".cm-content").click()
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    page.locator(".jp-Completer").get_by_text("columns_there").wait_for()
    tab.look(f"tab-{view[:3]}")
    page.keyboard.press("Enter")
    assert page.locator(".jp-Notebook .jp-CodeCell").nth(3).locator(".cm-content").inner_text() == "columns_there"
    tab.start(4)
    tab.wait_for_text(4, "begun")
    tab.interrupt()
    tab.wait_for_text(4, "KeyboardInterrupt", 5)
    tab.look(f"remote-mode-stopped-{view[:3]}")
    tab.wait_until_idle()
    assert "3" in tab.run(5)
