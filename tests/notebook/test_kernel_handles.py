"""Handles of large values in a real kernel: shown, completed, passed on and changed, as a user meets them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Cell, Kernel, running_kernel

pytestmark = pytest.mark.local

MAKE = """%%remote
import numpy as np, pandas as pd
array = np.arange(300_000.0).reshape(-1, 3)
frame = pd.DataFrame(array, columns=["x", "y", "z"]).assign(name="n")
words = ["w%d" % number for number in range(200_000)]
"""

COUNT = """
import nbray
from nbray.engine import transport
sent = [0]
def counting(connection, buffer, send=transport.send):
    before = len(buffer)
    try:
        return send(connection, buffer)
    finally:
        sent[0] += before - len(buffer)
transport.send = counting
def on_the_wire():
    store = nbray.session.current_backend().snapshot().store
    so_far, sent[0] = sent[0], 0
    return so_far, store.objects, store.used
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """With a cluster from the start, since what a test leaves behind is counted."""
    with running_kernel(tmp_path_factory.mktemp("kernel"), "%load_ext nbray", "%nbray start -n 1", COUNT) as kernel:
        yield kernel


@pytest.fixture
def made(kernel: Kernel) -> Kernel:
    """A kernel whose handles are new."""
    kernel.run_ok(MAKE)
    return kernel


def shown(kernel: Kernel, code: str) -> Cell:
    """A cell that must not fetch anything."""
    cell = kernel.run_ok(code)
    assert cell.stderr == ""
    return cell


def test_a_look_shows_what_it_is_and_where_it_comes_from(made: Kernel) -> None:
    made_by = made.run_ok("from nbray.notebook.cell_runs import RUNS").number - 1
    first = shown(made, "frame").result.splitlines()[0]
    assert first == (
        f"<pandas.DataFrame on the cluster: 100,000 x 4, 3 float64 + 1 str, 2.6 MB, from cell [{made_by}] on worker 0; "
        "fetched when used>"
    )
    [html] = shown(made, "frame").data("text/html")
    assert html.count("<tr") == 6
    assert "100,000 x 3, float64" in shown(made, "array").result
    known = shown(made, "frame.shape, len(frame), array.ndim, array.dtype.kind, len(words)").result
    assert known == "((100000, 4), 100000, 2, 'f', 200000)"


def test_tab_and_shift_tab_fetch_nothing(made: Kernel) -> None:
    for code, found in {"frame.groupb": "groupby", 'frame["n': "name", "array.mea": "mean"}.items():
        reply = made.client.complete(code, len(code), reply=True, timeout=20)["content"]
        assert found in [match.rpartition(".")[2] for match in reply["matches"]]
    inspected = made.client.inspect("array", 5, reply=True, timeout=20)["content"]["data"]["text/plain"]
    assert "100,000 x 3, float64" in inspected
    made.pump(0.2)
    assert made.strays == []
    assert "on the cluster" in shown(made, "frame").result


def test_a_use_fetches_and_says_so_once(made: Kernel) -> None:
    cell = made.run_ok("frame.x.mean(), frame.y.mean()")
    assert cell.stderr.count("nbray: fetched frame (pandas.DataFrame, 2.6 MB) in 0.") == cell.stderr.count("\n") == 1
    assert shown(made, "frame.z.mean()").result
    assert shown(made, "array.get().sum(), array.sum()").result
    assert "nbray: fetched words (list, " in made.run_ok("words[3]").stderr


def test_what_was_fetched_can_be_changed_and_what_is_stored_stays(made: Kernel) -> None:
    made.run_ok('other = nbray.get(frame.ref)\nframe.loc[0, "x"] = 99.0\nframe["new"] = 1')
    assert shown(made, "frame.x[0], other.x[0], list(frame.columns)[-1]").result == "(np.float64(99.0), np.float64(0.0), 'new')"
    assert "[100000 rows x 5 columns]" in shown(made, "frame").result
    cell = made.run_ok("%%remote\nchanged = float(frame.x[0]), 'new' in frame")
    assert shown(made, "changed").result == "(99.0, True)", cell.everything()
    failed = made.run("array[0, 0] = 1.0")
    assert "x = x.copy()" in failed.error
    assert "values.py" not in failed.error


def test_passed_to_another_cell_it_ships_no_bytes(made: Kernel) -> None:
    uses = "%%remote\ntotal = frame.x.sum() + array.sum() + len(words)"
    made.run_ok("frame.x.mean(), array.sum(), words[0]")  # used here, and not changed
    made.run_ok("before = on_the_wire()")
    made.run_ok(uses)
    sent, objects, used = eval(made.run_ok("on_the_wire()").result)
    assert sent < 20_000
    assert eval(made.run_ok("before[1:]").result) == (objects, used)
    made.run_ok("words[0] = 'changed'\n" + "on_the_wire()")
    made.run_ok(uses)
    sent_then, _, used_then = eval(made.run_ok("on_the_wire()").result)
    assert max(sent_then, used_then - used) > 1_000_000


def test_what_keeps_objects_has_names(made: Kernel) -> None:
    made.run_ok("%reset -f out\nboth = [frame, array]\nplain = frame.get()\ndel frame, array")
    made.run_ok("both[1]")
    number = made.run_ok("report = nbray.memory()").number - 1
    names = eval(made.run_ok("[row.names for row in report.rows]").result)
    assert {"both[0]", "plain"} in [set(each) for each in names]
    assert {"both[1]", f"Out[{number}]"} in [set(each) for each in names]
    assert ["words"] in names


def test_code_that_cannot_use_a_handle_says_what_to_type(made: Kernel) -> None:
    failed = made.run("import json\njson.dumps(words)")
    assert failed.error_name == "TypeError"
    assert "x.get() gives it" in failed.error
    assert shown(made, "json.dumps(words.get())[:6]").result == "'[\"w0\",'"


def test_figures_are_drawn_where_pyplot_was_never_imported(kernel: Kernel) -> None:
    cell = kernel.run_ok(
        "%%remote\nimport matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\naxes.plot(range(10))\n"
        "large, others = plt.subplots()\nothers.plot(range(200_000))\nplt.close('all')"
    )
    assert cell.data("image/png") == []
    [small] = shown(kernel, "figure").data("image/png")
    assert len(small) > 1000
    assert shown(kernel, "axes.figure is figure").result == "True"
    [large] = shown(kernel, "large").data("image/png")
    assert len(large) > 1000
    assert "on the cluster" in shown(kernel, "large").result


def test_a_figure_that_a_function_returns_is_drawn(kernel: Kernel) -> None:
    kernel.run_ok(
        "@nbray.remote\ndef draw():\n    from matplotlib.figure import Figure\n    figure = Figure()\n"
        "    figure.subplots().plot([1, 2])\n    return figure"
    )
    assert len(kernel.run_ok("nbray.get(draw.remote())").data("image/png")) == 1


def test_a_cell_shows_its_own_figures_only(kernel: Kernel) -> None:
    kernel.run_ok(
        "@nbray.remote\ndef leave_open():\n    import matplotlib.pyplot as plt\n    plt.plot([1, 2])\n"
        "nbray.get(leave_open.remote())"
    )
    cell = kernel.run_ok("%%remote\nimport matplotlib.pyplot as plt\nplt.plot([2, 1]);")
    assert len(cell.data("image/png")) == 1
