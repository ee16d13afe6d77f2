"""Remote mode: which cells are rewritten, and in a real kernel what is then different and what is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray.notebook.remote_mode import CELL_MAGIC, RemoteMode
from tests.notebook.kernel import Kernel, running_kernel


@pytest.fixture
def mode(shell: InteractiveShell) -> Iterator[RemoteMode]:
    mode = RemoteMode(shell)
    mode.namespace = "main"
    yield mode
    mode.close()


def rewritten(cell: str) -> str:
    return f"get_ipython().run_cell_magic({CELL_MAGIC!r}, 'main', {cell!r})\n"


@pytest.mark.parametrize("cell", ["x = 1\n", "\n# why\nawait f()\n", "%%time\nx = 1\n", "!ls\n", "%nbray\nx = 1\n", "df?\n"])
def test_cells_are_rewritten_as_they_were_typed(mode: RemoteMode, shell: InteractiveShell, cell: str) -> None:
    assert shell.transform_cell(cell) == rewritten(cell)


ABOUT_THE_NOTEBOOK = (
    "\n", "# only words\n", "%nbray\n", "%remote off\n%nbray?\n", "%%remote --bg\nf()\n", "%%parallel for x in y\nf(x)\n",
)  # fmt: skip


@pytest.mark.parametrize("cell", ABOUT_THE_NOTEBOOK)
def test_cells_about_the_notebook_stay(mode: RemoteMode, shell: InteractiveShell, cell: str) -> None:
    assert CELL_MAGIC not in shell.transform_cell(cell)


@pytest.mark.parametrize("where", ["main", None])
@pytest.mark.parametrize("cell", ["%%local\nx = 1\n", "\n  %%local \nx = 1\n"])
def test_a_local_cell_is_one_in_both_modes(mode: RemoteMode, shell: InteractiveShell, cell: str, where: str | None) -> None:
    mode.namespace = where
    assert shell.transform_cell(cell) == "# %%local\nx = 1\n"


def test_a_magic_may_stand_below_the_line(mode: RemoteMode, shell: InteractiveShell) -> None:
    assert shell.transform_cell("%%local\n%%time\nf()\n") == "get_ipython().run_cell_magic('time', '', 'f()\\n')\n"


def test_a_line_with_more_on_it_is_left_to_be_refused(mode: RemoteMode, shell: InteractiveShell) -> None:
    assert shell.transform_cell("%%local now\nf()\n") == "get_ipython().run_cell_magic('local', 'now', 'f()\\n')\n"


def test_whether_a_cell_is_complete_is_asked_of_the_cell(mode: RemoteMode, shell: InteractiveShell) -> None:
    assert shell.input_transformer_manager.check_complete("for x in y:\n")[0] == "incomplete"


def test_it_goes_without_a_trace(shell: InteractiveShell) -> None:
    before = list(shell.input_transformers_cleanup)
    mode = RemoteMode(shell)
    mode.namespace = "main"
    mode.close()
    assert shell.input_transformers_cleanup == before
    assert shell.transform_cell("x = 1\n") == "x = 1\n"


# -------------------------------------------------------------------- in a kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("mode"), "%load_ext nbray", "%nbray start -n 2") as kernel:
        kernel.run_ok("factor = 3\ndef scaled(x): return factor * x")
        assert "in the namespace 'main'" in kernel.run_ok("%remote on").stdout
        yield kernel


@pytest.mark.local
def test_cells_share_a_namespace_on_a_worker(kernel: Kernel) -> None:
    kernel.run_ok("import os\nthere = os.getpid()\ny = scaled(2)")
    assert kernel.run_ok("print(os.getpid() == there, y)").stdout == "True 6\n"
    assert kernel.run_ok("%%local\nprint('y' in globals(), factor)").stdout == "False 3\n"
    assert "6" in kernel.run_ok("y").data("text/plain")


@pytest.mark.local
def test_lines_are_numbered_as_on_the_page(kernel: Kernel) -> None:
    cell = kernel.run("x = 1\nx / 0")
    assert f"In[{cell.number}], line 2" in cell.error
    assert "----> 2 x / 0" in cell.error
    assert CELL_MAGIC not in cell.error


@pytest.mark.local
def test_what_ipython_can_do_works_there(kernel: Kernel) -> None:
    assert "Wall time" in kernel.run_ok("%%time\nz = 2").stdout
    assert kernel.run_ok("import asyncio\nawait asyncio.sleep(0)\nprint(z)").stdout == "2\n"
    assert kernel.run_ok("!echo {z}").stdout == "2\n"
    for name in ("z", "factor"):
        assert any("int" in text for text in kernel.run_ok(f"{name}?").data("text/plain"))
    assert "SyntaxError" in kernel.run("def broken(:").error


@pytest.mark.local
def test_history_keeps_what_was_typed(kernel: Kernel) -> None:
    number = kernel.run_ok("z = 3").number
    assert kernel.run_ok(f"%%local\nprint(get_ipython().history_manager.input_hist_raw[{number}])").stdout == "z = 3\n"


@pytest.mark.local
def test_magics_of_the_notebook_are_refused_in_the_middle_of_a_cell(kernel: Kernel) -> None:
    cell = kernel.run("%nbray status\nz = 1")
    assert cell.stderr == (
        "UsageError: %nbray belongs to the notebook, and this cell runs on a worker: give it a cell of its own\n"
    )
    assert cell.error == ""
    assert "nothing may stand behind %%local" in kernel.run("%%local now\nz").stderr


@pytest.mark.local
def test_cells_that_say_where_they_run_do_run_there(kernel: Kernel) -> None:
    assert kernel.run_ok("%%remote\n%%time\nfrom_task = 'from_task' in globals() or 'there' in globals()").stdout
    assert kernel.run_ok("%%local\nprint(from_task)").stdout == "False\n"


@pytest.mark.local
def test_stop_ends_a_cell_and_leaves_the_names(kernel: Kernel) -> None:
    running = kernel.submit("import time\nbefore = 1\nprint('on', flush=True)\ntime.sleep(60)")
    kernel.until(lambda: "on" in running.stdout, 20, running)
    kernel.interrupt()
    assert kernel.wait(running, 5).error_name == "KeyboardInterrupt"
    assert kernel.run_ok("print(before)").stdout == "1\n"


@pytest.mark.local
def test_what_a_frontend_runs_silently_runs_here(kernel: Kernel) -> None:
    kernel.wait(kernel.submit("seen_by_frontend = 1", silent=True))
    assert kernel.run_ok("%%local\nprint(seen_by_frontend)").stdout == "1\n"


@pytest.mark.local
def test_fetching_and_the_end_of_the_mode(kernel: Kernel) -> None:
    kernel.run_ok("kept = [1]")
    kernel.run_ok("%remote fetch kept")
    assert "the names in 'main' stay there" in kernel.run_ok("%remote off").stdout
    assert kernel.run_ok("print(kept, 'y' in globals())").stdout == "[1] False\n"
    kernel.run_ok("%remote on")
    assert kernel.run_ok("print(y)").stdout == "6\n"
