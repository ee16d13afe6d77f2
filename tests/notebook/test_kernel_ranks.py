"""Cells that run as several ranks, in a real kernel on the local cluster."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Cell, Kernel, running_kernel

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("ranks"), "%load_ext nbray", "%nbray start -n 2") as kernel:
        yield kernel


def remains(cell: Cell) -> list[str]:
    """The text of what stands below the cell in the end."""
    kinds = [output.kind for output in cell.outputs]
    last = len(kinds) - 1 - kinds[::-1].index("clear_output") if "clear_output" in kinds else -1
    return [output.text for output in cell.outputs[last + 1 :] if output.kind != "update_display_data"]


def tabs(cell: Cell) -> str:
    """Of that the pages of the ranks; above them may be a card, on a slow machine."""
    return next(text for text in remains(cell) if text.startswith("--- "))


def test_lines_say_whose_they_are_and_become_tabs(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote -n 2\nprint('step', rank, 'of', world)\nif rank: print('only here')\nrank * 10")
    assert re.search(r"\(rank 1, worker [01]\) step 1 of 2\n", cell.stdout)
    assert re.fullmatch(
        r"--- rank 0 of 2 · worker [01] · .* m?s\nstep 0 of 2\n0\n"
        r"--- rank 1 of 2 · worker [01] · .* m?s\nstep 1 of 2\nonly here\n10",
        tabs(cell),
    )
    html = next(html for html in cell.data("text/html") if "nbray-ranks" in html)
    assert html.count('type="radio"') == 2
    assert "only here" in html


def test_a_rank_that_prints_alone_is_named_too(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote -n 2\nif rank == 0: print('I lead')")
    assert re.search(r"\(rank 0, worker [01]\) I lead\n", cell.stdout)


def test_failures_stand_below_the_tabs(kernel: Kernel) -> None:
    cell = kernel.run("%%remote -n 2 -o x\nprint('begun')\nx = 1 / rank")
    assert cell.error_name == "ZeroDivisionError"
    shown = remains(cell)
    summary, error = shown[shown.index(tabs(cell)) + 1 :][:2]
    assert re.search(r"rank 0 of 2 .* failed\nbegun\n(.*\n)+----> 3 x = 1 / rank\n", tabs(cell))
    assert re.search(r"rank 1 of 2 .*\nbegun$", tabs(cell))
    assert summary.startswith("nbray: 1 of 2 ranks failed; the others ran to their end.\n  rank 0: ZeroDivisionError")
    assert "in task rank 0 on worker" in error
    assert kernel.run_ok("x[1], type(x[0])").result.startswith("(1.0, ")


def test_a_rank_whose_worker_dies_has_a_tab(kernel: Kernel) -> None:
    cell = kernel.run("%%remote -n 2\nimport os\nprint('here', flush=True)\nif rank: os._exit(3)")
    assert cell.error_name == "WorkerDied"
    assert re.search(r"rank 0 of 2 .*\nhere\n--- rank 1 of 2 .* failed\nhere\nWorkerDied: .* exit code 3", tabs(cell))


def test_a_rank_that_takes_too_long_is_ended_alone(kernel: Kernel) -> None:
    cell = kernel.run("%%remote -n 2 --timeout 0.5\nimport time\nprint('on')\nwhile rank: time.sleep(0.01)")
    assert cell.error_name == "TaskTimeout"
    assert re.search(r"rank 0 of 2 .*\non\n--- rank 1 of 2 .* failed\non\nTaskTimeout: rank 1 ran longer", tabs(cell))


def test_stop_ends_all_and_keeps_what_they_said(kernel: Kernel) -> None:
    cell = kernel.submit(
        "%%remote --all\nimport time\nprint('at work', flush=True)\ntry: time.sleep(60)\nfinally: print('tidied')"
    )
    kernel.until(lambda: cell.stdout.count("at work") == 2, 20, cell)
    pressed = time.monotonic()
    kernel.interrupt()
    assert kernel.wait(cell).error_name == "KeyboardInterrupt"
    assert time.monotonic() - pressed < 2
    assert tabs(cell).count("at work\ntidied") == 2
    assert tabs(cell).count("stopped") == 2
    assert kernel.run_ok("%%remote --all -o a\na = 1").status == "ok"


def test_inside_a_longer_cell_the_output_stays_as_it_came(kernel: Kernel) -> None:
    cell = kernel.run_ok("print('mine')\nget_ipython().run_cell_magic('remote', '-n 2', 'print(rank)')")
    assert cell.of("clear_output") == []
    assert "mine" in cell.stdout
    assert re.search(r"\(rank 1, worker \d+\) 1\n", cell.stdout)


def test_the_card_stays_above_the_tabs(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote -n 2\nimport time\ntime.sleep(0.8)\nprint('slept')")
    card, below = remains(cell)
    assert card.startswith("nbray: ")
    assert below.startswith("--- rank 0")
    assert "done, 2 tasks" in cell.data("text/plain")[-1]


def test_clear_output_of_one_leaves_the_others(kernel: Kernel) -> None:
    cell = kernel.run_ok(
        "%%remote -n 2\nfrom IPython.display import clear_output\nprint('one')\nif rank: clear_output()\nprint('two')"
    )
    assert len(cell.of("clear_output")) == 1
    assert re.fullmatch(r"--- rank 0 .*\none\ntwo\n--- rank 1 .*\ntwo", tabs(cell))


def test_each_namespace_is_a_rank(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote --each left right\nseen = rank\nprint('I am', rank)")
    assert re.search(r"\(right, worker \d+\) I am 1\n", cell.stdout)
    assert re.search(r"--- left, rank 0 of 2 .*\nI am 0\n--- right, rank 1 of 2 .*\nI am 1", tabs(cell))
    kernel.run_ok("%%remote --each -o seen\nseen += 1")
    assert kernel.run_ok("seen").result == "[1, 2]"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-n 3", "-n 3: all ranks run at the same time, and the cluster has room for 2 ranks: -n 2, or --all"),
        ("-n 2 --on a", "--ranks with --on: several ranks need several namespaces: name them, as --each a b"),
        ("--each 'q*'", "--each q*: no such namespace lives"),
        ("--all --bg", "--all with --bg: ranks are waited for"),
        ("-n two", "%%remote -n two: expected a whole number, as %%remote -n 4"),
    ],
)
def test_bad_lines(kernel: Kernel, line: str, message: str) -> None:
    assert message in kernel.run(f"%%remote {line}\npass").everything()
