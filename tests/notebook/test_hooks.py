"""A real kernel with a real cluster: output finds its cell, cards follow the work, Stop stops."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.wording import NO_MATHEMATICS
from tests.notebook.kernel import Cell, Kernel, running_kernel

pytestmark = pytest.mark.local

SETUP = """
import ctypes, os, subprocess, sys, threading, time
import nbray
from nbray import session
from nbray.notebook import hooks
uninstall = hooks.install(get_ipython())
"""
TASKS = """
nbray.init(num_workers=2)

@nbray.remote
def nap(seconds=0.0):
    time.sleep(seconds)

@nbray.remote
def say(text):
    print(text)

nbray.get([nap.remote(0.05) for _ in range(4)])
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("hooks"), SETUP, TASKS) as kernel:
        yield kernel


def cards(cell: Cell) -> list[str]:
    return [text for text in cell.data("text/plain") if str(text).startswith("nbray:")]


def wire_bytes(cell: Cell) -> int:
    """What the cell's output took on iopub, the headers (about 700 bytes a message) included."""
    return sum(700 + len(json.dumps(output.content)) for output in cell.outputs)


# ---------------------------------------------------------------- output


def test_what_one_task_prints_looks_as_if_the_cell_had_printed_it(kernel: Kernel) -> None:
    cell = kernel.run_ok("nbray.get(say.remote('hello'))")
    assert cell.stdout == "hello\n"


def test_what_a_task_printed_stands_above_its_result_and_its_error(kernel: Kernel) -> None:
    cell = kernel.run_ok(
        "@nbray.remote\ndef talk(n):\n    print('talking')\n    return 1 // n\nnbray.get(talk.remote(1))"
    )
    assert [output.kind for output in cell.outputs] == ["stream", "execute_result"]
    assert [output.kind for output in kernel.run("nbray.get(talk.remote(0))").outputs] == ["stream", "error"]


def test_an_error_shows_the_cell_and_the_task_and_none_of_our_frames(kernel: Kernel) -> None:
    cell = kernel.run("@nbray.remote\ndef divides(n):\n    return 1 // n\n\nnbray.get(divides.remote(0))")
    assert "----> 5 nbray.get(divides.remote(0))" in cell.error
    assert "line 3, in divides\n    return 1 // n" in cell.error
    assert "/nbray/" not in cell.error


def test_a_progress_bar_is_live_and_ends_whole(kernel: Kernel) -> None:
    cell = kernel.run_ok(
        "@nbray.remote\n"
        "def bar():\n"
        "    for n in range(101):\n"
        "        print(f'\\r{n:3} %', end='', file=sys.stderr)\n"
        "        time.sleep(0.005)\n"
        "    print(file=sys.stderr)\n"
        "nbray.get(bar.remote())"
    )
    states = [output.text for output in cell.of("stream")]
    assert 3 <= len(states) <= 20
    assert cell.stderr.endswith("\r100 %\n")


def test_lines_of_several_tasks_name_them(kernel: Kernel) -> None:
    cell = kernel.run_ok("nbray.get([say.remote(n) for n in range(4)])")
    lines = cell.stdout.splitlines()
    assert sorted(line[-1] for line in lines) == list("0123")
    assert all(line.startswith("(say, worker ") for line in lines)


def test_c_code_and_children_print_into_their_cell(kernel: Kernel) -> None:
    cell = kernel.run_ok(
        "@nbray.remote\n"
        "def low():\n"
        "    os.write(1, b'written to 1\\n')\n"
        "    ctypes.CDLL(None).puts(b'put by C')\n"
        "    subprocess.run(['echo', 'from a child'])\n"
        "nbray.get(low.remote())"
    )
    kernel.until(lambda: {"written to 1", "put by C", "from a child"} <= set(cell.stdout.splitlines()), 5, cell)


def test_output_that_comes_later_lands_in_its_own_cell(kernel: Kernel) -> None:
    first = kernel.run_ok(
        "@nbray.remote\n"
        "def threaded():\n"
        "    def later():\n"
        "        time.sleep(0.6)\n"
        "        print('from a thread, late')\n"
        "    threading.Thread(target=later).start()\n"
        "    print('ended')\n"
        "nbray.get(threaded.remote())"
    )
    second = kernel.run_ok(
        "@nbray.remote\n"
        "def slow():\n"
        "    for n in range(3):\n"
        "        time.sleep(0.3)\n"
        "        print('slow', n)\n"
        "ref = slow.remote()"
    )
    third = kernel.run_ok("print('mine'); nbray.get(ref); time.sleep(0.3)")
    assert first.stdout == "ended\nfrom a thread, late\n"
    assert second.stdout == "slow 0\nslow 1\nslow 2\n"
    assert third.stdout == "mine\n"
    [shown] = second.of("display_data")
    kernel.until(lambda: cards(second)[-1].startswith("nbray: done, 1 task"), cell=second)
    last = second.of("update_display_data")[-1]
    assert last.content["transient"]["display_id"] == shown.content["transient"]["display_id"]
    assert third.of("display_data") == []


def test_a_tight_loop_of_prints_costs_little_on_the_wire(kernel: Kernel) -> None:
    cell = kernel.run_ok(
        "@nbray.remote\n"
        "def chatty():\n"
        "    for n in range(2000):\n"
        "        print('line', n, 'of a loop')\n"
        "nbray.get(chatty.remote())"
    )
    expected = "".join(f"line {n} of a loop\n" for n in range(2000))
    assert cell.stdout == expected
    assert wire_bytes(cell) <= 3 * len(expected)


@pytest.mark.slow
def test_a_gigabyte_of_prints_leaves_the_kernel_usable(kernel: Kernel) -> None:
    cell = kernel.submit(
        "@nbray.remote\n"
        "def flood():\n"
        "    line = 'x' * 1023 + '\\n'\n"
        "    for n in range(1024):\n"
        "        print(line * 1024, end='')\n"
        "nbray.get(flood.remote(), timeout=50)"
    )
    kernel.wait(cell, 55)
    assert cell.status == "ok", cell.error
    kernel.pump(0.5)
    assert 250_000 < len(cell.stdout) < 350_000
    hidden = 1024**3 - 256 * 1024
    assert re.search(rf"{hidden:,} bytes more of flood went to /.*/worker-\d.log", cell.everything())
    assert wire_bytes(cell) < 1_000_000
    began = time.monotonic()
    assert kernel.run_ok("nbray.get(say.remote('still here'))").stdout == "still here\n"
    assert time.monotonic() - began < 2


# ---------------------------------------------------------------- cards


def test_longer_work_has_a_card_that_ends_as_static_html(kernel: Kernel) -> None:
    cell = kernel.run_ok("nbray.get([nap.remote(0.25) for _ in range(8)])")
    shown = cell.of("display_data", "update_display_data")
    assert [output.kind for output in shown][0:2] == ["display_data", "update_display_data"]
    assert len({output.content["transient"]["display_id"] for output in shown}) == 1
    assert cards(cell)[0].startswith("nbray: running, ")
    assert cards(cell)[-1].startswith("nbray: done, 8 tasks, 1.")
    html = shown[-1].content["data"]["text/html"]
    assert html.startswith(f'<div class="{NO_MATHEMATICS}"><div style=')
    assert "<script" not in html
    kernel.pump(0.6)
    assert cell.outputs[-1] is shown[-1], "a final card does not change"


def test_the_card_of_a_cell_tells_what_failed_although_nobody_asked(kernel: Kernel) -> None:
    cell = kernel.run_ok(
        "@nbray.remote\n"
        "def fails():\n"
        "    raise ValueError('no such <setting>')\n"
        "refs = [fails.remote()]\n"
        "nbray.wait(refs)"
    )
    assert cards(cell) == [cards(cell)[0]]
    assert cards(cell)[0].splitlines()[1].strip() == "fails: ValueError: no such <setting>"
    assert "ValueError: no such &lt;setting&gt;" in cell.data("text/html")[0]


# ---------------------------------------------------------------- Stop

STUCK = {
    "sleep": "time.sleep(60)",
    "loop": "while True: pass",
    "bare except": "while True:\n        try:\n            time.sleep(60)\n        except:\n            pass",
    "child": "subprocess.run(['sleep', '60'])",
    "numpy": "a = numpy.random.default_rng(0).random((6000, 6000)); numpy.linalg.svd(a)",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", STUCK)
def test_stop_frees_the_cores_within_a_second(kernel: Kernel, kind: str) -> None:
    """Five times in a row in one kernel."""
    cell = kernel.submit(
        f"import numpy\n@nbray.remote\ndef stuck():\n    print('begun')\n    {STUCK[kind]}\n"
        "refs = [stuck.remote() for _ in range(10)]\nnbray.get(refs)"
    )
    kernel.until(lambda: cell.stdout.count("begun") == 2, 20, cell)
    kernel.pump(0.3)
    pressed = time.monotonic()
    kernel.interrupt()
    kernel.wait(cell, 5)
    after = kernel.run_ok("nbray.get([nap.remote(), nap.remote()])")
    freed = time.monotonic() - pressed
    assert cell.error_name == "KeyboardInterrupt"
    assert after.status == "ok"
    assert freed < 1.3, f"{freed:.2f} s until both cores had run something else"
    kernel.until(lambda: cards(cell)[-1].startswith("nbray: stopped, cancelled 10, finished 0"), 5, cell)


def test_stop_cancels_this_cell_only_and_says_how_to_stop_the_others(kernel: Kernel) -> None:
    other = kernel.run_ok("kept = nap.remote(1.5)")
    cell = kernel.submit("mine = [nap.remote(30) for _ in range(3)]\nnbray.get(kept)\nnbray.get(mine)")
    kernel.pump(0.8)
    kernel.interrupt()
    kernel.wait(cell)
    assert cell.error_name == "KeyboardInterrupt"
    assert f"Cell [{other.number}] goes on (1 task): %nbray cancel {other.number} stops it." in cell.stderr
    assert kernel.run_ok("nbray.get(kept)").error == ""
    kernel.until(lambda: cards(cell)[-1].startswith("nbray: stopped, cancelled 3, finished 0"), 5, cell)


def test_stop_in_plain_code_cancels_the_work_of_its_cell(kernel: Kernel) -> None:
    cell = kernel.submit("refs = [nap.remote(30) for _ in range(3)]\ntime.sleep(30)")
    kernel.pump(0.6)
    kernel.interrupt()
    kernel.wait(cell)
    states = kernel.run_ok("nbray.wait(refs, num_returns=3, timeout=5)[1]")
    assert states.result == "[]"


def test_stop_cancels_although_the_cell_catches_it(kernel: Kernel) -> None:
    cell = kernel.submit(
        "refs = [nap.remote(30) for _ in range(3)]\n"
        "try:\n"
        "    nbray.get(refs)\n"
        "except KeyboardInterrupt:\n"
        "    print(len(nbray.wait(refs, num_returns=3, timeout=10)[0]), 'ended while the cell goes on')"
    )
    kernel.pump(0.8)
    kernel.interrupt()
    kernel.wait(cell)
    assert cell.status == "ok"
    assert cell.stdout == "3 ended while the cell goes on\n"
    assert cards(cell)[-1].startswith("nbray: stopped, cancelled 3, finished 0")


def test_stop_in_a_cell_that_awaits_cancels_its_work(kernel: Kernel) -> None:
    cell = kernel.submit("refs = [nap.remote(30)]\nawait refs[0]")
    kernel.pump(0.6)
    kernel.interrupt()
    kernel.wait(cell, 10)
    assert kernel.run_ok("nbray.wait(refs, num_returns=1, timeout=5)[1]").result == "[]"


def test_an_impatient_stop_loses_nothing(kernel: Kernel) -> None:
    for _ in range(5):
        cell = kernel.submit("refs = [nap.remote(30) for _ in range(4)]\nnbray.get(refs)")
        kernel.pump(0.5)
        for _ in range(3):
            kernel.interrupt()
            time.sleep(0.01)
        kernel.wait(cell)
        assert cell.status == "error"
        assert kernel.run_ok("nbray.wait(refs, num_returns=4, timeout=5)[1]").result == "[]"


def test_a_failing_cell_leaves_its_other_tasks_alone(kernel: Kernel) -> None:
    cell = kernel.run("ref = nap.remote(0.5)\n1/0")
    assert cell.error_name == "ZeroDivisionError"
    assert kernel.run_ok("nbray.get(ref)").error == ""


# ---------------------------------------------------------------- wiring


def test_the_job_is_the_kernel(kernel: Kernel) -> None:
    cell = kernel.run_ok("session.current.defaults['job']")
    assert cell.result == repr(Path(kernel.manager.connection_file).stem)


def test_a_cell_run_bears_its_cells_number(kernel: Kernel) -> None:
    cell = kernel.run_ok(
        "nbray.get(nap.remote())\n"
        "[run.label for run in session.current_backend().snapshot().cell_runs if run.cell_run == session.current_cell_run()]"
    )
    assert cell.result == f"['cell [{cell.number}]']"


def test_uninstalling_leaves_a_plain_shell(bare_kernel: Kernel) -> None:
    bare_kernel.run_ok(SETUP + "nbray.init(num_workers=1)\nbefore = len(get_ipython().events.callbacks['post_run_cell'])")
    bare_kernel.run_ok("nbray.get(nbray.remote(print).remote('shown'))")
    cell = bare_kernel.run_ok(
        "uninstall()\nprint([t.name for t in threading.enumerate() if t.name == 'nbray-display'],\n"
        "before - len(get_ipython().events.callbacks['post_run_cell']), nbray.session.current_cell_run())"
    )
    assert cell.stdout == "[] 1 background\n"
    assert bare_kernel.run_ok("nbray.get(nbray.remote(abs).remote(-3))").result == "3"
