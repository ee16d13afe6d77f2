"""tqdm inside tasks, on a module of its own so that this process's tqdm stays as it is."""

from __future__ import annotations

import subprocess
import sys
import textwrap

CODE = """
import sys
from nbray import session, tqdm_routing
from nbray.engine import task_context
from nbray.engine.task_context import TaskContext
from nbray.progress_board import decode

told = []
tqdm_routing.take_tqdm()
context = TaskContext(1, "work", "cell", 1, "worker 1", lambda task, stream, data: told.append(decode(data)))


def states():
    seen = [(s.desc, s.n, s.total, s.postfix, s.closed, s.leave) for s in told]
    told.clear()
    return seen

"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", CODE + textwrap.dedent(code)], capture_output=True, text=True, check=False)


def test_inside_a_task_bars_are_told_and_not_drawn() -> None:
    ran = run("""
        from tqdm import tqdm, trange
        task_context.enter(context)
        for _ in tqdm([1, 2, 3], desc="one"): pass
        print(states())
        with tqdm(total=5, desc="two", leave=False) as bar:
            bar.set_postfix(loss=1)
            bar.update(2)
        print(states())
        for _ in trange(3, disable=True): pass
        print(states())
    """)
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [
        "[('one', 3.0, 3.0, '', True, True)]", "[('two', 2.0, 5.0, 'loss=1', True, False)]", "[]",
    ]  # fmt: skip


def test_outside_of_tasks_and_into_files_it_draws_as_always() -> None:
    ran = run("""
        import io
        from tqdm import tqdm
        for _ in tqdm([1, 2, 3]): pass
        task_context.enter(context)
        file = io.StringIO()
        for _ in tqdm([1, 2, 3], file=file): pass
        print("3/3" in file.getvalue(), states())
    """)
    assert "3/3" in ran.stderr
    assert ran.stdout == "True []\n"


def test_bars_for_notebooks_become_plain_ones() -> None:
    ran = run("""
        import tqdm.notebook, tqdm.auto
        task_context.enter(context)
        for bar in (tqdm.notebook.tqdm, tqdm.notebook.tqdm_notebook, tqdm.auto.tqdm):
            for _ in bar([1]): pass
        for _ in tqdm.notebook.trange(2): pass
        print(len(states()))
    """)
    assert (ran.stdout, ran.stderr) == ("4\n", "")
