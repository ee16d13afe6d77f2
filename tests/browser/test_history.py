"""The history and the verdict as they look in JupyterLab and Notebook 7: a table, and bars that are drawn to scale."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator

from tests.browser.conftest import OpenNotebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

CELLS = [
    "%load_ext nbray\n%nbray start -n 2\n%nbray history clear\nimport time",
    "%%remote\ntime.sleep(1)\ny = 1",
    "%%parallel for i in range(4)\ntime.sleep(0.1)\ni",
    "%nbray why 2",
    "%nbray history",
    "%nbray history 2",
]


def widths(bar: Locator) -> list[float]:
    """Of the parts of a bar, as shares of it."""
    whole = bar.bounding_box()
    parts = [part.bounding_box() for part in bar.locator("div").all()]
    assert whole is not None
    return [part["width"] / whole["width"] for part in parts if part is not None]


@pytest.mark.parametrize(("view", "theme"), [("lab/tree", "JupyterLab Dark"), ("notebooks", "")])
def test_a_table_and_bars(open_notebook: OpenNotebook, view: str, theme: str) -> None:
    tab = open_notebook(CELLS, view, theme)
    for index in range(3):
        tab.run(index)
    assert "was its own code, which mostly waited" in tab.run(3)
    output = tab.page.locator(".jp-Notebook .jp-CodeCell").nth(3).locator(".jp-OutputArea-output")
    parts = widths(output.locator("div[style*='display:flex']").first)
    assert max(parts) > 0.7  # the second that it slept
    assert sum(parts) == pytest.approx(1.0, abs=0.05)
    table = tab.run(4)
    assert "parallel" in table
    assert "time.sleep(1)" in table
    rows = tab.page.locator(".jp-Notebook .jp-CodeCell").nth(4).locator("tbody tr")
    assert rows.count() == 2
    assert len(widths(rows.nth(0).locator("div[style*='display:flex']"))) >= 1
    assert "Python 3." in tab.run(5)
    tab.look(f"history-{view[:3]}")
