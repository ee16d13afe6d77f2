"""`%%remote --on NAME` in a real kernel: names stay there, also over a failure, Stop and a restart; what the line refuses."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Kernel, running_kernel

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("namespaces"), "%load_ext nbray", "%nbray start -n 2") as kernel:
        yield kernel


def error(kernel: Kernel, code: str) -> str:
    cell = kernel.run(code)
    assert cell.status == "error", cell.everything()
    return cell.error + cell.stderr  # IPython prints its own UsageError


def test_names_stay_there_and_come_when_they_are_asked_for(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote --on a\nimport os\nx = [1]\nprint('there')\nx")
    assert cell.stdout == "there\n"
    assert "[1]" in cell.data("text/plain")
    assert kernel.run_ok("'x' in globals()").result == "False"
    kernel.run_ok("%%remote --on a -o x y\nx.append(2)\ny = os.getpid()")
    assert kernel.run_ok("x, y != __import__('os').getpid()").result == "([1, 2], True)"


def test_a_namespace_has_results_of_its_own(kernel: Kernel) -> None:
    kernel.run_ok("'here'")
    cell = kernel.run_ok("%%remote --on results\n[1, 2]")
    assert "3" in kernel.run_ok("%%remote --on results\nsum(_)").data("text/plain")
    assert "[1, 2]" in kernel.run_ok(f"%%remote --on results\nOut[{cell.number}]").data("text/plain")
    assert kernel.run_ok("_").result == "'here'"
    kernel.run_ok("%remote drop results")


def test_an_edited_module_is_told_where_the_old_one_is_held(kernel: Kernel) -> None:
    kernel.run_ok("import pathlib\npathlib.Path('held_here.py').write_text('def f(): return 1')\nimport held_here")
    kernel.run_ok("%%remote --on old\nfrom held_here import f\nprint(f())")
    kernel.run_ok("pathlib.Path('held_here.py').write_text('def f(): return 1000')")
    cell = kernel.run_ok("%%remote --on old\nprint(f())")
    assert cell.stdout == "1\n"
    assert "nbray: 1 module edited since the namespace 'old' has imported it: held_here. The old code runs here." in cell.stderr
    assert kernel.run_ok("%%remote --on old\nprint(f())").stderr == ""
    kernel.run_ok("%remote drop old")
    assert kernel.run_ok("%%remote --on old\nprint(held_here.f())").stdout == "1000\n"
    kernel.run_ok("%remote drop old")


def test_loading_the_extension_there_too_changes_nothing(kernel: Kernel) -> None:
    kernel.run_ok("%%remote --on loads\n%load_ext nbray\nx = 1")
    assert "%nbray belongs to the notebook" in kernel.run("%%remote --on loads\nx\n%nbray").everything()
    kernel.run_ok("%remote drop loads")


@pytest.mark.parametrize("busy", [False, True])
def test_a_killed_worker_costs_its_names_and_says_which(kernel: Kernel, busy: bool) -> None:
    kernel.run_ok("%%remote --on killed -o pid\nimport os\ndf, model, pid = 1, 2, os.getpid()")
    pid = int(kernel.run_ok("pid").result)
    if busy:
        cell = kernel.submit("%%remote --on killed\nimport time\nprint('at work', flush=True)\ntime.sleep(60)")
        kernel.until(lambda: "at work" in cell.stdout, 20, cell)
        os.kill(pid, signal.SIGKILL)
        kernel.wait(cell)
    else:
        os.kill(pid, signal.SIGKILL)
        cell = kernel.run("%%remote --on killed\nx = df")
    assert cell.error_name == "ActorDied"
    assert "the namespace 'killed' has died: worker " in cell.error
    assert "SIGKILL" in cell.error
    assert "Lost: df, model, pid. The next %%remote --on killed begins with an empty one." in cell.error
    assert "max_restarts" not in cell.error
    assert "NameError" in error(kernel, "%%remote --on killed\ndf")
    kernel.run_ok("%remote drop killed")


def test_two_namespaces_are_apart(kernel: Kernel) -> None:
    kernel.run_ok("%%remote --on left\nimport os\nside = 'left', os.getpid()")
    kernel.run_ok("%%remote --on right\nimport os\nside = 'right', os.getpid()")
    sides = []
    for name in ("left", "right"):
        kernel.run_ok(f"%%remote --on {name} -o side\npass")
        sides.append(kernel.run_ok("side").result)
    assert [side.split("'")[1] for side in sides] == ["left", "right"]
    assert sides[0].partition(",")[2] != sides[1].partition(",")[2]
    kernel.run_ok("%remote drop left right")


def test_a_failed_cell_shows_its_lines_and_keeps_what_it_had(kernel: Kernel) -> None:
    text = error(kernel, "%%remote --on a\nkept = 7\n1 / 0")
    assert "line 3" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "namespace_cells" not in text
    assert kernel.run_ok("%%remote --on a\nprint(kept)").stdout == "7\n"


def test_a_function_of_an_earlier_cell_is_shown_under_that_cells_number(kernel: Kernel) -> None:
    number = kernel.run_ok("%%remote --on a\ndef broken():\n    raise KeyError('here')").number
    assert f"In[{number}], line 3" in error(kernel, "%%remote --on a\nbroken()")


def test_stop_ends_the_cell_and_leaves_the_namespace(kernel: Kernel) -> None:
    running = kernel.submit("%%remote --on a\nimport time\nbefore = 1\nprint('on', flush=True)\ntime.sleep(60)")
    kernel.until(lambda: "on" in running.stdout, 20, running)
    kernel.interrupt()
    assert kernel.wait(running, 5).error_name == "KeyboardInterrupt"
    assert kernel.run_ok("%%remote --on a\nprint(before, kept)").stdout == "1 7\n"


def test_cells_in_the_background_run_one_after_the_other(kernel: Kernel) -> None:
    kernel.run_ok("%%remote --on a --bg -o n\nn = 1")
    kernel.run_ok("%%remote --on a\nn += 1\nprint(n)")
    assert kernel.run_ok("%%remote --on a\nprint(n)").stdout == "2\n"
    assert kernel.run_ok("n").result == "1"


def test_a_plan_leaves_out_what_is_there(kernel: Kernel) -> None:
    kernel.run_ok("kept = 'the notebook has one too'\nother = 1")
    text = kernel.run_ok("%%remote --on a --plan\nkept, other").stdout
    assert "other  int" in text
    assert "find in its namespace:\n    kept\n" in text


def test_inputs_that_are_named_replace_what_is_there(kernel: Kernel) -> None:
    kernel.run_ok("kept = 'sent'")
    assert kernel.run_ok("%%remote --on a -i kept\nprint(kept)").stdout == "sent\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--on a --timeout 5", "--timeout with --on: a cell in a namespace has no time limit: Stop ends it"),
        ("--on a --retries 1", "--retries with --on: a namespace whose worker died has lost its names"),
        ("--on a/b", "'a/b' is no name of a namespace: expected letters, digits"),
        ("--on b --cpus 99", "99"),
        ("--on b --memory lots", "lots"),
        ("--no b", "there is no --no"),
    ],
)
def test_bad_lines_are_refused(kernel: Kernel, line: str, message: str) -> None:
    assert message in error(kernel, f"%%remote {line}\n1")


def test_a_dead_worker_is_reported_with_what_is_lost(kernel: Kernel) -> None:
    kernel.run_ok("%%remote --on mortal\ntable = [1]")
    text = error(kernel, "%%remote --on mortal\nimport os\nos._exit(4)")
    assert "the namespace 'mortal' has died" in text
    assert "Lost: table." in text
    assert "NameError" in error(kernel, "%%remote --on mortal\ntable")


def test_a_namespace_outlives_the_kernel(kernel: Kernel) -> None:
    kernel.run_ok("%%remote --on a\nfrom_before = 'the restart'")
    kernel.restart()
    kernel.run_ok("%load_ext nbray")
    assert kernel.run_ok("%%remote --on a\nprint(from_before)").stdout == "the restart\n"
