"""Where floods are watched from: a kernel that pours and answers, a bare one beside it, and what they and the scheduler took."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil

from nbray.engine import questions, run_directory
from tests.floods.floods import SETUP, WORKERS, Flood
from tests.floods.probe import Report, percentile, probing
from tests.notebook.kernel import Kernel, running_kernel

LAG, ANSWER = 0.1, 0.2
"""Seconds that are promised: for the scheduler's loop (99 of 100), and for `1+1` in the kernel."""
SLOW_ANSWER = 1.0
"""Of a machine that others use too: the clock's promise is for the command, which says what a bare kernel took beside it."""
MEGABYTE = 1 << 20
SHOWN_OF_A_TASK = 512 * 1024
"""The engine's limit of 256 KiB, and a prefix of each line."""
PAUSE = 0.02


class Poured(NamedTuple):
    """What one flood did."""

    flood: Flood
    size: int
    seconds: float
    results: str
    shown: int
    """Bytes that came to the cell as text."""
    report: Report
    turns: list[int]
    """Turns of the scheduler's loop by the CPU time that they took, in hundredths of a second."""
    answers: list[float]
    controls: list[float]
    """Of a kernel without nbray at the same moments."""
    scheduler: int
    kernel: int
    busy: float
    """Seconds of the CPU that the kernel took."""

    @property
    def longest_turn(self) -> float:
        """The CPU time that no turn took."""
        return max(place for place, count in enumerate(self.turns) if count) / 100 + 0.01

    def wrong(self) -> list[str]:
        """What may not be on any machine, however slow or busy."""
        _, scheduler = self.report.memory[self.scheduler]
        before, kernel = self.report.memory[self.kernel]
        tasks = self.flood.tasks * self.size
        checks = {
            f"results {self.results}": self.results == str([self.size] * WORKERS),
            f"a turn of the loop took {self.longest_turn:.2f} s of the CPU": self.longest_turn <= LAG,
            f"half of the answers took {median(self.answers):.3f} s": median(self.answers) < SLOW_ANSWER,
            f"the flood took {self.busy:.1f} s of the kernel's CPU": self.busy < 1 + 0.1 * self.seconds + 0.0005 * tasks,
            f"the scheduler had {scheduler / MEGABYTE:.0f} MB": scheduler < 60 * MEGABYTE + 2048 * tasks,
            f"the kernel grew by {(kernel - before) / MEGABYTE:.0f} MB": kernel - before < 100 * MEGABYTE + 1024 * tasks,
            f"the cell got {self.shown:,} bytes": self.shown < WORKERS * SHOWN_OF_A_TASK,
        }
        return [what for what, right in checks.items() if not right]

    def late(self) -> list[str]:
        """What is promised by the clock, where the machine has the cores for it."""
        lag, answer = percentile(self.report.lags, 0.99), max(self.answers)
        return [f"lag {lag:.3f} s"] * (lag >= LAG) + [f"1+1 in {answer:.3f} s"] * (answer >= ANSWER)


class Shore:
    """Two kernels, the first with a cluster of eight workers."""

    def __init__(self, kernel: Kernel, control: Kernel) -> None:
        self.kernel = kernel
        self._control = control
        place = kernel.run_ok("print(nbray.session.current_backend()._driver.directory)").stdout.strip()
        self.directory = Path(place)
        content = run_directory.read(self.directory)
        assert content is not None
        self.cluster = content
        self.scheduler = min(child.pid for child in psutil.Process(content.zygote_pid).children())

    def pour(self, flood: Flood, size: int) -> Poured:
        """Let it rain until all tasks have ended, and look all the time whether both kernels and the scheduler answer."""
        before, answers, controls = self._turns(), [], []
        started, busy = time.monotonic(), self._busy()
        with probing(self.directory, [self.scheduler, self.kernel.pid]) as probe:
            cell = self.kernel.run_ok(flood.code(size), timeout=300)
            left = True
            while left:
                answers.append(seconds_to_answer(self.kernel))
                controls.append(seconds_to_answer(self._control))
                left = self.kernel.run_ok("len(nbray.wait(refs, num_returns=len(refs), timeout=0)[1])").result != "0"
                self.kernel.pump(PAUSE)
            seconds, busy = time.monotonic() - started, self._busy() - busy
            results = self.kernel.run_ok("nbray.get(refs)").result
        assert probe.report is not None
        turns = [after - count for count, after in zip(before, self._turns(), strict=True)]
        shown = sum(len(output.text) for output in cell.of("stream"))
        return Poured(
            flood, size, seconds, results, shown, probe.report, turns, answers, controls, self.scheduler,
            self.kernel.pid, busy,
        )  # fmt: skip

    def _busy(self) -> float:
        times = psutil.Process(self.kernel.pid).cpu_times()
        return float(times.user + times.system)

    def _turns(self) -> list[int]:
        table: dict[str, Any] = questions.ask(self.directory, self.cluster, "turns")
        return list(table["cpu"])

    @contextmanager
    def watched_by_nobody(self) -> Iterator[None]:
        """Two who watch and never read: one the pictures, one the answers to its own questions."""
        watchers = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(20)]
        try:
            for watcher in watchers:
                watcher.connect(str(self.directory / "observer.sock"))
            yield
        finally:
            for watcher in watchers:
                watcher.close()


def seconds_to_answer(kernel: Kernel) -> float:
    """How long `1+1` takes, until its reply; what the front end has to read before it shows the 2 is not the kernel's."""
    started = time.monotonic()
    cell = kernel.submit("1+1")
    cell.reply = kernel.client.get_shell_msg(timeout=60)["content"]
    seconds = time.monotonic() - started
    kernel.wait(cell)
    assert cell.result == "2"
    return seconds


@contextmanager
def shore(folder: Path) -> Iterator[Shore]:
    """Both kernels, in a folder of their own."""
    kernel_setup = ("%load_ext nbray", SETUP)
    with running_kernel(folder, *kernel_setup) as kernel, running_kernel(folder) as control:
        yield Shore(kernel, control)
