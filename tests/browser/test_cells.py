"""What a user sees of remote work in JupyterLab and in Notebook 7."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

LOAD = """
%load_ext nbray
import time
import nbray

@nbray.remote
def fit(setting, seconds=0.4):
    time.sleep(seconds)
    if setting < 0:
        raise ValueError(f"setting must be <b>positive</b>, got {setting}")
    print("fitted", setting)
    return setting

nbray.init(num_workers=2)
"""


def look(tab: Tab, name: str) -> None:
    """Keep a picture of the page where somebody asked for pictures: NBRAY_PICTURES=folder."""
    folder = os.environ.get("NBRAY_PICTURES")
    if folder:
        (Path(folder) / f"{name}.png").write_bytes(tab.page.screenshot())


def test_a_card_is_live_then_final_then_saved(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, "nbray.get([fit.remote(n) for n in range(10)])"])
    tab.run(0)
    tab.start(1)
    tab.wait_for_text(1, "Running")
    tab.wait_for_text(1, "2 running")
    look(tab, "running-light")
    tab.wait_until_idle()
    tab.wait_for_text(1, "Done")
    shown = tab.text(1)
    look(tab, "done-light")
    assert "10 tasks" in shown
    assert len(re.findall(r"\(fit, worker \d\) fitted \d", shown)) == 10
    assert "Running" not in shown
    tab.save()
    tab.page.wait_for_timeout(500)
    outputs = tab.server.read_notebook(tab.name).cells[1].outputs
    cards = [output.data for output in outputs if output.output_type == "display_data"]
    assert len(cards) == 1
    assert cards[0]["text/plain"].startswith("nbray: done, 10 tasks")
    assert "Done" in cards[0]["text/html"]


def test_stop_in_the_page_stops_the_tasks_of_the_cell(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, "nbray.get([fit.remote(n, 30) for n in range(20)])", "print(nbray.get(fit.remote(7, 0)))"])
    tab.run(0)
    tab.start(1)
    tab.wait_for_text(1, "Running")
    tab.interrupt()
    tab.wait_for_text(1, "KeyboardInterrupt", 5)
    tab.wait_for_text(1, "cancelled 20, finished 0", 5)
    look(tab, "stopped-light")
    assert "7" in tab.run(2)


def test_output_of_each_cell_stays_in_it(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, "refs = [fit.remote(n, 0.8) for n in (1, 2)]", "print('here'); nbray.get(refs)"])
    tab.run(0)
    tab.run(1)
    tab.run(2)
    tab.wait_for_text(1, "Done")
    assert "fitted 1" in tab.text(1)
    assert "fitted 2" in tab.text(1)
    assert tab.text(2).startswith("here")
    assert "[1, 2]" in tab.text(2)
    assert "fitted" not in tab.text(2)


BACKGROUND_CELL = """%%remote --bg
for step in range(4):
    time.sleep(0.5)
    print("step", step)
"""


def test_a_background_cell_keeps_its_outputs_while_others_run(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, BACKGROUND_CELL, "for n in range(4):\n    time.sleep(0.4)\n    print('mine', n)"])
    tab.run(0)
    tab.run(1)
    tab.run(2)
    tab.wait_for_text(1, "step 3")
    tab.wait_for_text(1, "Done")
    look(tab, "background-light")
    assert all(f"step {number}\n" in tab.text(1) for number in range(4))
    assert "mine" not in tab.text(1)
    assert tab.text(2).split() == ["mine", "0", "mine", "1", "mine", "2", "mine", "3"]


def test_a_saved_card_is_readable_in_a_page_that_trusts_nothing(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, "nbray.get([fit.remote(n) for n in range(10)])"])
    tab.run(0)
    tab.run(1)
    tab.save()
    tab.page.wait_for_timeout(500)
    path = tab.server.folder / tab.name
    path.write_text(path.read_text().replace("range(10)", "range(11)"))
    tab.open()
    look(tab, "untrusted-light")
    assert "Done 10 tasks" in " ".join(tab.text(1).split())


def test_failures_are_shown_as_text(open_notebook: OpenNotebook) -> None:
    failing = "refs = [fit.remote(n) for n in (1, -1, -2, 4)]\nnbray.wait(refs, num_returns=4)\n'waited'"
    tab = open_notebook([LOAD, failing], theme="JupyterLab Dark")
    tab.run(0)
    tab.run(1)
    tab.wait_for_text(1, "2 failed")
    look(tab, "failed-dark")
    assert "fit: ValueError: setting must be <b>positive</b>, got -1" in tab.text(1)
    assert "<b>positive" not in tab.html(1)


def test_notebook_7_shows_the_same(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, "nbray.get([fit.remote(n) for n in range(6)])"], view="notebooks")
    tab.run(0)
    tab.start(1)
    tab.wait_for_text(1, "Running")
    look(tab, "running-notebook7")
    tab.wait_until_idle()
    tab.wait_for_text(1, "Done")
