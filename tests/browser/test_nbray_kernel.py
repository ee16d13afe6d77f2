"""The kernel "Python 3 (nbray)" as its user meets it: chosen in JupyterLab's launcher, used, restarted."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenTab
from tests.browser.lab import Tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture
def tab(open_tab: OpenTab) -> Tab:
    return open_tab("").launch("Python 3 (nbray)")


def test_it_is_chosen_in_the_launcher_and_needs_nothing_loaded(tab: Tab) -> None:
    page = tab.page
    assert "Python 3 (nbray)" in page.locator(".jp-NotebookPanel-toolbar").inner_text()
    tab.type(0, "%%remote --cpus 1", "import os", "there = os.getpid()", "print('hello from a worker')")
    page.keyboard.press("Shift+Enter")
    tab.wait_for_text(0, "hello from a worker")
    tab.wait_until_idle()
    tab.type(1, "import os; there != os.getpid()")
    page.keyboard.press("Shift+Enter")
    tab.wait_for_text(1, "True")
    tab.look("launched")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    tab.wait_until_idle()
    tab.type(2, "%%remote", "print('after', 'a restart')")
    page.keyboard.press("Shift+Enter")
    tab.wait_for_text(2, "after a restart")
    tab.wait_until_idle()
