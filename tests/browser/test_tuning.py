"""What a user sees of an experiment in JupyterLab and in Notebook 7."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(150)]

LOAD = """
%load_ext nbray
import time
import nbray
from nbray import tune
from nbray.tune.schedulers import ASHAScheduler

def train(config):
    for step in range(9):
        time.sleep(config["pace"])
        tune.report({"accuracy": 1 - 1 / (step + 2) - 3 * abs(config["lr"] - 0.01) - 0.1 * (config["kind"] is None)})

def tuner(name, trials, pace=0.05, scheduler=None):
    space = {"lr": tune.loguniform(1e-4, 1e-1), "kind": tune.choice(["<b>relu</b>", None]), "pace": pace}
    how = tune.TuneConfig(metric="accuracy", mode="max", num_samples=trials, scheduler=scheduler)
    return tune.Tuner(train, param_space=space, tune_config=how, run_config=tune.RunConfig(name=name, storage_path="results"))

nbray.init(num_workers=2)
"""
HALVING = "grid = tuner('digits', 24, pace=0.2, scheduler=ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3)).fit()"
SLOW = "grid = tuner('slow', 4, pace=0.8).fit(); len(grid)"
CARD = ".nbray-live"
BOKEH = f"{CARD} .bk-Figure"


PRETEND = """
%load_ext nbray
import time
from types import SimpleNamespace
from nbray.tune import observers
from tests.widgets.sample import Story

story = Story()
trials = [story.begin({"x": index}) for index in range(3)]

def show(*values):
    for trial, value in zip(trials, values):
        story.report(trial, value)
    for _ in range(8):
        card.show(story.view)
        time.sleep(0.1)

plan = SimpleNamespace(name="pretended", run=SimpleNamespace(verbose=1))
[card] = observers.observe(SimpleNamespace(plan=plan, view=story.view))
show(0.3, 0.2, 0.1)
while not card._is_live:  # until the page has answered that it has widgets
    card.show(story.view)
    time.sleep(0.1)
"""
"""An experiment whose reports the test makes up."""
ROWS = f"() => [...document.querySelectorAll('{CARD} tbody tr')].map((row) => row.dataset.key).join()"


def look(tab: Tab, name: str) -> None:
    """Keep a picture of the card where somebody asked for pictures: NBRAY_PICTURES=folder."""
    folder = os.environ.get("NBRAY_PICTURES")
    if folder:
        picture = tab.page.locator(".jp-OutputArea-output", has=tab.page.locator("[class=nbray-rows], .nbray-live")).first
        (Path(folder) / f"{name}.png").write_bytes(picture.screenshot())


def drawn(tab: Tab) -> list[str]:
    """The titles of the figures that are really there, below the second cell."""
    return [str(title) for title in tab.page.evaluate(
        """() => [...document.querySelectorAll('img[src^="data:image/svg"]')].filter((each) => each.complete && each.naturalWidth)
            .map((each) => each.alt)"""
    )]  # fmt: skip


def test_a_card_is_live_while_its_cell_runs_and_static_when_saved(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, HALVING])
    tab.run(0)
    tab.start(1)
    tab.page.wait_for_selector(BOKEH, timeout=30_000)
    tab.page.wait_for_selector(f"{CARD} tbody button[data-ask=stop]")
    look(tab, "tune-live")
    tab.wait_for_text(1, "Done", 60)
    tab.page.wait_for_selector(CARD, state="detached")
    assert drawn(tab) == ["Learning curves", "Rungs: who went on, who stayed", "Parallel coordinates"]
    assert "Running" not in tab.text(1)
    assert "<b>relu</b>" in tab.text(1)
    look(tab, "tune-done")
    tab.save()
    tab.page.wait_for_timeout(500)
    outputs = tab.server.read_notebook(tab.name).cells[1].outputs
    [card] = [output.data for output in outputs if output.output_type == "display_data"]
    assert set(card) == {"text/html", "text/plain"}
    assert len(card["text/html"]) < 40_000


def test_buttons_reach_an_experiment_although_its_cell_runs(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, SLOW], theme="JupyterLab Dark")
    tab.run(0)
    tab.start(1)
    tab.page.wait_for_selector(BOKEH, timeout=30_000)
    tab.page.wait_for_selector(f"{CARD} tbody tr[data-key='00001'] button[data-ask=stop]")
    tab.page.click(f"{CARD} tbody tr[data-key='00001'] button[data-ask=stop]")
    tab.page.wait_for_function("() => document.querySelector(\"tr[data-key='00001']\")?.innerText.match(/done|stopped/)")
    tab.page.hover(f"{CARD} tbody tr[data-key='00000']")
    tab.page.wait_for_selector(f"{CARD}.nbray-dim")
    look(tab, "tune-dark")
    tab.page.click(f"{CARD} .nbray-asks button[data-ask=stop]")
    tab.wait_for_text(1, "Stopped", 15)
    tab.wait_for_text(1, "stopped by hand")
    look(tab, "tune-stopped-dark")


def test_rows_stay_where_they_are_while_the_pointer_is_on_them(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([PRETEND, "show(0.4, 0.5, 0.9)"])
    tab.run(0)
    tab.page.wait_for_function(f"({ROWS})() === '00000,00001,00002'")
    tab.page.hover(f"{CARD} tbody tr[data-key='00001'] button[data-ask=stop]")
    tab.run(1)
    tab.page.wait_for_function(f"() => document.querySelector('{CARD} .nbray-score').innerText === '0.9'")
    assert tab.page.evaluate(ROWS) == "00000,00001,00002"
    tab.page.mouse.move(2, 2)
    tab.run(1)
    tab.page.wait_for_function(f"({ROWS})() === '00002,00001,00000'")


def test_a_page_that_was_reloaded_shows_the_live_card_again(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, "run = tuner('reloaded', 4, pace=1.0).start()", "run.stop()"])
    tab.run(0)
    tab.run(1)
    tab.page.wait_for_selector(BOKEH, timeout=30_000)
    tab.save()
    tab.page.wait_for_timeout(500)
    tab.page.reload()
    tab.page.wait_for_selector(BOKEH, timeout=60_000)
    before = tab.page.locator(f"{CARD} .nbray-clock").inner_text()
    tab.page.wait_for_function(
        "([selector, before]) => document.querySelector(selector).innerText !== before", arg=[f"{CARD} .nbray-clock", before]
    )
    tab.run(2)


def test_results_that_are_waited_for_elsewhere_end_the_card_in_its_own_cell(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, "run = tuner('apart', 6, pace=0.1).start()", "len(run.results())"])
    tab.run(0)
    tab.run(1)
    tab.page.wait_for_selector(CARD, timeout=30_000)
    assert tab.run(2).split() == ["[3]:", "6"]
    tab.wait_for_text(1, "Done")
    tab.page.wait_for_selector(CARD, state="detached")
    assert "Done" not in tab.text(2)


def test_a_saved_card_is_readable_in_a_page_that_trusts_nothing(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, HALVING.replace("24", "9")])
    tab.run(0)
    tab.run(1)
    tab.wait_for_text(1, "Done")
    tab.save()
    tab.page.wait_for_timeout(500)
    path = tab.server.folder / tab.name
    path.write_text(path.read_text().replace("max_t=9", "max_t=8"))
    tab.open()
    tab.page.wait_for_function("() => document.querySelectorAll('img[src^=\"data:image/svg\"]').length === 3")
    look(tab, "tune-untrusted")
    assert drawn(tab) == ["Learning curves", "Rungs: who went on, who stayed", "Parallel coordinates"]
    said = " ".join(tab.text(1).split())
    assert re.match(r"Done digits\w* 9 trials [\d.]+ s best 0\.\d+ accuracy, trial \d", said)
    assert "nbray-rows" not in said


def test_notebook_7_shows_the_same(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, HALVING], view="notebooks")
    tab.run(0)
    tab.start(1)
    tab.page.wait_for_selector(BOKEH, timeout=30_000)
    look(tab, "tune-notebook7")
    tab.wait_for_text(1, "Done", 60)
    tab.page.wait_for_selector(CARD, state="detached")
    assert len(drawn(tab)) == 3
