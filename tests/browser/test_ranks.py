"""The tabs of ranks in JupyterLab and in Notebook 7: live lines before, a tab to click after, also without a kernel."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenNotebook, OpenTab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

CELL = """%%remote -n 2
import time
for step in range(3):
    print("step", step, "of rank", rank, flush=True)
    time.sleep(0.4)
if rank:
    raise ValueError("no such batch")
"""


@pytest.mark.parametrize("view", ["lab/tree", "notebooks"])
def test_lines_become_tabs_that_are_clicked(open_notebook: OpenNotebook, view: str) -> None:
    tab = open_notebook(["%load_ext nbray\n%nbray start -n 2", CELL], view)
    tab.run(0)
    tab.start(1)
    tab.wait_for_text(1, "(rank 0, worker")
    tab.wait_for_text(1, "(rank 1, worker")
    tab.look(f"ranks-running-{view[:3]}")
    tab.wait_for_text(1, "1 of 2 ranks failed", 30)
    tab.wait_until_idle()
    shown = tab.text(1)
    tab.look(f"ranks-failed-{view[:3]}")
    assert "(rank 0, worker" not in shown
    assert "step 2 of rank 1" in shown
    assert "step 2 of rank 0" not in shown, "the tab of the failed rank is in front"
    tab.page.locator(".nbray-ranks > input").nth(0).click()
    tab.wait_for_text(1, "step 2 of rank 0")
    tab.look(f"ranks-first-{view[:3]}")
    assert "step 2 of rank 1" not in tab.text(1)
    tab.page.locator(".nbray-ranks > input").nth(1).click()
    tab.wait_for_text(1, "step 2 of rank 1")
    tab.save()
    tab.page.wait_for_timeout(500)
    saved = tab.server.read_notebook(tab.name).cells[1].outputs
    assert sum("nbray-ranks" in output.get("data", {}).get("text/html", "") for output in saved) == 1
    assert not any("(rank 0, worker" in output.get("text", "") for output in saved)
    tab.open(view)
    tab.page.locator(".nbray-ranks > input").nth(0).click()
    tab.wait_for_text(1, "step 2 of rank 0")


def test_a_notebook_of_somebody_else_shows_all_ranks(open_notebook: OpenNotebook, open_tab: OpenTab) -> None:
    """JupyterLab takes style and scripts from what it does not trust: then all stand one below the other."""
    tab = open_notebook(["%load_ext nbray", CELL.replace("raise ValueError", "print")])
    tab.run(0)
    tab.run(1)
    tab.save()
    tab.page.wait_for_timeout(500)
    file = tab.server.folder / tab.name
    (tab.server.folder / "foreign.ipynb").write_text(file.read_text().replace("of rank", "of  rank"))  # another signature
    foreign = open_tab("foreign.ipynb").open()
    foreign.wait_for_text(1, "rank 0 of 2")
    foreign.look("ranks-foreign")
    text = " ".join(foreign.text(1).split())
    assert "step 2 of rank 0" in text
    assert "step 2 of rank 1" in text
