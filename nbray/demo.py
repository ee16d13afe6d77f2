"""The demo: runs the first notebook in a real kernel, shows each cell in the terminal, keeps the notebook and its HTML."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from nbray.errors import UsageError

if TYPE_CHECKING:
    from nbformat import NotebookNode

FIRST = "01_first_cluster.ipynb"
FIGURES = "application/vnd.nbray.demo+json"
"""The notebook's last cell displays its figures in this format: tasks, workers and the two times."""

NEEDED = {
    "jupyterlab": "jupyterlab",
    "matplotlib": "matplotlib",
    "nbclient": "nbclient",
    "nbconvert": "nbconvert",
    "pandas": "pandas",
    "sklearn": "scikit-learn",
}
"""What the extra `demo` installs: module and distribution."""

CELL_TIMEOUT = 600


@dataclass(frozen=True)
class Figures:
    """What the notebook says it measured; times in seconds."""

    tasks: int
    workers: int
    serial: float
    cluster: float

    def summary(self) -> str:
        """One sentence for the terminal."""
        return (
            f"{self.tasks} settings of a random forest, cross-validated as {self.tasks} tasks on {self.workers} workers, "
            f"took {self.cluster:.1f} s; one after the other they took {self.serial:.1f} s: "
            f"{self.serial / self.cluster:.2f} x faster."
        )


def require_extra() -> None:
    """Raise UsageError with the line to type unless everything that the demo needs is installed."""
    missing = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(
            f"the demo needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; "
            'type: pip install "nbray[demo]" (in a checkout of the source: pip install ".[demo]")'
        )


def notebooks_directory() -> Path:
    """Where the notebooks are: inside an installed package, or beside it in a checkout of the source."""
    package = Path(__file__).parent
    for directory in (package / "_notebooks", package.parent / "notebooks"):
        if (directory / FIRST).exists():
            return directory
    raise UsageError(f"{FIRST} is not in {package}; nbray is not installed whole: install it again")


def copy_notebooks(directory: Path) -> Path:
    """Copy the notebooks where the user may edit them and return the first; what is there already is kept."""
    directory.mkdir(parents=True, exist_ok=True)
    for source in sorted(notebooks_directory().glob("*.ipynb")):
        target = directory / source.name
        if not target.exists():
            shutil.copyfile(source, target)
    return directory / FIRST


class Progress:
    """One line in the terminal for each code cell: its number, its time, what it begins with."""

    def __init__(self, notebook: NotebookNode, out: TextIO) -> None:
        self._code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        self._out = out
        self._started = 0.0

    def on_start(self, cell: NotebookNode, cell_index: int) -> None:
        """Called by nbclient before a cell runs."""
        self._started = time.monotonic()
        if cell_index in self._code and self._out.isatty():
            self._out.write(self._line(cell, cell_index, " running"))
            self._out.flush()

    def on_executed(self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        """Called by nbclient after a cell has run."""
        seconds = f"{time.monotonic() - self._started:6.1f} s"
        failed = execute_reply["content"]["status"] == "error"
        expected = "raises-exception" in cell.metadata.get("tags", [])
        mark = "" if not failed else "  (an error, as it should)" if expected else "  FAILED"
        start = "\r" if self._out.isatty() else ""
        self._out.write(f"{start}{self._line(cell, cell_index, seconds)}{mark}\n")
        self._out.flush()

    def _line(self, cell: NotebookNode, index: int, state: str) -> str:
        first = next((line for line in cell.source.splitlines() if line.strip()), "")
        return f"[{self._code.index(index) + 1:2}/{len(self._code)}] {state}  {first[:76]:76}"


def figures_of(notebook: NotebookNode) -> Figures:
    """What the executed notebook displayed as its figures."""
    for cell in reversed(notebook.cells):
        for output in cell.get("outputs", []):
            if FIGURES in output.get("data", {}):
                return Figures(**output["data"][FIGURES])
    raise UsageError(f"the notebook displays no figures ({FIGURES}); was its last cell edited?")


def execute(source: Path, out: TextIO) -> tuple[NotebookNode, Exception | None]:
    """Run a notebook from top to bottom in a fresh kernel; the executed notebook, and what stopped it."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(source, as_version=4)
    progress = Progress(notebook, out)
    with tempfile.TemporaryDirectory(prefix="nbray-demo-") as profile:
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],
            store_widget_state=False,  # a card of an experiment that has ended is plain HTML
            on_cell_start=progress.on_start,
            on_cell_executed=progress.on_executed,
        )
        try:
            asyncio.run(client.async_execute(env=os.environ | {"IPYTHONDIR": profile}))
        except CellExecutionError as error:
            return notebook, error
    return notebook, None


def to_html(notebook: NotebookNode) -> str:
    """The notebook as one page that needs nothing from elsewhere."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="", mermaid_js_url="")
    page, _ = exporter.from_notebook_node(notebook)
    return str(page)


def run(directory: Path, out: TextIO) -> int:
    """Run the first notebook and save it with its HTML in `directory`; 0 when all went well."""
    import nbformat

    require_extra()
    source = notebooks_directory() / FIRST
    directory.mkdir(parents=True, exist_ok=True)
    out.write(f"Running {FIRST} in a kernel of its own, on a local cluster:\n\n")
    start = time.monotonic()
    notebook, failure = execute(source, out)
    taken = time.monotonic() - start
    target = directory / FIRST
    nbformat.write(notebook, target)
    target.with_suffix(".html").write_text(to_html(notebook), encoding="utf-8")
    saved = f"Saved as {target} and {target.with_suffix('.html').name}. To open it: nbray demo --lab --output {directory}\n"
    if failure is not None:
        out.write(f"\n{failure}\nA cell failed; see above. {saved}")
        return 1
    out.write(f"\n{figures_of(notebook).summary()}\nThe whole notebook took {taken:.0f} s. {saved}")
    return 0


def open_lab(directory: Path) -> None:
    """Become a JupyterLab that shows the first notebook; the process is replaced, so Ctrl-C ends it as usual."""
    require_extra()
    first = copy_notebooks(directory)
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(first)])
