"""What a user sees of remote work in JupyterLab and in Notebook 7."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import OpenNotebook

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


VIEWS = pytest.mark.parametrize("view", ["lab/tree", "notebooks"])
"""JupyterLab and Notebook 7."""


def test_a_card_is_live_then_final_then_saved(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, "nbray.get([fit.remote(n) for n in range(10)])"])
    tab.run(0)
    tab.start(1)
    tab.wait_for_text(1, "Running")
    tab.wait_for_text(1, "2 running")
    tab.look("running-light")
    tab.wait_until_idle()
    tab.wait_for_text(1, "Done")
    shown = tab.text(1)
    tab.look("done-light")
    assert "10 tasks" in shown
    assert len(re.findall(r"fitted \d", shown)) == 10
    assert len(re.findall(r"\(fit, worker \d\) fitted \d", shown)) >= 9, "the first may come before there is another task's"
    assert "Running" not in shown
    tab.save()
    tab.page.wait_for_timeout(500)
    outputs = tab.server.read_notebook(tab.name).cells[1].outputs
    cards = [output.data for output in outputs if output.output_type == "display_data"]
    assert len(cards) == 1
    assert cards[0]["text/plain"].startswith("nbray: done, 10 tasks")
    assert "Done" in cards[0]["text/html"]


@VIEWS
def test_stop_in_the_page_stops_the_tasks_of_the_cell(open_notebook: OpenNotebook, view: str) -> None:
    cells = [LOAD, "nbray.get([fit.remote(n, 30) for n in range(20)])", "print(nbray.get(fit.remote(7, 0)))"]
    tab = open_notebook(cells, view)
    tab.run(0)
    tab.start(1)
    tab.wait_for_text(1, "Running")
    tab.interrupt()
    tab.wait_for_text(1, "KeyboardInterrupt", 5)
    tab.wait_for_text(1, "cancelled 20, finished 0", 5)
    tab.look(f"stopped-{view[:3]}")
    tab.wait_until_idle()
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
    tab.look("background-light")
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
    tab.look("untrusted-light")
    assert "Done 10 tasks" in " ".join(tab.text(1).split())


def test_failures_are_shown_as_text(open_notebook: OpenNotebook) -> None:
    failing = "refs = [fit.remote(n) for n in (1, -1, -2, 4)]\nnbray.wait(refs, num_returns=4)\n'waited'"
    tab = open_notebook([LOAD, failing], theme="JupyterLab Dark")
    tab.run(0)
    tab.run(1)
    tab.wait_for_text(1, "2 failed")
    tab.look("failed-dark")
    assert "fit: ValueError: setting must be <b>positive</b>, got -1" in tab.text(1)
    assert "<b>positive" not in tab.html(1)


def test_notebook_7_shows_the_same(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, "nbray.get([fit.remote(n) for n in range(6)])"], view="notebooks")
    tab.run(0)
    tab.start(1)
    tab.wait_for_text(1, "Running")
    tab.look("running-notebook7")
    tab.wait_until_idle()
    tab.wait_for_text(1, "Done")


REMOTE_CELL = """%%remote
import matplotlib.pyplot as plt
import numpy as np
x = np.linspace(0, 6)
print("drawn by", "a worker")
plt.figure(figsize=(4, 2)); plt.plot(x, np.sin(x))
total = float(x.sum())
"""
FAILING_CELL = """%%remote
def mean(values):
    count = len(values)
    return sum(values) / count

mean([])
"""


@VIEWS
def test_a_remote_cell_its_error_and_the_debugger(open_notebook: OpenNotebook, view: str) -> None:
    tab = open_notebook([LOAD, REMOTE_CELL, "round(total)", FAILING_CELL, "%debug"], view)
    tab.run(0)
    assert "drawn by a worker" in tab.run(1)
    assert "data:image/png" in tab.html(1)
    assert "150" in tab.run(2)
    tab.look(f"remote-cell-{view[:3]}")
    shown = tab.run(3)
    assert "----> 4     return sum(values) / count" in shown
    assert "ZeroDivisionError: division by zero" in shown
    tab.look(f"remote-error-{view[:3]}")
    tab.start(4)
    tab.answer("p count, values")
    tab.wait_for_text(4, "(0, [])")
    tab.look(f"debugger-{view[:3]}")
    tab.answer("q")
    tab.wait_until_idle()


PARALLEL_CELL = """%%parallel for setting in [3, 1, -1, 2]
time.sleep(0.3)
if setting < 0:
    raise ValueError(f"setting must be positive, got {setting}")
print("fitted", setting)
setting * 10
"""


@VIEWS
def test_a_cell_for_each_item_counts_them_and_keeps_the_others_of_a_failure(open_notebook: OpenNotebook, view: str) -> None:
    tab = open_notebook([LOAD, PARALLEL_CELL, "_"], view)
    tab.run(0)
    tab.start(1)
    tab.wait_for_text(1, "Running")
    tab.wait_until_idle()
    shown = tab.text(1)
    tab.look(f"parallel-{view[:3]}")
    assert "1 failed" in shown
    assert "fitted 3" in shown
    assert "ValueError: setting must be positive, got -1" in shown
    assert re.search(r"\[30, 10, .*ValueError.*, 20\]", tab.run(2))
