"""What tasks ask, in a real kernel: live pdb and `input()` over the stdin channel, as in a notebook."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Kernel, running_kernel

pytestmark = pytest.mark.local

F = """import nbray
@nbray.remote
def f(i):
    a = i * 10
    breakpoint()
    return a + 1"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("prompts"), "%load_ext nbray", "%nbray start -n 2", F) as kernel:
        yield kernel


def test_a_breakpoint_in_a_cell_opens_pdb_in_it(kernel: Kernel) -> None:
    cell = kernel.talk("%%remote\nx = 3\nprint('before')\nbreakpoint()\ny = x * 2\nz = y + 1", "p x + 40", "n", "p y + 100", "c")
    assert cell.prompts == ["ipdb> "] * 4
    assert cell.stdout.startswith("before\n"), "what was printed before stands above"
    assert "\n43\n" in cell.stdout
    assert "\n106\n" in cell.stdout, "n has run one line of the cell"
    assert "----> 5 y = x * 2" in cell.stdout
    assert "is in the debugger on worker" in cell.stdout
    assert "--Return--" not in cell.stdout, "each statement is a module of its own for IPython, which nobody wants to know"
    assert kernel.run_ok("y, z").result == "(6, 7)"


def test_stepping_ends_with_the_cell_and_not_in_what_runs_it(kernel: Kernel) -> None:
    cell = kernel.talk("%%remote\nbreakpoint()\nx = 1", "n", "w", "n")
    assert "IPython" not in cell.stdout
    assert "nbray/" not in cell.stdout
    assert "hidden frame" not in cell.stdout
    assert kernel.run_ok("%%remote\nimport sys\nprint(sys.gettrace())").stdout.endswith("None\n")


def test_variables_are_changed_where_the_task_goes_on(kernel: Kernel) -> None:
    cell = kernel.talk("nbray.get(f.remote(1))", "!a = 41", "c")
    assert cell.result == "42"


def test_tasks_at_a_breakpoint_are_talked_to_one_after_the_other(kernel: Kernel) -> None:
    said = kernel.talk("nbray.get([f.remote(i) for i in (5, 6, 7)])", *["p ('here', i)", "n", "p ('still', i)", "c"] * 3)
    pairs = re.findall(r"\('(here|still)', (\d)\)", said.stdout)
    assert sorted(number for _, number in pairs) == ["5", "5", "6", "6", "7", "7"]
    assert all(pairs[at][1] == pairs[at + 1][1] for at in (0, 2, 4)), pairs
    assert said.result == "[51, 61, 71]"


def test_pdb_by_its_other_names(kernel: Kernel) -> None:
    cell = kernel.talk("%%remote\nimport pdb\ndef g(q):\n    pdb.set_trace()\n    return q\ng(5)", "p q + 70", "c")
    assert "\n75\n" in cell.stdout
    failing = "import pdb\ndef g(q):\n    return q / 0\ntry:\n    g(3)\nexcept ZeroDivisionError:\n    pdb.post_mortem()"
    cell = kernel.talk(f"%%remote\n{failing}\nprint('went on')", "p q + 70", "up", "q")
    assert "\n73\n" in cell.stdout
    assert "-> g(3)" in cell.stdout
    assert cell.stdout.endswith("went on\n")


def test_a_breakpoint_in_a_namespace_keeps_its_names(kernel: Kernel) -> None:
    kernel.talk("%%remote --on here\nkept = 1\nbreakpoint()\nkept += 1", kernel.interrupt)
    assert kernel.run_ok("%%remote --on here\nprint('kept', kept)").stdout == "kept 1\n"
    kernel.talk("%%remote --on here\nbreakpoint()\nkept += 1", "n", "!kept = 7", "c")
    assert kernel.run_ok("%%remote --on here\nprint('kept', kept)").stdout == "kept 7\n"


def test_a_breakpoint_under_an_await(kernel: Kernel) -> None:
    cell = kernel.talk("print(await f.remote(7))", "p a + 1000", "c")
    assert "1070" in cell.stdout
    assert cell.stdout.endswith("71\n")
    assert kernel.talk("await f.remote(7)", kernel.interrupt, timeout=10).status == "error"


@pytest.mark.parametrize(
    "code", ["nbray.get([f.remote(1), f.remote(2), f.remote(3)])", "%%remote\nbreakpoint()\nx = 1", "%%remote\ninput('name: ')"]
)
def test_stop_ends_the_talk_and_the_tasks(kernel: Kernel, code: str) -> None:
    cell = kernel.talk(code, kernel.interrupt, timeout=10)
    assert cell.error_name == "KeyboardInterrupt"
    assert "ipykernel" not in cell.error
    kernel.until(lambda: "stopped, cancelled" in cell.everything(), 5, cell)
    kernel.pump(0.3)
    assert "waits for input" not in cell.stderr
    assert "KeyboardInterrupt" not in cell.stdout, "once is enough"
    assert kernel.talk("nbray.get(f.remote(4))", "c").result == "41", "nothing stays behind"


def test_stop_runs_what_catches_it_in_the_task(kernel: Kernel) -> None:
    cell = kernel.talk(
        "%%remote\ntry:\n    breakpoint()\n    z = 1\nexcept KeyboardInterrupt:\n    print('tidied')\n    raise", kernel.interrupt
    )
    kernel.until(lambda: "tidied" in cell.stdout, 5, cell)


def test_quitting_ends_the_cell_and_says_so(kernel: Kernel) -> None:
    cell = kernel.talk("%%remote\nbreakpoint()\nx = 1", "q")
    assert cell.error_name == "QuitAtBreakpoint"
    assert cell.error.startswith("QuitAtBreakpoint: q was typed at a breakpoint in the task, which has ended there\nin task cell")
    cell = kernel.talk("nbray.get(f.remote(1))", "q")
    assert "q was typed at a breakpoint" in cell.error


def test_input_asks_in_the_cell(kernel: Kernel) -> None:
    cell = kernel.talk("%%remote\nname = input('who? ')\nprint('hello', name)", "Ada")
    assert cell.prompts == ["who? "]
    assert cell.stdout == "hello Ada\n"
    assert kernel.run_ok("name").result == "'Ada'"
    cell = kernel.talk("%%remote\nfrom getpass import getpass\nprint(len(getpass('key: ')))", "secret")
    assert (cell.prompts, cell.stdout) == (["key: "], "6\n")
    cell = kernel.talk("sorted(nbray.map(lambda i: input('more? ') * 2, range(3)))", "a", "b", "c")
    assert cell.result == "['aa', 'bb', 'cc']"


def test_without_a_frontend_that_takes_input_it_goes_on(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote\nfor i in range(3):\n    breakpoint()\n    print('went on', i)")
    assert cell.stdout.count("goes on from here without a debugger: whoever runs this notebook takes no input") == 1
    assert cell.stdout.endswith("went on 0\nwent on 1\nwent on 2\n")
    cell = kernel.run("%%remote\ninput('name: ')")
    assert "input('name: ') in a task: whoever runs this notebook takes no input" in cell.error
    assert "Ask in the notebook, and give the task the answer" in cell.error


def test_the_time_limit_of_a_task_stands_still(kernel: Kernel) -> None:
    def think() -> None:
        kernel.pump(2)
        kernel.client.input("c")

    cell = kernel.talk("%%remote --timeout 1\nbreakpoint()\nprint('in time')", think)
    assert cell.stdout.endswith("in time\n"), cell.everything()


def test_a_cell_that_has_ended_says_that_its_task_waits(kernel: Kernel) -> None:
    first = kernel.run_ok("ref = f.remote(3)")
    kernel.until(lambda: "f waits for input: %nbray debug asks" in first.stderr, 10, first)
    cell = kernel.talk("%nbray debug", "p a + 500", "c")
    assert f"f of cell [{first.number}] is in the debugger" in cell.stdout
    assert "----> 6     return a + 1" in cell.stdout, "where it stands is said here, too"
    assert "530" in cell.stdout
    assert "530" not in first.stdout
    assert kernel.run_ok("nbray.get(ref)").result == "31"


def test_another_cell_that_waits_asks_too(kernel: Kernel) -> None:
    kernel.run_ok("ref = f.remote(8)")
    assert kernel.talk("nbray.get(ref)", "!a = 1", "c").result == "2"


def test_a_worker_that_dies_ends_the_talk_and_the_next_one_follows(kernel: Kernel) -> None:
    cell = kernel.talk("nbray.get([f.remote(1), f.remote(2)])", "import os", "!os.kill(os.getpid(), 9)")
    assert cell.error_name == "WorkerDied"
    kernel.until(lambda: "f waits for input" in cell.stderr, 5, cell)
    assert kernel.talk("%nbray debug", "p a + 600", "c").stdout.count("is in the debugger") == 1


def test_a_breakpoint_in_a_thread_of_a_task(kernel: Kernel) -> None:
    source = "def t():\n    v = 7\n    breakpoint()\n    print('ends')\nt = threading.Thread(target=t)\nt.start()"
    cell = kernel.talk(f"%%remote -o nothing\nimport threading\nnothing = 0\n{source}\nt.join()", "p v + 80", "c")
    assert "\n87\n" in cell.stdout
    assert cell.stdout.endswith("ends\n")


def test_breakpoints_that_were_set_go_with_the_task(kernel: Kernel) -> None:
    source = "for i in range(2):\n    if i == 0: breakpoint()\n    j = i"
    cell = kernel.talk(f"%%remote --on set\n{source}", "b 4", "c", "p j + 90", "c")
    assert "\n90\n" in cell.stdout
    after = kernel.run_ok("%%remote --on set\nimport bdb, sys\nprint(bdb.Breakpoint.bpbynumber, sys.gettrace())")
    assert after.stdout == "[None] None\n"
    kernel.run_ok("%remote drop set")


def test_a_breakpoint_in_a_task_of_a_task(kernel: Kernel) -> None:
    kernel.run_ok("@nbray.remote\ndef outer(i):\n    return nbray.get(f.remote(i)) * 100")
    assert kernel.talk("nbray.get(outer.remote(1))", "!a = 4", "c").result == "500"
