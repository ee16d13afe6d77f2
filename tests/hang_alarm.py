"""Ends a test that hangs, with the stacks of every process of the session in its report.

pytest-timeout sets the time; what it would do when that is up is done here. Processes with a handler (workers, zygotes,
scheduler processes, kernels) write their stacks themselves (`nbray.engine.stack_dumps`), of all others it is told what the
system knows: command, state, and where each thread waits. Nothing is stopped, and nobody without a handler is signalled.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType

import pytest
import pytest_timeout  # type: ignore[import-untyped]

from nbray.engine import run_directory, stack_dumps
from tests.leak_guard import ProcessTable

PROC = Path("/proc")
DEAF_SECONDS = 15.0
"""So long after the alarm a main thread that does not hear it, since it never comes back from C code, is shown by itself."""
KERNEL_CONFIG = """
import faulthandler, os
os.makedirs({logs!r}, exist_ok=True)
file = os.open(os.path.join({logs!r}, f"stacks-{{os.getpid()}}"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
faulthandler.register({signal}, file=file, all_threads=True, chain=False)
"""
"""What an IPython kernel runs as it starts: code of its own configuration, which leaves no name in the user's namespace."""


class HangAlarm:
    """The pytest plugin; a session's processes bear the mark, and `kernels` is a folder for their stacks."""

    def __init__(self, mark: str, runtime_directory: Path, kernels: Path, report_to: int) -> None:
        self._table = ProcessTable(mark)
        self._runtime_directory = runtime_directory
        self._kernels = kernels
        self._report_to = report_to

    def configure_kernels(self, ipython: Path) -> None:
        """Let every kernel with this IPYTHONDIR show its stacks."""
        profile = ipython / "profile_default"
        profile.mkdir(parents=True)
        text = KERNEL_CONFIG.format(logs=str(self._kernels / "logs"), signal=int(stack_dumps.SIGNAL))
        (profile / "ipython_kernel_config.py").write_text(text)

    @pytest.hookimpl(tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: pytest_timeout.Settings) -> bool | None:
        """Set the alarm; where signals cannot be had, pytest-timeout goes its own way."""
        if settings.method != "signal" or threading.current_thread() is not threading.main_thread():
            return None

        def ring(number: int, frame: FrameType | None) -> None:
            __tracebackhide__ = True
            if settings.disable_debugger_detection or not pytest_timeout.is_debugging():
                item.add_report_section("call", "all processes", self.report())
                pytest.fail(f"{item.nodeid} has not ended within {settings.timeout:g} s")

        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, settings.timeout)
        faulthandler.dump_traceback_later(settings.timeout + DEAF_SECONDS, file=self._report_to)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_timeout_cancel_timer(self, item: pytest.Item) -> bool:
        """The test has ended."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.cancel_dump_traceback_later()
        return True

    def report(self) -> str:
        """This process's threads, then every other process of the session."""
        others = sorted(self._table.ours())
        stacks = self._stacks(others)
        parts = [f"This process, {os.getpid()}:\n{_own_stacks()}"]
        for pid in others:
            parts.append(f"{_described(pid)}\n{stacks.get(pid) or _threads(pid)}")
        return "\n\n".join(parts)

    def _stacks(self, pids: Iterable[int]) -> dict[int, str]:
        """What those processes write that have a handler, which is so when there is a file for them."""
        found: dict[int, str] = {}
        for directory in (*self._runtime_directory.glob(f"{run_directory.PREFIX}*"), self._kernels):
            answering = [pid for pid in pids if (directory / "logs" / f"stacks-{pid}").exists()]
            if answering:
                found |= stack_dumps.dump(directory, answering)
        return found


def _own_stacks() -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"Thread {names.get(ident, ident)!r} (most recent call last):\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    )


def _described(pid: int) -> str:
    """One line: command, state, parent."""
    command = _read(PROC / str(pid) / "cmdline").replace("\0", " ").strip()
    state, parent = (*_read(PROC / str(pid) / "stat").rpartition(")")[2].split(), "?", "?")[:2]
    return f"Process {pid}, child of {parent}, state {state}: {command[:200] or _read(PROC / str(pid) / 'comm').strip()}"


def _threads(pid: int) -> str:
    """Where the threads of a process without a handler wait in the system."""
    return "\n".join(_waits(pid)) or "  it has ended"


def _waits(pid: int) -> Iterator[str]:
    for thread in sorted((PROC / str(pid) / "task").glob("*")):
        state = next(iter(_read(thread / "stat").rpartition(")")[2].split()), "?")
        name, waits = _read(thread / "comm").strip(), _read(thread / "wchan") or "?"
        yield f"  thread {thread.name} ({name}), state {state}, waits in {waits}"


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:  # it has ended, or the system does not tell
        return ""
