"""A search whose driver is killed half-way and goes on in another process: which epochs are trained twice, and who wins.

`python -m tests.benchmarks.resuming SYSTEM FOLDER` is the search; what its trials do, they note in a file of the folder.
"""

from __future__ import annotations

import collections
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.measurements import Measured
from tests.benchmarks.systems import System, Unsupported, installed
from tests.leak_guard import MARK, ProcessTable

QUALITIES = [0.31, 0.77, 0.52, 0.12, 0.94, 0.66, 0.23, 0.85, 0.41, 0.99, 0.07, 0.58]
EPOCHS = 9
EPOCH_SECONDS = 0.05
KILLED_AFTER = 24
"""Epochs that have been told."""
PATIENCE = 120.0


def trainable(library: str, notes: str) -> Callable[[dict[str, Any]], None]:
    """A function that keeps a checkpoint of each epoch, and notes when it trains one and when its report is through."""

    def train(config: dict[str, Any]) -> None:
        tune = importlib.import_module(f"{library}.tune")
        checkpoint, begin = tune.get_checkpoint(), 0
        if checkpoint is not None:
            with checkpoint.as_directory() as directory:
                begin = int(Path(directory, "epoch").read_text())
        for epoch in range(begin, EPOCHS):
            time.sleep(EPOCH_SECONDS)
            _note(notes, "trained", config["quality"], epoch)
            with tempfile.TemporaryDirectory() as directory:
                Path(directory, "epoch").write_text(str(epoch + 1))
                metrics = {"score": config["quality"] * (1 - 0.5 ** (epoch + 1))}
                tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(directory))
            _note(notes, "told", config["quality"], epoch)

    return train


def _note(notes: str, what: str, quality: float, epoch: int) -> None:
    with Path(notes).open("a") as file:
        file.write(f"{what} {quality} {epoch}\n")


def _noted(folder: Path, what: str) -> collections.Counter[str]:
    path = folder / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    return collections.Counter(line.partition(" ")[2] for line in lines if line.startswith(f"{what} "))


def search(system: System, folder: Path) -> None:
    """Begin the search, or go on with it where there is one; write down who won."""
    system.start()
    tune = importlib.import_module(f"{system.module}.tune")
    train = trainable(system.module, str(folder / "notes"))
    if (folder / "search").exists():
        tuner = tune.Tuner.restore(str(folder / "search"), trainable=train)
    else:
        schedulers = importlib.import_module(f"{system.module}.tune.schedulers")
        scheduler = schedulers.ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=3)
        tuner = tune.Tuner(
            train,
            param_space={"quality": tune.grid_search(QUALITIES)},
            tune_config=tune.TuneConfig(metric="score", mode="max", scheduler=scheduler),
            run_config=tune.RunConfig(storage_path=str(folder), name="search", verbose=0),
        )
    best = tuner.fit().get_best_result()
    (folder / "winner").write_text(str(best.config["quality"]))
    system.stop()


def _process(name: str, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.benchmarks.resuming", name, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def _until(what: str, condition: Callable[[], bool]) -> float:
    start = time.perf_counter()
    while not condition():
        if time.perf_counter() - start > PATIENCE:
            raise TimeoutError(f"after {PATIENCE:.0f} s: {what}")
        time.sleep(0.01)
    return time.perf_counter() - start


def resumed(system: System) -> Measured:
    """Epochs that were trained again although their report had been answered."""
    if "tune" not in system.parts or "core" not in system.parts:
        raise Unsupported
    name = next(name for name, known in installed().items() if isinstance(system, known))
    with tempfile.TemporaryDirectory() as directory:
        folder, table = Path(directory), ProcessTable(os.environ[MARK])
        others = table.ours()
        first = _process(name, folder)
        _until("too few epochs", lambda: _noted(folder, "told").total() >= KILLED_AFTER or first.poll() is not None)
        if first.poll() is not None:
            raise AssertionError(f"the search has ended before it could be killed, with exit code {first.returncode}")
        first.kill()
        first.wait()
        gone = _until("processes are left", lambda: not table.ours() - others)
        told = _noted(folder, "told")
        trained = _noted(folder, "trained")
        if (folder / "winner").exists():
            raise AssertionError("the search was not killed half-way, but after its end")
        if _process(name, folder).wait():
            raise AssertionError("the second process has failed")
        again = _noted(folder, "trained") - trained
        repeated = sum(again[epoch] for epoch in told)
        winner = (folder / "winner").read_text()
        total = _noted(folder, "trained").total()
    if system.module == "nbray" and winner != str(max(QUALITIES)):
        raise AssertionError(f"the winner is {winner}")
    return Measured([float(repeated)], f"{total} trained, killed after {told.total()}, gone in {gone:.1f} s, winner {winner}")


if __name__ == "__main__":
    search(installed()[sys.argv[1]](), Path(sys.argv[2]))
