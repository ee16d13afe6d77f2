"""`%load_ext nbray`: once, light, undone by `%unload_ext`; a kernel that ends for good takes its cluster along."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray import session
from nbray.notebook import extension
from tests.fakes import fake_session, fresh_session
from tests.notebook.kernel import Kernel, running_kernel


def test_loading_twice_is_loading_once(shell: InteractiveShell) -> None:
    with fresh_session():
        before = len(shell.events.callbacks["pre_run_cell"])
        extension.load_ipython_extension(shell)
        extension.load_ipython_extension(shell)
        assert len(shell.events.callbacks["pre_run_cell"]) == before + 1
        assert session.current.defaults["linger"] == 0, "a terminal that ends is ended for good"
        assert not session.is_initialized()
        extension.unload_ipython_extension(shell)


def test_unloading_leaves_a_plain_shell(shell: InteractiveShell) -> None:
    with fresh_session():
        extension.load_ipython_extension(shell)
        assert shell.find_cell_magic("remote") is not None
        extension.unload_ipython_extension(shell)
        extension.unload_ipython_extension(shell)
    assert shell.find_cell_magic("remote") is None
    assert shell.find_line_magic("nbray") is None
    assert not shell.events.callbacks["pre_run_cell"]


class PretendKernel:
    def __init__(self) -> None:
        self.shut_down: list[bool] = []

    def do_shutdown(self, restart: bool) -> str:
        self.shut_down.append(restart)
        return "bye"


@pytest.mark.parametrize("restart", [True, False])
def test_only_a_kernel_that_restarts_leaves_its_cluster(restart: bool) -> None:
    kernel: Any = PretendKernel()
    undo = extension._follow_shutdown(kernel)
    with fake_session() as backend:
        assert kernel.do_shutdown(restart) == "bye"
        assert (kernel.shut_down, backend.closed) == ([restart], not restart)
    undo()
    assert kernel.do_shutdown.__func__ is PretendKernel.do_shutdown


LOAD = """
import sys
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell().run_line_magic("load_ext", "nbray")
print(*{name.partition(".")[0] for name in sys.modules})
"""
HEAVY = {"numpy", "zmq", "bokeh", "ipywidgets", "pandas", "matplotlib", "dill", "cloudpickle", "psutil", "multiprocessing"}


@pytest.mark.local
def test_loading_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    assert "nbray" in done.stdout.split()
    assert HEAVY & set(done.stdout.split()) == set()


def zygote_of(kernel: Kernel) -> int:
    """The process from which the workers of the kernel's cluster are forked."""
    return int(kernel.run_ok("%%remote\nimport os\nos.getppid()").shown[0])


def gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.local
def test_a_restarted_kernel_finds_its_cluster_and_a_shutdown_ends_it(tmp_path: Path) -> None:
    with running_kernel(tmp_path, "%load_ext nbray", "%nbray start -n 1 --memory 300MB") as kernel:
        zygote = zygote_of(kernel)
        kernel.restart()
        kernel.run_ok("%load_ext nbray")
        assert zygote_of(kernel) == zygote, "joined as it is where nothing else is asked for"
        kernel.run_ok("%nbray start -n 1")
        assert "num_workers=2 (it runs with 1)" in kernel.run("%nbray start -n 2").error
        kernel.restart()
        kernel.run_ok("%load_ext nbray")
        kernel.run_ok("%nbray start -n 2")
        assert gone(zygote, 3), "replaced where something else is asked for"
        zygote = zygote_of(kernel)
    assert gone(zygote, 3)
