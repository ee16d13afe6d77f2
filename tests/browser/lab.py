"""A real JupyterLab (and Notebook 7) in a real Chromium: one server and one browser, a tab for each notebook."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.notebook.kernel import ROOT

CHROMIUM = os.environ.get("NBRAY_CHROMIUM", "/usr/bin/chromium")
SETTINGS: dict[str, dict[str, Any]] = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "completer-extension/manager": {"providerTimeout": 40_000},  # IPython's first answer takes a second on a busy machine
}
"""Of JupyterLab, and so of Notebook 7."""
NOT_OURS = (
    "reading 'schema'", "Y.Doc", "favicon", "Failed to load resource", "filebrowser:open-path", "restore the debugger state"
)  # fmt: skip
"""Words of complaints that JupyterLab 4.6 and Notebook 7.6 have without nbray."""


class Server:
    """One Jupyter server, apart from the user's settings, whose notebooks lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._log = (folder / "server.log").open("wb")
        self._process = subprocess.Popen(
            self._command(), env=self._environment(), stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._wait_until_up(60.0)

    def _command(self) -> list[str]:
        port = self.url.rpartition(":")[2]
        options = {
            "ip": "127.0.0.1", "port": port, "ServerApp.port_retries": "0", "IdentityProvider.token": "",
            "ServerApp.password": "", "ServerApp.disable_check_xsrf": "True", "ServerApp.root_dir": str(self.folder),
            "ServerApp.allow_unauthenticated_access": "True", "LabApp.expose_app_in_browser": "True",
            "JupyterNotebookApp.expose_app_in_browser": "True",
        }  # fmt: skip
        flags = [f"--{name}={value}" for name, value in options.items()]
        return [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *flags]

    def _environment(self) -> dict[str, str]:
        places = {}
        for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"):
            places[f"JUPYTER_{name}"] = str(self._place(name.lower()))
        for name in ("SETTINGS_DIR", "WORKSPACES_DIR"):
            places[f"JUPYTERLAB_{name}"] = str(self._place(name.lower()))
        for name, settings in SETTINGS.items():
            file = self._place("settings_dir") / f"@jupyterlab/{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(settings))
        shutil.copytree(ROOT / "nbray" / "notebook" / "kernelspec", self._place("data_dir") / "kernels" / "nbray")
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        return {**os.environ, **places, "IPYTHONDIR": str(self._place("ipython")), "PYTHONPATH": path}

    def _place(self, name: str) -> Path:
        place = self.folder / ".jupyter" / name
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place

    def _wait_until_up(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/api", timeout=1):
                    return
            except (urllib.error.URLError, OSError) as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "server.log").read_text()) from error
                time.sleep(0.1)

    def write_notebook(self, name: str, cells: Sequence[str]) -> None:
        """Put a notebook with these code cells where the server finds it."""
        notebook = nbformat.v4.new_notebook()
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        (self.folder / name).write_text(nbformat.writes(notebook))

    def read_notebook(self, name: str) -> Any:
        """The notebook as it is on the disk."""
        return nbformat.read(self.folder / name, as_version=4)

    def close(self) -> None:
        """Shut the kernels down, then the server."""
        with urllib.request.urlopen(f"{self.url}/api/kernels") as answer:
            kernels = json.loads(answer.read())
        for kernel in kernels:
            request = urllib.request.Request(f"{self.url}/api/kernels/{kernel['id']}", method="DELETE")
            urllib.request.urlopen(request, timeout=20).close()
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(20)
        self._log.close()


class Tab:
    """One page with one open notebook; `complaints` collects page errors and requests to other places."""

    def __init__(self, page: Page, server: Server, name: str) -> None:
        self.page = page
        self.server = server
        self.name = name
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self._complain(f"page error: {error}"))
        page.on("console", self._hear_console)
        page.on("request", self._hear_request)

    def open(self, view: str = "lab/tree", theme: str = "") -> Tab:
        """Open the notebook and wait until its kernel is idle; `view` is "lab/tree" or "notebooks" (Notebook 7)."""
        self.page.goto(f"{self.server.url}/{view}/{self.name}" + ("?reset" if view.startswith("lab") else ""))
        self.page.wait_for_function(_IDLE, timeout=60_000)
        if theme:
            self.command("apputils:change-theme", {"theme": theme})
        return self

    def launch(self, kernel: str) -> Tab:
        """Make a new notebook in JupyterLab, with this kernel chosen in the launcher."""
        self.page.goto(f"{self.server.url}/lab?reset")
        self.page.locator(f'.jp-LauncherCard[data-category="Notebook"][title="{kernel}"]').click(timeout=60_000)
        self.page.wait_for_function(_IDLE, timeout=60_000)
        self.name = str(self.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path"))
        return self

    def type(self, index: int, *lines: str) -> None:
        """Type code into a cell, as its user does."""
        self.page.locator(".jp-Notebook .jp-CodeCell").nth(index).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+End")
        for number, line in enumerate(lines):
            if number:
                self.page.keyboard.press("Enter")
            self.page.keyboard.insert_text(line)

    def answer(self, text: str) -> None:
        """Answer what a cell asks on its standard input."""
        field = self.page.wait_for_selector(".jp-Stdin-input")
        assert field is not None
        field.fill(text)
        field.press("Enter")
        field.wait_for_element_state("hidden")

    def run(self, index: int) -> str:
        """Run a cell, wait until it has ended, and return what it shows."""
        self.page.evaluate(_RUN, [index, True])
        return self.text(index)

    def start(self, index: int) -> None:
        """Run a cell and carry on."""
        self.page.evaluate(_RUN, [index, False])

    def text(self, index: int) -> str:
        """What is seen below a cell."""
        return str(self.page.evaluate(_TEXT, index))

    def html(self, index: int) -> str:
        """The elements below a cell."""
        return str(self.page.evaluate(_TEXT.replace("innerText", "innerHTML"), index))

    def wait_for_text(self, index: int, text: str, seconds: float = 20.0) -> None:
        """Wait until this text is seen below a cell."""
        self.page.wait_for_function(f"([index, text]) => ({_TEXT})(index).includes(text)", arg=[index, text],
                                    timeout=seconds * 1000)  # fmt: skip

    def wait_until_idle(self) -> None:
        """Wait until no cell runs."""
        self.page.wait_for_function(_IDLE, timeout=30_000)

    def command(self, name: str, args: dict[str, Any] | None = None) -> None:
        """Execute one of Jupyter's commands, as its menu would."""
        self.page.evaluate("([name, args]) => window.jupyterapp.commands.execute(name, args)", [name, args or {}])

    def look(self, name: str) -> None:
        """Keep a picture of the page where somebody asked for pictures: NBRAY_PICTURES=folder."""
        folder = os.environ.get("NBRAY_PICTURES")
        if folder:
            (Path(folder) / f"{name}.png").write_bytes(self.page.screenshot())

    def interrupt(self) -> None:
        """Press the Stop button."""
        self.command("notebook:interrupt-kernel")

    def save(self) -> None:
        """Save the notebook."""
        self.command("docmanager:save")

    def _complain(self, text: str) -> None:
        if not any(words in text for words in NOT_OURS):
            self.complaints.append(text)

    def _hear_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._complain(f"console: {message.text}")

    def _hear_request(self, request: Request) -> None:
        if not request.url.startswith((self.server.url, "data:", "blob:")):
            self._complain(f"request to {request.url}")


_IDLE = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
_RUN = """async ([index, wait]) => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = index;
    notebook.deselectAll();
    const done = window.jupyterapp.commands.execute('notebook:run-cell');
    if (wait) await done;
}"""
_TEXT = """(index) => {
    const area = window.jupyterapp.shell.currentWidget.content.widgets[index].node.querySelector('.jp-Cell-outputArea');
    return area ? area.innerText : '';
}"""


@contextmanager
def running_browser(runtime: Path) -> Iterator[Browser]:
    """Chromium without a window, without the outside, which leaves its traces in `runtime`."""
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    with sync_playwright() as playwright:
        environment: dict[str, str | float | bool] = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=quiet, env=environment)
        try:
            yield browser
        finally:
            browser.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
