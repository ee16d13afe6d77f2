"""What every test gets: directories of its own for nbray and Jupyter, and the leak guard."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.leak_guard import MARK, LeakGuard

_scratch = Path(tempfile.mkdtemp(prefix="nbt-"))
"""Short, because the path of a socket may have 107 bytes at most."""


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before any module of nbray or Jupyter reads it, and put the guard over all items.

    The guard is registered, not a fixture: the doctests in `nbray/` lie outside this folder and need it too.
    """
    runtime = _scratch / "run"
    runtime.mkdir(mode=0o700)
    guard = LeakGuard(runtime)
    os.environ |= {
        MARK: guard.mark,
        "XDG_RUNTIME_DIR": str(runtime),
        "JUPYTER_RUNTIME_DIR": str(_scratch / "jupyter"),
        "IPYTHONDIR": str(_scratch / "ipython"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    config.pluginmanager.register(guard, "leak-guard")


def pytest_unconfigure() -> None:
    """Take the scratch directory away."""
    shutil.rmtree(_scratch, ignore_errors=True)
