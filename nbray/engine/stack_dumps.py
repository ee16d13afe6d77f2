"""What the threads of a cluster's processes are doing, written down by each one's own signal handler; nothing is stopped.

    asker                                         worker, zygote, scheduler process
    a signal to its pid             ------>       faulthandler writes the stacks of all threads to the process's file:
    reads what the file has grown by              in C, without the GIL, in the middle of a busy loop or of compiled code

The file lies beside the logs and is named after the process that reads the signal, so no other process is ever signalled.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

SIGNAL = signal.SIGRTMIN + 7 if hasattr(signal, "SIGRTMIN") else signal.SIGUSR2
"""One that nobody else uses: libraries and users have plans for SIGUSR1."""
ANSWER_SECONDS = 2.0
"""A process that has not answered by then is stopped, or deep inside the system."""
LOOK_SECONDS = 0.02
"""How often it is looked whether the files have grown."""
SETTLED_LOOKS = 10
"""A file that has grown and then stood still for so many looks is complete, whatever its last line is."""
OUTERMOST = b" in <module>\n"
"""How an answer ends, unless the stack is too deep to be written: the main thread comes last, and its outermost frame."""

LONGEST_FILE = 1 << 20
"""A file that has grown beyond is emptied."""


def install(directory: Path) -> int:
    """Let others in this run directory see this process's stacks from now on; the descriptor is for `uninstall`."""
    final = _file(directory, os.getpid())
    hidden = final.with_suffix(".new")
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    faulthandler.register(SIGNAL, file=descriptor, all_threads=True, chain=False)
    hidden.rename(final)  # only now: without the handler the signal would end the process
    return descriptor


def uninstall(descriptor: int) -> None:
    """In a fork: the file is the parent's."""
    faulthandler.unregister(SIGNAL)
    os.close(descriptor)


def dump(directory: Path, pids: Iterable[int]) -> dict[int, str]:
    """By pid what faulthandler wrote; empty where a process has not answered. Blocks for 2 s at most."""
    files = {pid: _file(directory, pid) for pid in pids}
    began = {pid: file.stat().st_size for pid, file in files.items() if file.exists()}
    for pid in began:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, SIGNAL)
    deadline = time.monotonic() + ANSWER_SECONDS
    sizes: dict[int, int] = {}
    settled = 0
    while time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        last, sizes = sizes, {pid: files[pid].stat().st_size for pid in began if files[pid].exists()}
        settled = settled + 1 if sizes == last else 0  # who writes may lose its core between two lines
        answered = all(sizes.get(pid, -1) != size for pid, size in began.items())
        if answered and settled and (settled >= SETTLED_LOOKS or all(_is_complete(files[pid]) for pid in sizes)):
            break
    return {pid: _read(files[pid], began[pid]) if pid in began else "" for pid in files}


def _is_complete(file: Path) -> bool:
    with contextlib.suppress(FileNotFoundError), file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - len(OUTERMOST)))
        return opened.read() == OUTERMOST
    return True  # the worker has ended, and its file was swept away


def _read(file: Path, start: int) -> str:
    try:
        with file.open("r+b") as opened:
            opened.seek(start)
            text = opened.read().decode("utf-8", "replace")
            if opened.tell() > LONGEST_FILE:
                opened.truncate(0)  # who writes appends, wherever the end is
            return text
    except FileNotFoundError:  # the worker has ended, and its file was swept away
        return ""


def _file(directory: Path, pid: int) -> Path:
    return directory / "logs" / f"stacks-{pid}"
