"""Each notebook runs from top to bottom in a real kernel and shows what its text promises; as committed, it has its pictures."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import nbformat
import papermill
import pytest
from jupyter_core.utils import ensure_event_loop
from nbformat import NotebookNode

from nbray import demo

ensure_event_loop()  # papermill's client keeps one for good: made here, no test is blamed for it
ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(name: str) -> NotebookNode:
    """The notebook after papermill has run it, whose cells are run by nbclient; the first after nbclient alone."""
    source = ROOT / "notebooks" / name
    if name == demo.FIRST:
        notebook, failure = demo.execute(source, sys.stdout)
        assert failure is None
        return notebook
    with tempfile.TemporaryDirectory() as folder:
        return run_with_papermill(source, Path(folder) / name)


def run_with_papermill(source: Path, target: Path) -> NotebookNode:
    """What papermill saves. It knows no tag for errors that belong there, and speaks of them when all cells have run."""
    try:
        papermill.execute_notebook(source, target, cwd=source.parent, progress_bar=False, execution_timeout=demo.CELL_TIMEOUT)
    except papermill.PapermillExecutionError as error:
        print(error)
    notebook: NotebookNode = nbformat.read(target, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.metadata.papermill.status for cell in code] == ["completed"] * len(code)
    return notebook


def shown(cell: NotebookNode) -> str:
    """All text that a cell printed, displayed or raised."""
    parts = []
    for output in cell.outputs:
        data = output.get("data", {})
        parts += [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
        parts += [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in output.get("traceback", [])]
    return "\n".join(parts)


def cell_with(notebook: NotebookNode, text: str) -> NotebookNode:
    found: NotebookNode = next(cell for cell in notebook.cells if cell.cell_type == "code" and text in cell.source)
    return found


def has_picture(cell: NotebookNode) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell.outputs)


def check_errors_are_the_expected_ones(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            failed = any(output.output_type == "error" for output in cell.outputs)
            assert failed == ("raises-exception" in cell.metadata.get("tags", [])), cell.source
            trouble = "".join(output.text for output in cell.outputs if output.get("name") == "stderr")
            assert all(line.startswith("nbray: fetched ") for line in trouble.splitlines()), shown(cell)


def test_the_first_notebook() -> None:
    notebook = run("01_first_cluster.ipynb")
    check_errors_are_the_expected_ones(notebook)
    assert "pictures to learn from" in shown(cell_with(notebook, "%%remote"))
    assert has_picture(cell_with(notebook, "axis.imshow"))
    assert "recognised[10]" in shown(cell_with(notebook, "recognised[10]"))
    stopped = shown(cell_with(notebook, "signal.SIGINT"))
    assert "KeyboardInterrupt" in stopped
    assert re.search(r"cancelled [2-8], finished", stopped)
    assert "<table" in shown(cell_with(notebook, "table.head"))
    assert has_picture(cell_with(notebook, "axis.plot"))
    assert "same scores: True" in shown(cell_with(notebook, "serial / cluster"))
    figures = demo.figures_of(notebook)
    assert (figures.tasks, figures.workers > 0, figures.cluster > 0) == (36, True, True)


def test_the_second_notebook() -> None:
    notebook = run("02_shipping_code_and_data.ipynb")
    check_errors_are_the_expected_ones(notebook)
    assert "[12.0, 24.0, 36.0]" in shown(cell_with(notebook, "rate = 0.2"))
    assert "[15.0, 30.0, 45.0]" in shown(cell_with(notebook, "rate = 0.5"))
    assert "[11, 21, 31]" in shown(cell_with(notebook, "return 1\n"))
    assert shown(cell_with(notebook, "seen = []")).strip().startswith("[0, 1, 2, 3] []")
    assert "read-only" in shown(cell_with(notebook, "view[0, 0] = 1.0"))
    assert "large" in shown(cell_with(notebook, "--plan"))
    assert "_lock" in shown(cell_with(notebook, "class Model"))
    assert "ResultNotShippable" in shown(cell_with(notebook, "open_generator"))
    assert "2 too many" in shown(cell_with(notebook, "class NotEnough"))
    why = shown(cell_with(notebook, "nbray why"))
    assert re.search(r"\[\d+\] ranks = np.argsort.*: .* ok\n\d+ % of the .* was its own code", why)
    assert re.search(r"ranks = np.argsort.* remote +ok .* large \(76 MiB\) +ranks", shown(cell_with(notebook, "nbray history")))


def test_the_third_notebook() -> None:
    notebook = run("03_actors_and_streams.ipynb")
    check_errors_are_the_expected_ones(notebook)
    assert "Actor(Reader" in shown(cell_with(notebook, "class Reader"))
    assert has_picture(cell_with(notebook, "reader.learn.remote"))
    assert re.search(r"\{0: 0\.[89]\d*, 15: 0\.\d+, 30: ", shown(cell_with(notebook, "def read_turned")))
    assert "in order: True" in shown(cell_with(notebook, "class Counter"))
    assert "180 nines; there are 180" in shown(cell_with(notebook, "get_actor"))
    assert "under way at the same time: 1000" in shown(cell_with(notebook, "class Librarian"))
    assert re.search(r"\d+ topics, \d+,\d{3} words", shown(cell_with(notebook, "def words_by_topic")))
    assert has_picture(cell_with(notebook, "plot(*zip(*growth))"))
    assert has_picture(cell_with(notebook, "def noisier"))
    assert "training" in shown(cell_with(notebook, "nbray.progress"))
    assert "best: {" in shown(cell_with(notebook, "GridSearchCV"))
    assert has_picture(cell_with(notebook, "cv_results_"))
    assert "ended by exit code 3" in shown(cell_with(notebook, "class Fragile"))
    assert "calls before: 3, after: 1; the same process: False" in shown(cell_with(notebook, "max_restarts=1"))
    assert "42" in shown(cell_with(notebook, "with Counter"))


def test_the_fourth_notebook() -> None:
    notebook = run("04_when_things_fail.ipynb")
    check_errors_are_the_expected_ones(notebook)
    wrong = shown(cell_with(notebook, "def total"))
    assert "RemoteError(ValueError): not enough values to unpack" in wrong
    assert '_, height = line.split(",")' in wrong
    assert "asked: {'a': 3, 'b': 3, 'c': 3}" in shown(cell_with(notebook, "class Server"))
    died = shown(cell_with(notebook, "def measure"))
    assert re.search(r"ended by SIGSEGV \(signal 11\) while it ran measure(.|\n)*Its last lines:\nsample 13 looks odd", died)
    assert "Counter({'finished': 39, 'died': 1})" in shown(cell_with(notebook, "def outcome"))
    assert "made it" in shown(cell_with(notebook, "def stubborn"))
    poison = shown(cell_with(notebook, "def poison"))
    assert "innocent ones that finished: 1000" in poison
    assert re.search(r"SIGABRT \(signal 6\) while it ran poison, attempt 3", poison)
    late = shown(cell_with(notebook, "def nap"))
    assert all(text in late for text in ("GetTimeoutError: ", "slept 1.5 s", "TaskTimeout: nap ran longer", "cancelled=100"))
    full = shown(cell_with(notebook, "fill_store"))
    assert "in the store or on disk: [0, 1, 2, 3, 4]" in full
    assert "StoreFull: The store has no room for 76.29 MiB" in full
    assert "ClusterDied: The cluster" in shown(cell_with(notebook, "kill_scheduler"))
    assert "WrongCluster: ObjectRef(parse, gone with its cluster)" in shown(cell_with(notebook, "nbray.get(heights[0])"))
    assert re.search(r"kill_workers\(seed=4\): \d+ faults? in \d+\.\d s", shown(cell_with(notebook, "chaos.kill_workers")))
    assert has_picture(cell_with(notebook, "left.imshow"))
    assert "the same picture: True" in shown(cell_with(notebook, "stall_workers"))


def test_the_fifth_notebook() -> None:
    notebook = run("05_remote_mode.ipynb")
    check_errors_are_the_expected_ones(notebook)
    assert "mean radius" in shown(cell_with(notebook, "describe()"))
    assert shown(cell_with(notebook, '"patients" in globals()')).strip() == "False"
    assert "(False, (569, 31))" in shown(cell_with(notebook, "== here"))
    assert has_picture(cell_with(notebook, "axes.scatter"))
    assert re.search(r"0\.9[78]\d", shown(cell_with(notebook, "_.mean()")))
    assert re.search(r"main +patients +DataFrame +569 x 31", shown(cell_with(notebook, "%remote who")))
    assert "((1, 30), 'Pipeline')" in shown(cell_with(notebook, "model[-1]"))
    assert "KeyboardInterrupt" in shown(cell_with(notebook, "time.sleep(0.02)"))
    assert "(True, (569, 31))" in shown(cell_with(notebook, "0 < reached < 999"))
    assert "worst" in shown(cell_with(notebook, "key=importances.get"))
    ranks = shown(cell_with(notebook, "-n 4 -o inside"))
    assert re.findall(r"^rank (\d) of 4: pi is about 3\.1[34]", ranks, re.MULTILINE) == ["0", "1", "2", "3"]
    assert ranks.count('<input type="radio"') == 4
    assert re.search(r"3\.14\d", shown(cell_with(notebook, "4 * sum(inside)")))
    assert "room for 4 ranks: -n 4, or --all" in shown(cell_with(notebook, "-n 400"))
    assert "142 patients" in shown(cell_with(notebook, "--each part0"))
    assert re.search(r"right after one step, 0\.9[67]\d after 29; \d+ ms a step", shown(cell_with(notebook, "STEP")))
    assert "Lost: features, forest, importances, patients." in shown(cell_with(notebook, "string_at(0)"))


def test_the_sixth_notebook() -> None:
    notebook = run("06_explore_data.ipynb")
    check_errors_are_the_expected_ones(notebook)
    assert "336,776 flights and 26,115 hours of weather" in shown(cell_with(notebook, "read_csv"))
    assert re.search(r"3,367,760 flights x 19 columns, 4\d\d MB", shown(cell_with(notebook, "pd.concat(years")))
    assert "3,367,760 x 19" in shown(cell_with(notebook, "%remote who"))
    assert "False" in shown(cell_with(notebook, "MB in this kernel"))
    assert re.search(r"Frontier Airlines +6850 +21\.9 +834\.0", shown(cell_with(notebook, "late = (")))
    assert has_picture(cell_with(notebook, "pcolormesh"))
    weather = cell_with(notebook, "flights.merge")
    assert "335,220 of 3,367,760 flights have weather" in shown(weather)
    assert has_picture(weather)
    handle = next(cell for cell in notebook.cells if cell.source == "flights")
    assert "pandas.DataFrame on the cluster: 3,367,760 x 19" in shown(handle)
    assert re.search(r"ExpressJet Airlines +CAE +42\.8 +1130", shown(cell_with(notebook, "pd.concat(late_at)")))
    assert re.search(r"4\d\d MB +ready +arena .* flights", shown(cell_with(notebook, "%nbray memory")))
    used = shown(cell_with(notebook, "air_time.max"))
    assert "11.6 hours" in used
    assert "nbray: fetched flights (pandas.DataFrame, 4" in used


def test_the_eighth_notebook() -> None:
    notebook = run("08_tuning.ipynb")
    check_errors_are_the_expected_ones(notebook)
    assert re.search(r"12 forests in \d+\.\d s", shown(cell_with(notebook, "trainer.fit")))
    assert re.search(r"max_depth.*0\.9[0-9]", shown(cell_with(notebook, "best = results.get_best_result()")))
    for search in ('search("random")', 'search("asha"'):
        assert "trials" in shown(cell_with(notebook, search))
    assert has_picture(cell_with(notebook, "all to the end"))
    replayed = cell_with(notebook, "tune.simulate(")
    assert has_picture(replayed)
    assert re.search(r"ASHA, promote\s+missed 99 % in \d+ of 100", shown(replayed))
    assert has_picture(cell_with(notebook, "best so far"))
    assert re.search(r"TPE: \d+ of 40 trials above 0.95", shown(cell_with(notebook, "best so far")))
    assert re.search(r"13 trials; mine: 0\.9\d+", shown(cell_with(notebook, "steered = run.results()")))
    assert re.search(r"5 +6 +0\.166667 +3", shown(cell_with(notebook, "def fragile")))
    going_on = shown(cell_with(notebook, "Tuner.restore"))
    assert "after going on:      {1: 20, 2: 20, 3: 20, 4: 20, 5: 20, 6: 20}" in going_on
    assert "120 steps were taken, 120 different ones" in going_on
    assert "no trial has reported 'loss'" in shown(cell_with(notebook, "def silent"))
    assert re.search(r"20 empty trials: \d\.\d+ s; 1,000 trials", shown(cell_with(notebook, "def millisecond")))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_as_committed_it_shows_its_outputs_and_nothing_of_the_machine(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    check_errors_are_the_expected_ones(notebook)
    text = path.read_text()
    assert len(text) < 400_000
    assert re.findall(r"/(?:root|home|work|tmp|usr|opt)/[^\s\"\\]*", text) == []
