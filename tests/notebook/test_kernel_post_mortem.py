"""`%debug` after remote failures in a real kernel: pdb asks over the stdin channel, as in a notebook."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Kernel, running_kernel

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("debug"), "%load_ext nbray", "%nbray start -n 2") as kernel:
        kernel.run_ok("import nbray\nscale = 3\ndef inner(x):\n    y = x * scale\n    return x / (y - y)")
        yield kernel


def debug(kernel: Kernel, *commands: str, magic: str = "%debug") -> str:
    """What is said in a session with the debugger, without colours; it must end with the last command."""
    cell = kernel.talk(magic, *commands)
    return cell.stdout + cell.stderr + cell.error


def test_a_failed_remote_cell_is_looked_at_where_it_failed(kernel: Kernel) -> None:
    cell = kernel.run("%%remote\nhere = 5\nfor i in range(4, 9):\n    inner(i)")
    assert cell.error_name == "ZeroDivisionError"
    said = debug(kernel, "p x, y, scale", "where", "up", "p here, i", "p inner(3)", "q")
    assert "its variables" not in said
    assert "as it failed on worker" in said
    assert "return x / (y - y)" in said
    assert "(4, 12, 3)" in said
    assert "inner(i)" in said
    assert "(5, 4)" in said
    assert "*** ZeroDivisionError" in said, "what was shipped can be called"


def test_the_worker_is_free_meanwhile(kernel: Kernel) -> None:
    kernel.run("%%remote\nmine = 1\ninner(1)")
    said = debug(kernel, "import nbray", "p nbray.get([nbray.remote(abs).remote(-20), nbray.remote(abs).remote(-30)])", "q")
    assert "[20, 30]" in said


def test_a_failure_of_nested_tasks_is_one_stack(kernel: Kernel) -> None:
    kernel.run_ok(
        "@nbray.remote\ndef leaf(n):\n    secret = n * 2\n    raise ValueError('deep')\n"
        "@nbray.remote\ndef outer(n):\n    m = n + 1\n    return nbray.get(leaf.remote(m))\n"
        "def call():\n    q = 1\n    return nbray.get(outer.remote(q))"
    )
    assert kernel.run("call()").error_name == "RemoteError(ValueError)"
    said = debug(kernel, "p secret", "up", "p m", "up", "p q", "where", "q")
    assert re.findall(r"^\d$", said, re.MULTILINE) == ["4", "2", "1"]
    assert "nbray/" not in said.partition("\n")[2], "none of nbray's own frames"


def test_a_failed_item_of_a_map_too(kernel: Kernel) -> None:
    assert "Zero" in kernel.run("list(nbray.map(inner, [7]))").error_name
    assert "(7, 21)" in debug(kernel, "p x, y", "q")


def test_a_method_of_an_actor_too(kernel: Kernel) -> None:
    kernel.run_ok("@nbray.remote\nclass Box:\n    def __init__(self): self.n = 6\n    def fail(self): return inner(self.n)")
    kernel.run("box = Box.remote()\nnbray.get(box.fail.remote())")
    assert "(6, 18)" in debug(kernel, "p x, y", "up", "p self.n", "q")
    kernel.run_ok("del box")


def test_a_failure_of_the_notebook_itself_is_ipythons(kernel: Kernel) -> None:
    kernel.run("mine = 2\ninner(mine)")
    said = debug(kernel, "p x", "q")
    assert "nbray:" not in said
    assert "\n2\n" in said


def test_any_failed_task_can_be_looked_at_later(kernel: Kernel) -> None:
    kernel.run_ok("@nbray.remote\ndef early(n):\n    return inner(n)\nref = early.remote(8)\n_ = nbray.wait([ref])")
    kernel.run("1 / 0")
    assert "(8, 24)" in debug(kernel, "p x, y", "up", "p n", "q", magic="%nbray debug early")
    [task_id] = kernel.run_ok("nbray.list_tasks(name='early')[0].task_id").data("text/plain")
    assert "(8, 24)" in debug(kernel, "p x, y", "q", magic=f"%nbray debug {task_id[1:-1]}")
    kernel.run_ok("del ref")


def test_a_failed_cell_by_its_number(kernel: Kernel) -> None:
    kernel.run("%%remote\ninner(11)")
    [number] = kernel.run_ok("len(In) - 2").data("text/plain")
    assert "(11, 33)" in debug(kernel, "p x, y", "q", magic=f"%nbray debug {number}")
    assert "(11, 33)" in debug(kernel, "p x, y", "q", magic=f"%nbray debug cell [{number}]")


def test_a_task_that_did_not_fail_gets_the_list(kernel: Kernel) -> None:
    kernel.run("%%remote\ninner(12)")
    said = debug(kernel, magic="%nbray debug nobody")
    assert "%nbray debug nobody: no failure of such a task is kept" in said
    assert "cell [" in said
    assert "division by zero" in said


def test_a_cell_that_never_ran_says_so(kernel: Kernel) -> None:
    kernel.run("%%remote --cpus 4000\n1")
    assert "there are no frames of this InfeasibleRequest" in debug(kernel)
