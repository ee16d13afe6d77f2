"""The one server and the one browser that all tests of this folder share (it is a package for their scope)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from playwright.sync_api import Browser

from tests.browser.lab import Server, Tab, running_browser

OpenNotebook = Callable[..., Tab]
"""`open_notebook(cells, view="lab/tree", theme="")`: a tab with these cells, its kernel idle."""

OpenTab = Callable[[str], Tab]
"""`open_tab(name)`: an empty tab, for a notebook of that name."""


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def open_tab(server: Server, browser: Browser) -> Iterator[OpenTab]:
    """Opens tabs; at the end no page may have complained, and no kernel of the test is left."""
    tabs: list[Tab] = []

    def open_one(name: str) -> Tab:
        page = browser.new_context(viewport={"width": 1300, "height": 900}).new_page()
        tabs.append(Tab(page, server, name))
        return tabs[-1]

    yield open_one
    for tab in tabs:
        tab.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        tab.page.context.close()
    assert [complaint for tab in tabs for complaint in tab.complaints] == []


@pytest.fixture
def open_notebook(server: Server, open_tab: OpenTab, request: pytest.FixtureRequest) -> OpenNotebook:
    """Opens notebooks that the test has written."""
    names: list[str] = []

    def open_one(cells: Sequence[str], view: str = "lab/tree", theme: str = "") -> Tab:
        names.append(f"{request.node.name.partition('[')[0]}_{len(names)}.ipynb")
        server.write_notebook(names[-1], cells)
        return open_tab(names[-1]).open(view, theme)

    return open_one
