"""What a user sees of an experiment in JupyterLab."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

PRETEND = """
%load_ext nbray
import threading, time
from nbray.tune import observers
from tests.widgets import sample

class Run:
    asked = []
    class plan:
        name = "digits_mlp"
        class run:
            verbose = 1
    def stop(self): self.asked.append(("stop", ""))
    def stop_trial(self, trial): self.asked.append(("stop", trial))
    def pause_trial(self, trial): self.asked.append(("pause", trial))
    def resume_trial(self, trial): self.asked.append(("resume", trial))

run = Run()
"""
LIVE = """
[card] = observers.observe(run)
for step in range(1, 25):
    view = sample.halving(12 + step, running=3)
    card.show(view)
    time.sleep(0.25)
"""


def look(tab: Tab, name: str) -> None:
    """Keep a picture of the card where somebody asked for pictures: NBRAY_PICTURES=folder."""
    folder = os.environ.get("NBRAY_PICTURES")
    if folder:
        (Path(folder) / f"{name}.png").write_bytes(tab.page.locator(".nbray-live").first.screenshot())


def test_a_card_lives_while_its_cell_runs(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([PRETEND, LIVE, "card.close(sample.halving(40), '')", "run.asked"])
    tab.run(0)
    tab.start(1)
    tab.wait_for_text(1, "digits_mlp")
    tab.page.wait_for_selector(".nbray-live canvas, .nbray-live .bk-Figure")
    tab.page.wait_for_timeout(1000)
    look(tab, "tune-live")
    tab.page.click(".nbray-live tbody button[data-ask=stop]")
    tab.wait_until_idle()
    look(tab, "tune-idle")
    tab.run(2)
    tab.page.wait_for_timeout(1000)
    look(tab, "tune-done")
    assert "stop" in tab.run(3)
