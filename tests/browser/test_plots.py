"""What a user sees of a plot in JupyterLab: live while it comes, static when saved."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(150)]

LOAD = """
%load_ext nbray
import math, random, time
import nbray

@nbray.remote
def train(steps, pace=0.03, lr=1.0):
    chance = random.Random(steps)
    for step in range(steps):
        time.sleep(pace)
        yield {"loss": math.exp(-lr * step / 30) + chance.random() / 10, "acc": 1 - math.exp(-lr * step / 40), "note": "<b>x</b>"}

nbray.init(num_workers=2)
"""
LONG = "items = nbray.plot(train.remote(500), 'loss,acc'); len(items)"
RUNS = "both = nbray.plot({'<i>slow</i>': train.remote(500, lr=0.4), 'fast': train.remote(500, lr=2)}, 'loss', title='two runs')"
CARD = ".nbray-live"
BOKEH = f"{CARD} .bk-Figure"


def look(tab: Tab, name: str) -> None:
    """Keep a picture where somebody asked for pictures: NBRAY_PICTURES=folder."""
    folder = os.environ.get("NBRAY_PICTURES")
    if folder:
        (Path(folder) / f"{name}.png").write_bytes(tab.page.locator(".jp-Notebook").first.screenshot())


def drawn(tab: Tab) -> list[str]:
    """The panels that are really there."""
    return [str(title) for title in tab.page.evaluate(
        """() => [...document.querySelectorAll('img[src^="data:image/svg"]')].filter((each) => each.complete && each.naturalWidth)
            .map((each) => each.alt)"""
    )]  # fmt: skip


def test_a_plot_is_live_while_it_comes_and_static_when_saved(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, LONG])
    tab.run(0)
    tab.start(1)
    tab.page.wait_for_selector(BOKEH, timeout=30_000)
    tab.page.wait_for_timeout(500)
    look(tab, "plot-live")
    tab.wait_for_text(1, "Done", 60)
    tab.page.wait_for_selector(CARD, state="detached")
    assert [title.split()[0] for title in drawn(tab)] == ["loss", "acc"]
    assert "500 items" in tab.text(1)
    look(tab, "plot-done")
    tab.save()
    tab.page.wait_for_timeout(500)
    outputs = tab.server.read_notebook(tab.name).cells[1].outputs
    chart = next(output.data for output in outputs if "img" in output.get("data", {}).get("text/html", ""))
    assert set(chart) == {"text/html", "text/plain"}
    assert len(chart["text/html"]) < 30_000
    assert "<script" not in chart["text/html"]


def test_runs_are_lines_of_one_figure(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, RUNS], theme="JupyterLab Dark")
    tab.run(0)
    tab.start(1)
    tab.page.wait_for_selector(BOKEH, timeout=30_000)
    tab.page.wait_for_timeout(500)
    assert "<i>slow</i>" in tab.text(1)
    look(tab, "plot-runs-dark")
    tab.wait_for_text(1, "Done", 60)
    assert drawn(tab) == ["loss"]
    look(tab, "plot-runs-done-dark")


CELL = """%%remote --plot loss,acc
import math, itertools, time
for step in itertools.count(1):
    time.sleep(0.03)
    yield {"loss": math.exp(-step / 30), "acc": 1 - math.exp(-step / 40)}
"""


def test_a_cell_that_yields_is_drawn_live_and_stopped(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, CELL])
    tab.run(0)
    tab.start(1)
    tab.page.wait_for_selector(BOKEH, timeout=30_000)
    before = tab.page.locator(f"{CARD} .nbray-head").inner_text()
    tab.page.wait_for_function(
        "([selector, before]) => document.querySelector(selector).innerText !== before", arg=[f"{CARD} .nbray-head", before]
    )
    look(tab, "plot-cell-live")
    tab.interrupt()
    tab.wait_for_text(1, "Stopped")
    tab.page.wait_for_selector(CARD, state="detached")
    assert [title.split()[0] for title in drawn(tab)] == ["loss", "acc"]
    tab.wait_until_idle()
    look(tab, "plot-cell-stopped")


def test_notebook_7_shows_the_same(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, LONG], view="notebooks")
    tab.run(0)
    tab.start(1)
    tab.page.wait_for_selector(BOKEH, timeout=30_000)
    look(tab, "plot-notebook7")
    tab.wait_for_text(1, "Done", 60)
    tab.page.wait_for_selector(CARD, state="detached")
    assert [title.split()[0] for title in drawn(tab)] == ["loss", "acc"]
