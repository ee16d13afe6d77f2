"""What remote cells find around them, in a real kernel: environment variables, and local modules as they are on disk now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebook.kernel import Kernel, running_kernel

pytestmark = pytest.mark.local

SHOW = "import os\nprint(os.environ.get('LEVEL'), os.environ.get('TITLE'))"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("environment")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[Kernel]:
    with running_kernel(folder, "%load_ext nbray", "%nbray start -n 2") as kernel:
        yield kernel


# -------------------------------------------------------------------- --env


def test_a_cell_has_its_own_variables(kernel: Kernel) -> None:
    assert kernel.run_ok(f"%%remote --env LEVEL=3 TITLE='two words'\n{SHOW}").stdout == "3 two words\n"
    assert kernel.run_ok(f"%%remote\n{SHOW}").stdout == "None None\n", "and no other cell has them"


def test_a_namespace_is_made_with_its_variables(kernel: Kernel) -> None:
    made = kernel.run_ok(f"%%remote --on env --env LEVEL=5\n{SHOW}")
    assert made.stdout == "5 None\n"
    assert "earlier cell" not in made.stderr, "nothing else runs there"
    assert kernel.run_ok(f"%%remote --on env\n{SHOW}").stdout == "5 None\n"
    assert "the namespace 'env' holds runtime_env" in kernel.run(f"%%remote --on env --env LEVEL=6\n{SHOW}").error


def test_ranks_have_them_too(kernel: Kernel) -> None:
    kernel.run_ok("%remote drop env")
    cell = kernel.run_ok("%%remote -n 2 -o level --env LEVEL=7\nimport os\nlevel = os.environ['LEVEL']")
    assert kernel.run_ok("level").result == "['7', '7']", cell.everything()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--env LEVEL", "--env LEVEL: expected NAME=VALUE"), ("--env NBRAY_WORKER=1", "nbray itself sets this one"),
        ("--evn A=1", "did you mean --env?"),
    ],
)  # fmt: skip
def test_what_is_no_variable_is_refused(kernel: Kernel, line: str, said: str) -> None:
    assert said in kernel.run(f"%%remote {line}\n1").everything()


# -------------------------------------------------------------------- edited modules


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    if path.stat().st_mtime_ns <= before:
        os.utime(path, ns=(before + 1_000_000, before + 1_000_000))


def test_an_edited_module_reaches_the_next_cell(kernel: Kernel, folder: Path) -> None:
    write(folder / "steps.py", "def f():\n    return 'first'\n")
    kernel.run_ok("import nbray\nimport steps\nfrom steps import f\n@nbray.remote\ndef task():\n    return f(), steps.f()")
    cell = "%%remote\nprint(f(), steps.f())"
    assert kernel.run_ok(cell).stdout == "first first\n"
    assert kernel.run_ok("nbray.get(task.remote())").result == "('first', 'first')"
    write(folder / "steps.py", "def f():\n    return 'second one'\n")
    assert kernel.run_ok(cell).stdout == "second one second one\n"
    assert kernel.run_ok("nbray.get(task.remote())").result == "('second one', 'second one')"
    assert kernel.run_ok("%%remote\nimport steps as s\nprint(s.f())").stdout == "second one\n"


def test_an_edited_submodule_reaches_the_next_cell(kernel: Kernel, folder: Path) -> None:
    write(folder / "pack" / "__init__.py", "from pack.inner import g\n")
    write(folder / "pack" / "inner.py", "def g():\n    return 1\n")
    kernel.run_ok("import pack\nfrom pack import g\nimport pack.inner as inner")
    cell = "%%remote\nprint(pack.g(), g(), inner.g(), pack.inner.g())"
    assert kernel.run_ok(cell).stdout == "1 1 1 1\n"
    write(folder / "pack" / "inner.py", "def g():\n    return 22\n")
    assert kernel.run_ok(cell).stdout == "22 22 22 22\n"


def test_a_module_that_only_workers_import_is_followed_too(kernel: Kernel, folder: Path) -> None:
    write(folder / "there.py", "value = 1\n")
    cell = "%%remote\nimport there\nprint(there.value)"
    assert kernel.run_ok(cell).stdout == "1\n"
    write(folder / "there.py", "value = 22\n")
    assert kernel.run_ok(cell).stdout == "22\n"


# -------------------------------------------------------------------- inputs that change


def test_what_was_taken_along_does_not_change_afterwards(kernel: Kernel) -> None:
    kernel.run_ok("import numpy as np\nsmall, large = [1], np.zeros(1_000_000)")
    cell = kernel.run_ok("%%remote --bg -o seen\nimport time\ntime.sleep(0.3)\nseen = small[0], large[0], len(small)")
    kernel.run_ok("small.append(2)\nsmall[0] = large[0] = 9")
    kernel.until(lambda: "seen" in kernel.run_ok("[name for name in globals() if name == 'seen']").result, 10, cell)
    assert kernel.run_ok("(seen[0], float(seen[1]), seen[2])").result == "(1, 0.0, 1)"


def test_what_changes_while_it_is_sent_is_said(kernel: Kernel) -> None:
    kernel.run_ok(
        "import threading, time\nclass Slow:\n    def __reduce__(self):\n        time.sleep(0.0005)\n        return Slow, ()\n"
        "busy, stop = {number: Slow() for number in range(1500)}, threading.Event()\n"
        "def change():\n    while not stop.wait(0.005):\n        busy[time.time()] = 0\n"
        "thread = threading.Thread(target=change)\nthread.start()"
    )
    try:
        said = kernel.run("%%remote\nlen(busy)").error
    finally:
        kernel.run_ok("stop.set()\nthread.join()")
    assert "busy cannot be sent: it is a dict that changed while it was read to be sent" in said
    assert "Another thread writes to it meanwhile" in said
