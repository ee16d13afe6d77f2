"""A small cluster of real processes for tests of the engine, and what is left of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from nbray.config import ClusterConfig
from nbray.engine import run_directory
from nbray.engine.driver import Driver


def config(**changes: Any) -> ClusterConfig:
    epoch = secrets.token_hex(4)
    settings: dict[str, Any] = {
        "epoch": epoch,
        "run_directory": str(run_directory.parent() / f"nbray-{epoch}"),
        "num_workers": 1,
        "resources": {"CPU": 10_000},
        "store_limit": 1 << 24,
        "preload": (),
    }
    return ClusterConfig(**{**settings, **changes})


def until(true: Callable[[], Any], seconds: float = 5.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.005)
    return bool(true())


def is_gone(pid: int) -> bool:
    """Whether a process has ended; what nobody has waited for yet counts as ended."""
    return run_directory.process_started(pid) == 0.0


def processes(driver: Driver) -> tuple[psutil.Process, list[psutil.Process]]:
    """The zygote, and its children: the scheduler process first."""
    content = run_directory.read(Path(driver.directory))
    assert content is not None
    zygote = psutil.Process(content.zygote_pid)
    assert until(lambda: len(zygote.children()) >= 2)
    return zygote, sorted(zygote.children(), key=lambda process: process.pid)
