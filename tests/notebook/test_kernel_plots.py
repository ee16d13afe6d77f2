"""Cells that yield, and plots, in a real kernel without a page."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Cell, Kernel, running_kernel

pytestmark = [pytest.mark.local, pytest.mark.timeout(120)]

ENDLESS = """%%remote --plot loss
import itertools, os, time
print("pid", os.getpid(), flush=True)
for i in itertools.count():
    yield {"loss": 1 / (i + 1)}
    time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """With a cluster from the start, since what a test leaves behind is counted."""
    folder = tmp_path_factory.mktemp("plots")
    with running_kernel(folder, "%load_ext nbray", "%nbray start -n 2", env={"XDG_CACHE_HOME": str(folder / "c")}) as kernel:
        yield kernel


def chart(cell: Cell) -> list[str]:
    """What the chart of a cell said, one after the other."""
    return [output.text for output in cell.of("display_data", "update_display_data") if "plot of" in output.text]


def test_a_cell_that_yields_is_drawn_and_gives_its_items(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote --plot loss,acc\nfor i in range(30):\n    yield {'loss': 1 / (i + 1), 'acc': i}\nx = 5")
    head, loss, acc = chart(cell)[-1].splitlines()
    assert head == "plot of 30 items"
    assert re.fullmatch(r"  loss  \S+  1 → 0.03333", loss)
    assert re.fullmatch(r"  acc   \S+  0 → 29", acc)
    last = [output for output in cell.of("display_data", "update_display_data") if "plot of" in output.text][-1]
    assert set(last.content["data"]) == {"text/html", "text/plain"}
    assert "<script" not in last.content["data"]["text/html"]
    after = kernel.run_ok(f"print(x, len(_), Out[{cell.number}][-1])")
    assert after.stdout == "5 30 {'loss': 0.03333333333333333, 'acc': 29}\n"


def test_updates_come_as_seldom_as_can_be_read(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote --plot\nimport time\nend = time.time() + 2\nwhile time.time() < end:\n    yield time.time()")
    shown = chart(cell)
    assert 2 <= len(shown) <= 20
    assert int(shown[-1].split()[2].replace(",", "")) > 10_000
    size = sum(len(str(output.content)) for output in cell.of("display_data", "update_display_data"))
    assert size < 500_000


def test_without_plot_it_is_said_where_the_items_are(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote\nfor i in range(3):\n    yield i * i\n'shown'")
    assert cell.stdout == f"nbray: 3 items yielded: _ and Out[{cell.number}]. --plot draws numbers while they come.\n"
    assert "'shown'" in cell.everything()
    assert kernel.run_ok("_").result == "[0, 1, 4]"


def test_a_generator_as_the_last_expression_is_drawn(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote --plot\ndef train(n):\n    for i in range(n):\n        yield i, i * i\ntrain(20)")
    assert chart(cell)[-1].splitlines()[0] == "plot of 20 items"
    assert "generator object" not in cell.everything()
    assert kernel.run_ok("_[-1]").result == "(19, 361)"


def test_a_cell_may_await_and_yield(kernel: Kernel) -> None:
    kernel.run_ok("%%remote --plot n\nimport asyncio\nfor i in range(3):\n    await asyncio.sleep(0.01)\n    yield {'n': i}")
    assert kernel.run_ok("len(_)").result == "3"


def test_what_ends_a_cell_is_said_in_its_chart(kernel: Kernel) -> None:
    cell = kernel.run("%%remote --plot loss\nfor i in range(5):\n    yield i\nraise ValueError('burst')")
    assert cell.error_name == "ValueError"
    assert "----> 4 raise ValueError('burst')" in cell.error
    assert chart(cell)[-1].splitlines()[0] == "plot of 5 items, failed: ValueError: burst"


def test_stop_ends_the_chart(kernel: Kernel) -> None:
    cell = kernel.submit(ENDLESS)
    kernel.until(lambda: len(chart(cell)) > 1, cell=cell)
    kernel.interrupt()
    kernel.wait(cell)
    kernel.until(lambda: "more to come" not in chart(cell)[-1], cell=cell)
    assert cell.error_name == "KeyboardInterrupt"
    assert re.match(r"plot of [\d,]+ items, stopped", chart(cell)[-1])


def test_a_worker_that_dies_cuts_its_chart_off(kernel: Kernel) -> None:
    cell = kernel.submit(ENDLESS)
    kernel.until(lambda: len(chart(cell)) > 1, cell=cell)
    [pid] = re.findall(r"pid (\d+)", cell.stdout)


    os.kill(int(pid), signal.SIGKILL)
    kernel.wait(cell)
    assert cell.error_name == "WorkerDied"
    kernel.until(lambda: "more to come" not in chart(cell)[-1], cell=cell)
    assert re.match(r"plot of [\d,]+ items, cut off: the work that filled it has ended", chart(cell)[-1])


def test_cells_in_namespaces_and_in_the_background_yield_too(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote --on a --plot n\nfor i in range(4):\n    yield i")
    assert chart(cell)[-1].startswith("plot of 4 items")
    assert kernel.run_ok("_").result == "[0, 1, 2, 3]"
    behind = kernel.run_ok("%%remote --bg --plot n\nimport time\nfor i in range(4):\n    yield i\n    time.sleep(0.1)")
    kernel.until(lambda: any(said.startswith("plot of 4 items\n") for said in chart(behind)), cell=behind)
    kernel.until(lambda: kernel.run_ok(f"print({behind.number} in Out)").stdout == "True\n")
    assert kernel.run_ok(f"Out[{behind.number}]").result == "[0, 1, 2, 3]"


def test_a_kept_cell_shows_its_chart_again(kernel: Kernel) -> None:
    cell = "%%remote --cache --plot loss\nfor i in range(4):\n    yield 3 * i"
    first = kernel.run_ok(cell)
    again = kernel.run_ok(cell)
    assert "nothing was run" in again.stderr
    assert chart(first)[-1] == chart(again)[-1]
    assert kernel.run_ok("_").result == "[0, 3, 6, 9]"
    other = kernel.run_ok(cell.replace("--plot loss", "--plot other"))
    assert "nothing was run" not in other.stderr


def test_a_plot_of_the_notebooks_own_generators(kernel: Kernel) -> None:
    kernel.run_ok("import nbray\n@nbray.remote\ndef train(n):\n    for i in range(n):\n        yield {'loss': 1 / (i + 1)}")
    cell = kernel.run_ok("print(1)\nboth = nbray.plot({'a': train.remote(5), 'b': train.remote(9)}, 'loss')\nlen(both['b'])")
    assert chart(cell)[-1].splitlines()[0] == "plot of 14 items"
    assert cell.result == "9"
    kinds = [output.kind for output in cell.outputs]
    assert kinds.index("stream") < kinds.index("display_data")
    failed = kernel.run("nbray.plot(train, 'loss')")
    assert "expected what a call of it gives, as nbray.plot(train.remote(...), 'loss')" in failed.error


@pytest.mark.parametrize(("cell", "message"), [
    ("%%remote\nreturn 5", "SyntaxError: 'return' outside function: a cell is no function: write the value as its last"),
    ("%%remote --plot loss,\nyield 1", "UsageError: 'loss,': a name is empty; expected names with a comma between them"),
    ("%%remote --x epoch\nyield 1", "UsageError: --x epoch: it says what --plot draws against"),
    ("%%remote -n 2\nyield 1", "UsageError: yield: under -n, --all and --each the cell runs several times"),
    ("%%remote -n 2 --plot loss\nx = 1", "UsageError: --plot with --ranks: a chart shows one run of a cell"),
    ("%%parallel for x in range(2)\nyield x", "UsageError: yield: under %%parallel the cell runs several times"),
])  # fmt: skip
def test_misuse_says_what_to_type(kernel: Kernel, cell: str, message: str) -> None:
    ran = kernel.run(cell)
    assert ran.status == "error"
    assert message in ran.error
    assert ran.of("display_data") == []


def test_a_plot_of_nothing_says_so(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote --plot loss\nx = 1")
    assert chart(cell)[-1] == "plot of 0 items\n  no item came: nothing was yielded, and no generator was given"
    wrong = kernel.run_ok("%%remote --plot los\nyield {'loss': 1}")
    assert chart(wrong)[-1] == "plot of 1 item\n  no item has 'los' yet: did you mean loss?"


def test_items_that_cannot_be_sent_are_told(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote\nimport threading\nyield threading.Lock()")
    assert cell.stderr.startswith("nbray: the items stay behind: the items cannot be sent: the items -> [0]: a thread lock.")


def test_a_new_kernel_shows_the_whole_chart_of_a_cell_that_goes_on(fresh_kernel: Kernel) -> None:
    fresh_kernel.run_ok("%nbray start -n 1\nimport pathlib; gate = pathlib.Path('gate')")
    cell = fresh_kernel.run_ok(
        "%%remote --bg --plot n\nimport time\nfor i in range(40):\n    yield 100 + i\n"
        "    time.sleep(0.02)\nwhile not gate.exists():\n    time.sleep(0.01)\nyield 0"
    )
    fresh_kernel.until(lambda: any("plot of 40 items, more" in said for said in chart(cell)), cell=cell)
    fresh_kernel.restart()
    fresh_kernel.run_ok("%load_ext nbray\nimport pathlib")
    found = fresh_kernel.run_ok("found = %nbray attach")
    fresh_kernel.until(lambda: any("plot of 40 items, more" in said for said in chart(found)), cell=found)
    assert re.search(r"  n  \S+  100 → 139", chart(found)[-1])
    fresh_kernel.run_ok("pathlib.Path('gate').touch()")
    fresh_kernel.until(lambda: any("plot of 41 items\n" in said for said in chart(found)), cell=found)
    fresh_kernel.until(lambda: fresh_kernel.run_ok(f"print(found[{cell.number}].value is not None)").stdout == "True\n")
    assert fresh_kernel.run_ok(f"len(found[{cell.number}].value)").result == "41"
    fresh_kernel.run_ok("%nbray stop")


def test_a_magic_within_may_hide_yields(kernel: Kernel) -> None:
    kept = kernel.run_ok("%%remote --plot n\n%%time\nfor i in range(3): yield i")
    assert chart(kept)[-1].startswith("plot of 3 items\n")
    assert kernel.run_ok("_").result == "[0, 1, 2]"
    lost = kernel.run_ok("%%remote\n%%time\nfor i in range(3): yield i")
    assert "nbray: 3 items yielded within a magic do not come back: --plot draws and keeps them" in lost.stderr
