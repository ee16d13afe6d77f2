"""`%%parallel` cells in a real kernel on the local cluster, as a user runs them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Kernel, running_kernel

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """With a cluster from the start, since what a test leaves behind is counted."""
    with running_kernel(tmp_path_factory.mktemp("parallel"), "%load_ext nbray", "%nbray start -n 2") as kernel:
        yield kernel


def value(kernel: Kernel, expression: str) -> str:
    """The repr of an expression in the notebook."""
    return kernel.run_ok(expression).result


def test_the_list_is_what_out_has(kernel: Kernel) -> None:
    kernel.run_ok("import os\nfactor = 3\ndef f(x): return factor * x")
    cell = kernel.run_ok("%%parallel for x in range(4)\nf(x), os.getpid()")
    assert value(kernel, f"[pair[0] for pair in Out[{cell.number}]]") == "[0, 3, 6, 9]"
    assert value(kernel, f"os.getpid() in dict(Out[{cell.number}]).values()") == "False"


def test_two_items_run_side_by_side(kernel: Kernel) -> None:
    kernel.run_ok(
        "%%parallel for me, other in [('a', 'b'), ('b', 'a')] --timeout 20\n"
        "import pathlib, time\npathlib.Path(me).touch()\nwhile not pathlib.Path(other).exists(): time.sleep(0.01)"
    )


def test_prints_name_their_item_and_the_card_counts_items(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%parallel for path in ['a.csv', 'b.csv'] * 6\nprint('read', path)")
    kernel.until(lambda: any("done, 12 tasks" in text for text in cell.data("text/plain")), 10, cell)
    assert re.search(r"\(path='b.csv', worker [01]\) read b.csv\n", cell.stdout)
    assert cell.of("execute_result") == []


def test_failures_stand_beside_results_and_only_they_run_again(kernel: Kernel) -> None:
    kernel.run_ok("bad = {1}\ndef load(x):\n    if x in bad: raise ValueError(f'no {x}')\n    return x")
    cell = kernel.run("%%parallel for x in range(3)\nopen(f'ran{x}', 'a').write('x')\nload(x)")
    assert cell.error_name == "ValueError"
    assert "----> 3 load(x)" in cell.error
    assert "in task x=1 on worker" in cell.error
    assert "nbray/" not in cell.error
    assert "nbray: 1 failed, of 3 items.\n  [1] x=1: ValueError: no 1\n" in cell.stderr
    assert value(kernel, f"[_[0], _[2], _ is Out[{cell.number}]]") == "[0, 2, True]"
    kernel.run_ok("bad.clear()")
    assert kernel.run_ok("%nbray retry").result == "[0, 1, 2]"
    assert value(kernel, f"Out[{cell.number}], [len(open(f'ran{{x}}').read()) for x in range(3)]") == "([0, 1, 2], [1, 2, 1])"


@pytest.mark.parametrize(
    ("how", "error"), [("os._exit(3)", "WorkerDied"), ("raise KeyboardInterrupt", "KeyboardInterrupt"), ("exit()", "SystemExit")]
)
def test_an_item_that_ends_itself_ends_no_other(kernel: Kernel, how: str, error: str) -> None:
    cell = kernel.run(f"%%parallel for x in range(4) --retries 0\nimport os\nif x == 1: {how}\nx")
    assert cell.status == "error"
    assert error in cell.error
    assert re.search(rf"\[1\] x=1: .*{error}", cell.stderr), cell.stderr
    assert value(kernel, "_[0], _[2], _[3]") == "(0, 2, 3)"


def test_an_item_that_takes_too_long_is_ended_alone(kernel: Kernel) -> None:
    cell = kernel.run("%%parallel for x in range(3) --timeout 0.3\nwhile x == 1: pass\nx")
    assert cell.error_name == "TaskTimeout"
    assert value(kernel, "_[0], _[2]") == "(0, 2)"


def test_stop_keeps_what_is_done_and_the_rest_can_follow(kernel: Kernel) -> None:
    kernel.run_ok("import pathlib; go = pathlib.Path('go')")
    cell = kernel.submit(
        "%%parallel for x in range(5)\nimport time\n"
        "print('at', x, flush=True)\nwhile x > 1 and not go.exists(): time.sleep(0.01)\nx"
    )
    kernel.until(lambda: cell.stdout.count("at ") >= 4, 20, cell)
    pressed = time.monotonic()
    kernel.interrupt()
    assert kernel.wait(cell).error_name == "KeyboardInterrupt"
    assert time.monotonic() - pressed < 2
    assert "nbray: 3 not run to the end, of 5 items.\n" in cell.stderr
    assert "nbray/" not in cell.error
    assert value(kernel, "_") == "[0, 1, None, None, None]"
    kernel.run_ok("go.touch()")
    assert kernel.run_ok(f"%nbray retry {cell.number}").result == "[0, 1, 2, 3, 4]"


def test_large_results_stay_on_the_cluster_until_they_are_used(kernel: Kernel) -> None:
    kernel.run_ok("%%parallel for n in [100_000, 200_000]\nimport numpy as np\nnp.arange(n);")
    assert value(kernel, "[type(a).__name__ for a in _]") == "['RemoteValue', 'RemoteValue']"
    assert value(kernel, "sum(int(a[-1]) for a in __)") == "299998"


def test_a_cell_behind_lets_the_notebook_go_on(kernel: Kernel) -> None:
    kernel.run_ok("import pathlib; open_gate = pathlib.Path('gate')")
    cell = kernel.run_ok(
        "%%parallel for x in range(3) --bg\nimport time\nprint('item', x)\nwhile not open_gate.exists(): time.sleep(0.01)\nx * x"
    )
    says = f"nbray: 3 items in the background; then Out[{cell.number}] has the list. %nbray cancel {cell.number} stops them.\n"
    assert cell.stdout.startswith(says)
    assert [card.text for card in cell.of("display_data")] != []  # before the cell ends: later ones are lost in nbclient
    assert kernel.run_ok("%%parallel for x in [] --bg\nx").result == "[]"
    busy = kernel.run(f"%nbray retry {cell.number}")
    assert f"%nbray retry {cell.number}: [{cell.number}] still runs in the background" in busy.error
    kernel.run_ok("open_gate.touch()")
    kernel.until(lambda: kernel.run_ok(f"print({cell.number} in Out)").stdout == "True\n")
    assert value(kernel, f"Out[{cell.number}]") == "[0, 1, 4]"
    kernel.until(lambda: cell.stdout.count("item ") == 3, cell=cell)


def test_what_fails_behind_is_said_in_its_own_cell(kernel: Kernel) -> None:
    kernel.run_ok("divisor = 0")
    cell = kernel.run_ok("%%parallel for x in range(3) --bg -o y\ny = 6 / (x or divisor)")
    assert f"then it assigns y. %nbray cancel {cell.number}" in cell.stdout
    kernel.until(lambda: "%nbray retry" in cell.stderr, cell=cell)
    assert "nbray: 1 failed, of 3 items.\n  [0] x=0: ZeroDivisionError: " in cell.stderr
    assert "y: the results, with an exception where an item failed." in cell.stderr
    assert value(kernel, "y[1:]") == "[6.0, 3.0]"
    kernel.run_ok("divisor = 1")
    kernel.run_ok(f"%nbray retry {cell.number}")
    assert value(kernel, "y") == "[6.0, 6.0, 3.0]"


def test_a_cell_behind_can_be_cancelled(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%parallel for x in range(6) --bg\nimport time\nif x: time.sleep(60)\nx")
    kernel.run_ok(f"%nbray cancel {cell.number}")
    kernel.until(lambda: "%nbray retry" in cell.stderr, cell=cell)
    assert re.search(r"nbray: [56] not run to the end, of 6 items\.\nOut\[\d+\]: the results, with ", cell.stderr)
