"""What every test gets: directories of its own for nbray and Jupyter, and the leak guard."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from _pytest.doctest import DoctestItem

from tests.hang_alarm import HangAlarm
from tests.leak_guard import MARK, SHARED_MEMORY, LeakGuard

_outside = os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
"""Where pytest keeps `tmp_path`, also for its processes that inherit the environment."""
_scratch = Path(tempfile.mkdtemp(prefix="nbt-", dir=_outside))
"""Short, because the path of a socket may have 107 bytes at most."""
_temporary = Path(f"{_scratch}-tmp")
"""The session's own temporary directory, so that what is left in it is seen."""
_TUNE = Path(__file__).parent.parent / "nbray" / "tune"


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before any module of nbray or Jupyter reads it, and put the guard over all items.

    The guard is registered, not a fixture: the doctests in `nbray/` lie outside this folder and need it too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what runs in its background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    runtime = _scratch / "run"
    runtime.mkdir(mode=0o700)
    cache = _scratch / "cache"
    cache.mkdir()
    _temporary.mkdir()
    _temporary.chmod(0o1777)  # others may enter, as they may where it stands for
    parsed = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parso"
    parsed.mkdir(parents=True, exist_ok=True)
    (cache / "parso").symlink_to(parsed)  # what Tab knows of the standard library: without it the first Tab takes seconds
    guard = LeakGuard(runtime, elsewhere=[(cache / "nbray", "spill-*"), (_temporary, "nbray*"), (SHARED_MEMORY, "*nbray*")])
    os.environ |= {
        MARK: guard.mark,
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_CACHE_HOME": str(cache),
        "TMPDIR": str(_temporary),
        "JUPYTER_RUNTIME_DIR": str(_scratch / "jupyter"),
        "IPYTHONDIR": str(_scratch / "ipython"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    tempfile.tempdir = None  # it is looked up again
    alarm = HangAlarm(guard.mark, runtime, _scratch / "kernels", report_to=os.dup(2))
    alarm.configure_kernels(_scratch / "ipython")
    config.pluginmanager.register(guard, "leak-guard")
    config.pluginmanager.register(alarm, "hang-alarm")
    config.pluginmanager.register(Doctests())


class Doctests:
    """An example in a docstring may use a cluster, as its reader would: the first use starts one, its end stops it."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if isinstance(item, DoctestItem):
                item.add_marker("local")

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """The experiments of examples do not go to where the user's are."""
        if isinstance(item, DoctestItem) and item.path.is_relative_to(_TUNE):
            vars(importlib.import_module("nbray.tune.directories"))["DEFAULT"] = str(_scratch / "experiments")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        if isinstance(item, DoctestItem) and "nbray.session" in sys.modules:
            sys.modules["nbray.session"].shutdown()
        return (yield)


def pytest_unconfigure() -> None:
    """Take the scratch directories away."""
    for directory in (_scratch, _temporary):
        shutil.rmtree(directory, ignore_errors=True)
