"""One round: a notebook with folders of its own is started, something of it is killed, and it is looked for the rest."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.leak_guard import MARK
from tests.orphans import leftovers
from tests.orphans.leftovers import Family

ROOT = Path(__file__).parents[2]
PATIENCE = 10.0
"""So long it is waited for the end, to tell what is late from what is left."""
START_SECONDS = 50.0
ROUND = "NBRAY_ORPHANS_ROUND"
NEXT = "import nbray; nbray.get(nbray.put(1)); nbray.shutdown()"
"""Who starts a cluster next takes away what was left by one that nobody could tidy up."""


@dataclass(frozen=True)
class Plan:
    """What is killed, and when."""

    kill: str
    moment: str
    delay: float
    """Seconds from when the moment began."""
    notebook: str = "script"
    """What plays the notebook: a script, which is soon there, or a real kernel."""

    def __str__(self) -> str:
        return f"kill the {self.kill} {self.delay * 1000:.1f} ms into {self.moment} ({self.notebook})"


@dataclass
class Outcome:
    """What came of a plan."""

    plan: Plan
    seconds: float = 0.0
    """From the kill until every process was gone."""
    processes: int = 0
    """How many there were."""
    left: list[str] = field(default_factory=list)
    """What was still there when it was no longer waited."""


@dataclass(frozen=True)
class Target:
    """The processes that can be killed."""

    kernel: int
    zygote: int
    scheduler: int
    leaders: list[int]
    """All of ours: each leads a session of its own."""


def kill_kernel(target: Target) -> None:
    """The notebook's kernel alone."""
    os.kill(target.kernel, signal.SIGKILL)


def kill_group(target: Target) -> None:
    """All that a terminal or a Jupyter server reaches with a signal to the kernel's process group."""
    os.killpg(target.kernel, signal.SIGKILL)


def kill_scheduler(target: Target) -> None:
    """The scheduler process."""
    os.kill(target.scheduler, signal.SIGKILL)


def kill_supervisor(target: Target) -> None:
    """The zygote, which has started all others."""
    os.kill(target.zygote, signal.SIGKILL)


def kill_everything(target: Target) -> None:
    """Every process of ours with its group, at one moment: nobody is left who could end or remove anything."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for leader in target.leaders:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(leader, number)


SCHEDULER, SUPERVISOR, EVERYTHING = "scheduler", "supervisor", "everything"
KILLS: dict[str, Callable[[Target], None]] = {
    "kernel": kill_kernel,
    "kernel's group": kill_group,
    SCHEDULER: kill_scheduler,
    SUPERVISOR: kill_supervisor,
    EVERYTHING: kill_everything,
}
BUSY = ("idle", "get", "submit", "put", "stream", "die")
KERNELS = 0.2
START, SHUTDOWN = "start", "shutdown"
START_LASTS, SHUTDOWN_LASTS, BUSY_LASTS = 1.2, 0.06, 0.1


def plans(kill: str, seed: int) -> Iterator[Plan]:
    """The rounds of one kind of kill, without an end; the same for the same seed."""
    chance = random.Random(f"{kill} {seed}")
    moments = [*BUSY, *((START, SHUTDOWN) if kill.startswith("kernel") else ())]
    while True:
        chance.shuffle(moments)
        for moment in moments:
            lasts = {START: START_LASTS, SHUTDOWN: SHUTDOWN_LASTS}.get(moment, BUSY_LASTS)
            notebook = "kernel" if moment in BUSY and chance.random() < KERNELS else "script"
            yield Plan(kill, moment, chance.uniform(0, lasts), notebook)


def play(plan: Plan) -> Outcome:
    """Do it. Whatever was left is ended and removed in the end."""
    mark = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="nbo-") as name:
        folder, scratch = Path(name), Path(name, "n")
        environment = _folders(scratch) | {ROUND: mark, "IPYTHONDIR": str(folder / "ipython")}
        with _notebook(plan, environment, folder) as notebook:
            if plan.moment == START:
                outcome, family = _in_the_start(plan, notebook, mark)
            else:
                outcome, family = _in_the_middle(plan, notebook, mark, folder)
        for pid in leftovers.alive(family.processes):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if plan.kill == EVERYTHING:
            subprocess.run([sys.executable, "-c", NEXT], env=environment, check=True, stdout=subprocess.DEVNULL)
        outcome.left += leftovers.left(family, scratch)
    return outcome


def _folders(scratch: Path) -> dict[str, str]:
    """An environment in which the folders of every kind are below `scratch`."""
    folders = {
        "XDG_RUNTIME_DIR": "run", "XDG_CACHE_HOME": "cache", "XDG_DATA_HOME": "data", "XDG_CONFIG_HOME": "config",
        "TMPDIR": "tmp", "HOME": "home", "JUPYTER_RUNTIME_DIR": "jupyter",
    }  # fmt: skip
    for folder in folders.values():
        (scratch / folder).mkdir(mode=0o700, parents=True)
    environment = {name: value for name, value in os.environ.items() if name != MARK}
    environment |= {name: str(scratch / folder) for name, folder in folders.items()}
    return environment | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


@contextlib.contextmanager
def _notebook(plan: Plan, environment: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    if plan.notebook == "kernel":
        lines = ["%load_ext nbray", "from tests.orphans import victim", f"victim.main({plan.moment!r}, {str(folder)!r})"]
        words = ["ipykernel_launcher", "-f", str(folder / "kernel.json"), f"--IPKernelApp.exec_lines={lines!r}"]
    else:
        words = ["tests.orphans.victim", plan.moment, str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, start_new_session=True,
        cwd=ROOT,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _in_the_start(plan: Plan, notebook: subprocess.Popen[bytes], mark: str) -> tuple[Outcome, Family]:
    """Before the notebook has said anything: what it has made by then is found by its mark alone."""
    time.sleep(plan.delay)
    began = time.monotonic()
    KILLS[plan.kill](Target(notebook.pid, 0, 0, []))
    family = leftovers.family(leftovers.marked(mark))
    return _wait(plan, family, mark, began, spared=set()), family


def _in_the_middle(plan: Plan, notebook: subprocess.Popen[bytes], mark: str, folder: Path) -> tuple[Outcome, Family]:
    told = _told(plan, notebook, folder / "report")
    zygote, escaped = told["zygote"], set(told["escaped"])
    ours = [pid for pid in leftovers.children(zygote) if pid not in escaped]
    family = leftovers.family({*escaped, *leftovers.marked(mark), *leftovers.below(zygote), *leftovers.below(notebook.pid)})
    (folder / "go").touch()
    time.sleep(plan.delay)
    began = time.monotonic()
    KILLS[plan.kill](Target(notebook.pid, zygote, ours[0], [notebook.pid, zygote, *ours]))
    spared = set()
    if plan.kill in (SCHEDULER, SUPERVISOR):
        spared = {notebook.pid}
    elif plan.kill == EVERYTHING:
        spared = {pid for pid in escaped if _session(pid) not in ours}
    return _wait(plan, family, mark, began, spared), family


def _told(plan: Plan, notebook: subprocess.Popen[bytes], report: Path) -> Any:
    """What the notebook says once all is there."""
    deadline = time.monotonic() + START_SECONDS
    while not report.exists():
        if notebook.poll() is not None or time.monotonic() > deadline:
            notebook.kill()
            raise AssertionError(f"{plan}: the notebook did not start: {notebook.communicate()[1].decode()}")
        time.sleep(0.005)
    return json.loads(report.read_text())


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _wait(plan: Plan, family: Family, mark: str, began: float, spared: set[int]) -> Outcome:
    """Wait until every process is gone, those included that have come since; `spared` may stay."""
    awaited = [process for process in family.processes if process[0] not in spared]
    outcome = Outcome(plan, processes=len(awaited))
    while True:
        left = set(leftovers.alive(awaited)) or leftovers.marked(mark) - spared
        outcome.seconds = time.monotonic() - began
        if not left or outcome.seconds > PATIENCE:
            outcome.left = [leftovers.describe(pid) for pid in sorted(left)]
            return outcome
        time.sleep(0.005)
