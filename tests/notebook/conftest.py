"""Fixtures of the notebook tests."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from nbray.notebook import extension, parallel_cells, remote_shell
from nbray.notebook.cell_runs import RUNS
from tests.fakes import FakeBackend, fake_session
from tests.notebook.kernel import Kernel, running_kernel


@pytest.fixture
def bare_kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A fresh kernel without nbray."""
    with running_kernel(tmp_path) as kernel:
        yield kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for a file of tests, with nbray loaded; ends with the file."""
    with running_kernel(tmp_path_factory.mktemp("kernel"), "%load_ext nbray") as kernel:
        yield kernel


@pytest.fixture
def fresh_kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel of its own for one test, with nbray loaded."""
    with running_kernel(tmp_path, "%load_ext nbray") as kernel:
        yield kernel


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """An IPython shell in this process, without a kernel; it is not the one that the worker's side would find."""
    config = Config()
    config.HistoryManager.enabled = False
    main, known = sys.modules["__main__"], set(vars(builtins))
    hooks = sys.displayhook, sys.excepthook
    shell = InteractiveShell(config=config)
    try:
        yield shell
    finally:
        remote_shell.RemoteShell.clear_instance()
        remote_shell._the_shell = None
        RUNS._active.clear()  # nbray was loaded outside of any cell, so nothing has ended that one
        sys.modules["__main__"] = main
        sys.displayhook, sys.excepthook = hooks
        for name in set(vars(builtins)) - known:
            delattr(builtins, name)


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    """A backend without processes."""
    with fake_session() as backend:
        yield backend


@pytest.fixture
def notebook(shell: InteractiveShell, backend: FakeBackend) -> Iterator[InteractiveShell]:
    """A shell with nbray loaded, on a backend without processes."""
    extension.load_ipython_extension(shell)
    yield shell
    extension.unload_ipython_extension(shell)
    parallel_cells._unfinished.clear()


def run(shell: InteractiveShell, code: str) -> Any:
    """Run a cell in a shell of this process; what IPython says of it."""
    return shell.run_cell(code, store_history=True)


def run_ok(shell: InteractiveShell, code: str) -> Any:
    """The value of a cell's last expression; the cell must succeed."""
    result = run(shell, code)
    result.raise_error()
    return result.result
