"""Saved notebooks read without a kernel, a script or the network: as nbconvert shows them, and stripped of all style."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from nbray import demo

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Sanitised(HTMLParser):
    """What is left of a page where scripts, style sheets, styles and all that asks for input are dropped."""

    DROPPED = ("script", "style", "button", "form", "iframe", "object")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.pictures: list[str] = []
        self.tables = 0
        self._inside = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in self.DROPPED:
            self._inside += 1
        elif not self._inside:
            self.tables += tag == "table"
            if tag == "img":
                self.pictures.append(dict(attributes).get("src") or "")
            elif tag == "svg":
                self.pictures.append("svg")
            self.text += "" if tag in ("span", "b", "i", "em", "strong", "code", "a") else " "

    def handle_endtag(self, tag: str) -> None:
        self._inside -= tag in self.DROPPED

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += data


def words(text: str) -> str:
    """Text without colours and with single spaces, as it is compared."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def outputs_of(notebook: NotebookNode) -> Iterator[NotebookNode]:
    for cell in notebook.cells:
        yield from cell.get("outputs", [])


def check_reads_without_help(notebook: NotebookNode) -> Sanitised:
    """All text, tables and pictures of the outputs are on the page that is left when everything active is dropped."""
    page = Sanitised(demo.to_html(notebook))
    shown = words(page.text)
    pictures = tables = 0
    for output in outputs_of(notebook):
        data = output.get("data", {})
        markup = data.get("text/html", "")
        assert WIDGET not in data
        assert not re.search(r"<(script|iframe|link)\b|(?:src|href)=.?http", markup), markup[:300]
        told = [output.get("text", ""), *output.get("traceback", []), Sanitised(markup).text]
        if set(data) == {"text/plain"}:
            told.append(data["text/plain"])
        for text in told:
            for line in filter(None, map(words, text.splitlines())):
                assert line in shown, line
        pictures += "image/png" in data or "image/svg+xml" in data
        tables += markup.count("<table")
    assert len(page.pictures) >= pictures
    assert all(source == "svg" or source.startswith("data:image/") for source in page.pictures)
    assert page.tables >= tables
    return page


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_our_notebooks_read_without_help(path: Path) -> None:
    page = check_reads_without_help(nbformat.read(path, as_version=4))
    assert len(page.text) > 5000


CELLS = {
    "start": "%load_ext nbray\nimport time\nimport nbray\n%nbray start -n 2",
    "remote": (
        "%%remote\nimport sys\nimport numpy as np, pandas as pd\nfrom IPython.display import HTML, Markdown, display\n"
        "print('a line of text')\nsys.stderr.write('a line of trouble\\n')\ndisplay(HTML('<b>bold html</b>'))\n"
        "display(Markdown('**bold markdown**'))\n"
        "table = pd.DataFrame(np.arange(300_000.0).reshape(-1, 3), columns=['left', 'middle', 'right'])\ntable"
    ),
    "handle": "table",
    "figure": "%%remote\nimport matplotlib.pyplot as plt\nfigure, axes = plt.subplots(figsize=(3, 2))\naxes.plot([3, 1, 2]);",
    "returned figure": "figure",
    "tasks": "def half(number):\n    time.sleep(0.05)\n    return number / 2\n\n\nlist(nbray.map(half, range(40)))[:3]",
    "lines of tasks": "def tell(number):\n    print('number', number)\n\n\nlist(nbray.map(tell, range(3)));",
    "progress": (
        "def steps(number):\n    for step in nbray.progress(range(50), 'steps'):\n        time.sleep(0.01)\n\n\n"
        "list(nbray.map(steps, range(4)));"
    ),
    "parallel": "%%parallel for number in range(6)\n1 / (number - 3)",
    "error": "%%remote\nbefore = 1\nbefore / 0",
    "updated": "%%remote\nfrom IPython.display import display\nshown = display('first', display_id=True)\nshown.update('second')",
    "status": "%nbray",
    "memory": "%nbray memory",
    "tasks listed": "nbray.list_tasks(limit=3)",
    "reference": "nbray.put(12345)",
    "namespace": "%%remote --on lab\nkept = 3\nkept",
    "names": "%remote who",
    "history": "%nbray history",
    "why": "%nbray why 6",
    "used": "table.left.sum()",
    "ranks": (
        "%%remote -n 2\nimport matplotlib.pyplot as plt\nprint('rank', rank, 'of', world)\nplt.figure(figsize=(2, 1))\n"
        "plt.plot([rank, 1]);"
    ),
    "plot": "%%remote --plot loss\nfor step in range(200):\n    yield {'loss': 1 / (step + 1)}",
    "generator": "@nbray.remote\ndef count():\n    yield from range(3)\n\n\n[nbray.get(ref) for ref in count.remote()]",
    "doctor": "%nbray doctor",
    "stopped": (
        "import os, signal, threading\nthreading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "list(nbray.map(time.sleep, [60] * 4))"
    ),
}
"""A notebook with every kind of output."""

SHOWS: dict[str, tuple[str, ...]] = {
    "remote": ("a line of text", "a line of trouble", "bold html", "bold markdown", "100000 rows × 3 columns"),
    "handle": ("<pandas.DataFrame on the cluster: 100,000 x 3, 3 float64, 2.4 MB, from cell [2] on worker", "12.0 13.0 14.0"),
    "tasks": ("Done 40 tasks", "[0.0, 0.5, 1.0]"),
    "lines of tasks": ("number 0", "number 1", "number 2"),
    "progress": ("100% · 200/200, 4 of 4 bars", "Done 4 tasks"),
    "parallel": ("1 failed, of 6 items", "ZeroDivisionError"),
    "error": ("before / 0", "ZeroDivisionError: division by zero", "in task cell [10] on worker"),
    "updated": ("second",),
    "status": ("nbray: local cluster", "worker", "cell [10]"),
    "memory": ("store: ", "table", "Out[3]"),
    "tasks listed": ("FINISHED",),
    "reference": ("object · ready", "12345"),
    "namespace": ("3",),
    "names": ("lab", "kept", "int"),
    "history": ("half",),
    "why": ("%",),
    "used": ("nbray: fetched table (pandas.DataFrame, 2.4 MB) in", "np.float64(14999850000.0)"),
    "ranks": ("rank 0 of 2", "rank 1 of 2"),
    "plot": ("loss", "200"),
    "generator": ("[0, 1, 2]",),
    "doctor": ("kernel", "shared memory"),
    "stopped": ("Stopped", "cancelled 4, finished 0", "KeyboardInterrupt"),
}
"""What must be read in each of them, by words that nothing else on the page has where that is possible."""


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The notebook after nbclient has run it, as it lies on disk."""
    cells = [new_code_cell(source, metadata={"tags": ["raises-exception"]}) for source in CELLS.values()]
    path = tmp_path_factory.mktemp("saved") / "kinds.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    notebook, failure = demo.execute(path, sys.stdout)
    assert failure is None
    nbformat.write(notebook, path)
    saved: NotebookNode = nbformat.read(path, as_version=4)
    return saved


@pytest.mark.parametrize("kind", SHOWS)
def test_each_kind_of_output_is_final_and_readable(every_kind: NotebookNode, kind: str) -> None:
    cell = every_kind.cells[list(CELLS).index(kind)]
    page = words(check_reads_without_help(new_notebook(cells=[cell])).text)
    for text in SHOWS[kind]:
        assert text in page
    for unfinished in ("Running", "running,", "first '"):
        assert unfinished not in page.replace(words(cell.source), "")


@pytest.mark.parametrize(("kind", "count"), [("figure", 1), ("returned figure", 1), ("ranks", 2), ("plot", 1)])
def test_figures_are_pictures_in_the_file(every_kind: NotebookNode, kind: str, count: int) -> None:
    cell = every_kind.cells[list(CELLS).index(kind)]
    assert len(check_reads_without_help(new_notebook(cells=[cell])).pictures) == count


def test_the_whole_is_small_and_valid(every_kind: NotebookNode) -> None:
    nbformat.validate(every_kind)
    assert len(nbformat.writes(every_kind)) < 150_000
    assert "widgets" not in every_kind.metadata
