"""Kernels that are restarted, killed or left by their page, and what `%nbray attach` brings back of their cells."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebook.kernel import Cell, Kernel, running_kernel

pytestmark = pytest.mark.local

STEPS = """%%remote
import time
for step in range({steps}):
    print("step", step)
    time.sleep(0.2)
total = step + 1
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with running_kernel(tmp_path, "%load_ext nbray", "%nbray start -n 2") as kernel:
        yield kernel
        kernel.run("%nbray stop")


def kill(kernel: Kernel) -> None:
    """The kernel dies, and Jupyter starts another one in its place."""
    kernel.kill()
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=30)


def attach(kernel: Kernel, line: str = "found = %nbray attach") -> Cell:
    kernel.run_ok("%load_ext nbray")
    return kernel.run_ok(line)


def test_a_cell_goes_on_while_its_kernel_is_restarted(kernel: Kernel) -> None:
    cell = kernel.submit(STEPS.format(steps=40))
    kernel.until(lambda: "step 12" in cell.stdout, cell=cell)
    seen = cell.stdout.count("step")
    kernel.restart()
    again = attach(kernel)
    kernel.until(lambda: "step 39" in again.stdout, cell=again)
    first = int(again.stdout.split("step ")[1].split("\n")[0])
    assert 0 < first <= seen  # what the page may not have shown any more comes again
    assert [line for line in again.stdout.splitlines() if line.startswith("step")] == [f"step {n}" for n in range(first, 40)]
    assert "cell [3]: runs" in again.stdout
    kernel.until(lambda: "done, 1 task" in again.data("text/plain")[-1], cell=again)
    assert kernel.run_ok("total").result == "40"
    assert kernel.run_ok("found[3].outcome()").result == "'assigned time, step, total'"


def test_stop_still_stops(kernel: Kernel) -> None:
    cell = kernel.submit(STEPS.format(steps=100))
    kernel.until(lambda: "step 1" in cell.stdout, cell=cell)
    began = time.monotonic()
    kernel.interrupt()
    assert kernel.wait(cell).error_name == "KeyboardInterrupt"
    assert time.monotonic() - began < 1.5
    assert "stopped, cancelled 1" in cell.data("text/plain")[-1]


def test_after_a_kill_all_kinds_of_cells_come_back(kernel: Kernel) -> None:
    kernel.run_ok("import nbray\n@nbray.remote\nclass Counter:\n    def add(self): return 1")
    kernel.run_ok("kept = Counter.options(name='totals', lifetime='detached').remote()\nnbray.get(kept.add.remote())")
    kernel.run_ok("%%remote --on gpu0\ndf = [1, 2]")
    kernel.run_ok("refs = [nbray.apply_async(abs, (-n,)) for n in range(3)]\nnbray.get(refs)")
    kernel.run_ok("%%remote --bg -o bad\nimport time\ntime.sleep(1)\nbad = 1 / 0")
    kernel.run_ok("%%remote --bg --on gpu0 -o there\nimport time\nprint('there')\ntime.sleep(1)\nthere = df + [3]")
    parallel = kernel.submit("%%parallel for n in range(4)\nimport time\nprint('item', n)\ntime.sleep(0.7)\nn * n")
    kernel.until(lambda: "item" in parallel.stdout, cell=parallel)
    kill(kernel)
    again = attach(kernel)
    kernel.until(lambda: "done, 4 tasks" in "".join(again.data("text/plain")), cell=again)
    kernel.until(lambda: "ZeroDivisionError" in again.error, cell=again)
    assert "item" in again.stdout
    assert "there" in again.stdout
    assert kernel.run_ok("there").result == "[1, 2, 3]"
    table = kernel.run_ok("found").result
    lines = [" ".join(line.split()) for line in table.splitlines()]
    assert any("3 results without a name: nbray.get(_[6].refs)" in line for line in lines), table
    assert any("failed, as shown above" in line for line in lines), table
    assert "namespace gpu0 lives df, time, there" in lines
    assert "actor Counter 'totals' lives nbray.get_actor('totals')" in lines
    assert kernel.run_ok("_[9].value").result == "[0, 1, 4, 9]"
    assert kernel.run_ok("import nbray\nnbray.get(found[6].refs)").result == "(0, 1, 2)"
    assert kernel.run("bad").error_name == "NameError"
    kernel.run_ok("nbray.kill(nbray.get_actor('totals'))")


def test_ranks_come_back_as_lists_and_leave_their_cpus(kernel: Kernel) -> None:
    ranks = kernel.submit("%%remote -n 2 -o y\nimport time\nfor n in range(6):\n  print('at', n)\n  time.sleep(0.3)\ny = rank")
    kernel.until(lambda: "at 1" in ranks.stdout, cell=ranks)
    kill(kernel)
    again = attach(kernel)
    kernel.until(lambda: "done, 2 tasks" in "".join(again.data("text/plain")), cell=again)
    assert "(rank 0, worker" in again.stdout
    assert kernel.run_ok("y").result == "[0, 1]"
    assert kernel.run_ok("%%remote\nprint('room for this')").stdout == "room for this\n"


def test_a_namespace_is_found_again(kernel: Kernel) -> None:
    kernel.run_ok("%remote on gpu0")
    cell = kernel.submit("import time\nfor n in range(40):\n    print('at', n)\n    time.sleep(0.2)\ndf = [n]")
    kernel.until(lambda: "at 2" in cell.stdout, cell=cell)
    kernel.restart()
    kernel.run_ok("%load_ext nbray")
    found = kernel.run_ok("%remote on gpu0")
    assert "goes on from an earlier kernel, which left work there: cell [4]. %nbray attach shows" in found.stderr
    assert "in the namespace 'gpu0', where a cell runs. %%local" in found.stdout
    again = kernel.run_ok("%nbray attach")
    kernel.until(lambda: "at 39" in again.stdout, cell=again)
    assert kernel.run_ok("df").shown == ["[39]"]
    assert "which has df, n, time. %%local" in kernel.run_ok("%remote on gpu0").stdout


def test_what_the_page_has_lost_is_shown_again_by_a_kernel_that_lives(kernel: Kernel) -> None:
    cell = kernel.run_ok(STEPS.format(steps=10).replace("%%remote", "%%remote --bg"))
    kernel.until(lambda: "step 1" in cell.stdout, cell=cell)
    again = kernel.run_ok("%nbray attach")
    kernel.until(lambda: "step 9" in again.stdout, cell=again)
    assert "step 9" not in cell.stdout
    assert [line for line in again.stdout.splitlines() if line.startswith("step")] == [f"step {n}" for n in range(10)]
    kernel.until(lambda: "done, 1 task" in again.data("text/plain")[-1], cell=again)
    assert kernel.run_ok("total").result == "10"
    whole = kernel.run_ok(f"%nbray attach {cell.number}")
    assert "all that its tasks have printed" in whole.stdout
    assert whole.stdout.count("step") == 10
    assert "done, 1 task" in whole.data("text/plain")[-2]


BAD_WORDS = {
    "%nbray attach 99": "no cell [99] has had work on this cluster. Those that have: [3]",
    "%nbray attach other.ipynb": "this notebook uses the cluster",
    "%nbray attach 3 4": "%nbray attach takes no 4: expected %nbray attach [CELL|NAME] [--all]",
    "found = %nbray attach\nfound[7]": "%nbray attach has found nothing of a cell [7]; what it has found: [3]",
}


def test_bad_words(kernel: Kernel) -> None:
    kernel.run_ok("%%remote\nx = 1")
    for line, said in BAD_WORDS.items():
        assert said in kernel.run(line).everything()


def test_without_a_cluster_it_says_so_and_starts_none(tmp_path: Path) -> None:
    with running_kernel(tmp_path, "%load_ext nbray") as kernel:
        assert "no cluster of this notebook goes on" in kernel.run_ok("%nbray attach").stdout
        wrong = kernel.run("%nbray attach nothing.ipynb").everything()
        assert "none of your clusters on this machine is called so" in wrong
        assert "no cluster runs" in kernel.run_ok("%nbray").stdout


def notebook_of(folder: Path, runtime: Path, name: str) -> dict[str, str]:
    folder.mkdir()
    return {"XDG_RUNTIME_DIR": str(runtime), "JPY_SESSION_NAME": f"/home/me/{name}.ipynb"}


def test_two_notebooks_share_a_cluster(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as short:  # sockets lie there
        runtime = Path(short)
        train, look = (notebook_of(tmp_path / name, runtime, name) for name in ("train", "look"))
        with (
            running_kernel(tmp_path / "train", "%load_ext nbray", "%nbray start -n 2", env=train, kernel_id="a") as one,
            running_kernel(tmp_path / "look", "%load_ext nbray", env=look, kernel_id="b") as two,
        ):
            one.run_ok(STEPS.format(steps=60).replace("%%remote", "%%remote --bg"))
            joined = two.run_ok("%nbray attach train.ipynb")
            assert "(train.ipynb), which is used there too" in joined.stdout
            assert "1 cell of other notebooks in this cluster: %nbray attach --all" in joined.result
            two.run_ok("%%remote\nprint('mine')")
            both = two.run_ok("%nbray attach --all").result
            assert "another notebook's" in both
            assert "of train.ipynb" in both
            assert "train.ipynb" not in two.run_ok("%nbray").data("text/plain")[0]
            assert "train.ipynb" in two.run_ok("%nbray --all").data("text/plain")[0]
            assert "look.ipynb" not in one.run_ok("%nbray").data("text/plain")[0]
            two.restart()
            again = attach(two, "%nbray attach --all")
            assert "another notebook's" in again.result, "the one that it shared, not one of its own"
            assert "which others use" in two.run_ok("%nbray stop").stdout
            one.kill()
            with running_kernel(tmp_path / "train", "%load_ext nbray", env=train, kernel_id="c") as heir:
                taken = heir.run_ok("%nbray attach")
                assert "(train.ipynb), whose kernel is gone: its work is this notebook's now" in taken.stdout
                heir.until(lambda: "done, 1 task" in taken.data("text/plain")[-1], cell=taken)
                assert "step 59" in taken.stdout
                assert heir.run_ok("total").result == "60"
                heir.restart()
                heir.run_ok("%load_ext nbray")
                assert "goes on from an earlier kernel" in heir.run_ok("%nbray").stdout
                heir.run_ok("%nbray attach")
                assert heir.run_ok("%nbray stop").stdout == "nbray: the cluster has ended, with its tasks and objects.\n"
