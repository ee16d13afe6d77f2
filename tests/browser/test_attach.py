"""What a user finds again whose page was reloaded, or whose kernel was restarted, while cells ran."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

LOAD = "%load_ext nbray\n%nbray start -n 2"
STEPS = """%%remote {option}
import time
for step in range({steps}):
    print("step", step)
    time.sleep(0.2)
total = step + 1
"""
READY = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.connectionStatus === 'connected'"
RESTART = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"


def steps(tab: Tab, index: int) -> list[str]:
    return [line for line in tab.text(index).splitlines() if line.startswith("step")]


@pytest.mark.parametrize("view", ["lab/tree", "notebooks"])
def test_after_a_reload_the_output_of_a_running_cell_is_had_again(open_notebook: OpenNotebook, view: str) -> None:
    tab = open_notebook([LOAD, STEPS.format(option="", steps=25), "found = %nbray attach", "total"], view)
    tab.run(0)
    tab.start(1)
    tab.wait_for_text(1, "step 3")
    tab.page.reload()
    tab.page.wait_for_function(READY, timeout=60_000)
    tab.start(2)  # the kernel is busy until the cell has ended
    tab.wait_for_text(2, "step 24", 40)
    tab.wait_until_idle()
    tab.wait_for_text(2, "Done")
    tab.look(f"attach-after-reload-{view.partition('/')[0]}")
    assert steps(tab, 2) == [f"step {number}" for number in range(25)]
    assert "step 24" not in tab.text(1)
    tab.run(3)
    assert "25" in tab.text(3)


def test_a_cell_behind_goes_on_below_the_attach(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, STEPS.format(option="--bg", steps=60), "%nbray attach", "total"])
    tab.run(0)
    tab.run(1)
    tab.wait_for_text(1, "step 3")
    tab.page.reload()
    tab.page.wait_for_function(READY, timeout=60_000)
    tab.start(2)
    tab.wait_for_text(2, "Running")
    tab.look("attach-live")
    tab.wait_for_text(2, "step 59", 40)
    tab.wait_for_text(2, "Done")
    assert steps(tab, 2) == [f"step {number}" for number in range(60)]
    tab.run(3)
    assert "60" in tab.text(3)


def test_after_a_restart_the_cell_goes_on_and_its_name_comes(open_notebook: OpenNotebook) -> None:
    tab = open_notebook([LOAD, STEPS.format(option="", steps=40), "%load_ext nbray\n%nbray attach", "total"])
    tab.run(0)
    tab.start(1)
    tab.wait_for_text(1, "step 9")
    tab.page.evaluate(RESTART)
    tab.start(2)
    tab.wait_for_text(2, "step 39", 40)
    tab.wait_for_text(2, "Done")
    tab.wait_until_idle()
    tab.look("attach-after-restart")
    assert "what its tasks have printed since its kernel was lost" in tab.text(2)
    seen = steps(tab, 1) + steps(tab, 2)
    assert list(dict.fromkeys(seen)) == [f"step {number}" for number in range(40)]
    assert "step 0" not in steps(tab, 2)
    tab.run(3)
    assert "40" in tab.text(3)
