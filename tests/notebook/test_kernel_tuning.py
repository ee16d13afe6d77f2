"""Experiments in a real kernel without a page: what is shown in which cell, Stop, and how a new kernel finds them again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.notebook.kernel import Cell, Kernel

pytestmark = [pytest.mark.local, pytest.mark.timeout(120)]

TRAIN = """
import time
import nbray
from nbray import tune

def train(config):
    for step in range(config["steps"]):
        time.sleep(0.05)
        tune.report({"score": config["x"] * step})

def tuner(name, trials=6, steps=8, **more):
    return tune.Tuner(
        train, param_space={"x": tune.uniform(0, 1), "steps": steps},
        tune_config=tune.TuneConfig(metric="score", mode="max", num_samples=trials),
        run_config=tune.RunConfig(name=name, storage_path=STORE, **more),
    )

nbray.init(num_workers=2)
"""
WIDGET = "application/vnd.jupyter.widget-view+json"


def prepare(kernel: Kernel, folder: Path) -> None:
    kernel.run_ok(f"STORE = {str(folder)!r}\n{TRAIN}", timeout=60)


def shown(cell: Cell) -> list[str]:
    """What the displays of a cell say, one after the other."""
    return [output.text for output in cell.of("display_data", "update_display_data")]


def test_a_cell_shows_its_experiment_and_not_its_tasks(fresh_kernel: Kernel, tmp_path: Path) -> None:
    prepare(fresh_kernel, tmp_path)
    cell = fresh_kernel.run_ok("best = tuner('first').fit().get_best_result()", timeout=60)
    assert len(cell.of("display_data")) == 1
    assert shown(cell)[0] == "nbray: first waiting, 0 of 6 trials, 0 ms"
    assert re.match(r"nbray: first done, 6 trials, [\d.]+ s\n  best: score ", shown(cell)[-1])
    last = cell.of("update_display_data")[-1].content
    assert set(last["data"]) == {"text/html", "text/plain"}
    assert last["transient"] == cell.of("display_data")[0].content["transient"]
    assert not any(WIDGET in output.content["data"] for output in cell.of("display_data", "update_display_data"))
    quiet = fresh_kernel.run_ok("tuner('silent', trials=2, verbose=0).fit(); None", timeout=60)
    assert shown(quiet) == []


def test_an_experiment_goes_on_beside_other_cells_in_its_own(fresh_kernel: Kernel, tmp_path: Path) -> None:
    prepare(fresh_kernel, tmp_path)
    first = fresh_kernel.run_ok("run = tuner('beside', trials=4, steps=20).start()")
    other = fresh_kernel.run_ok("time.sleep(0.8)")
    assert other.of("display_data") == []
    results = fresh_kernel.run_ok("print(len(run.results()))", timeout=60)
    assert results.stdout == "4\n"
    assert results.of("display_data") == []
    assert shown(first)[-1].startswith("nbray: beside done, 4 trials")
    ids = {output.content["transient"]["display_id"] for output in first.of("display_data", "update_display_data")}
    assert len(ids) == 1


def test_an_experiment_without_processes_is_shown_while_it_runs(fresh_kernel: Kernel, tmp_path: Path) -> None:
    fresh_kernel.run_ok(f"STORE = {str(tmp_path)!r}\n" + TRAIN.replace("num_workers=2", "'serial'"))
    cell = fresh_kernel.run_ok("tuner('alone', trials=3, steps=20).fit(); None", timeout=60)
    assert any(", 1 running" in said for said in shown(cell))
    assert shown(cell)[-1].startswith("nbray: alone done, 3 trials")
    assert cell.of("comm_open") == []  # no buttons: nobody could hear them


def test_stop_stops_the_experiment_and_says_how_to_go_on(fresh_kernel: Kernel, tmp_path: Path) -> None:
    prepare(fresh_kernel, tmp_path)
    cell = fresh_kernel.submit("tuner('long', steps=1000).fit()")
    fresh_kernel.until(lambda: "2 running" in "".join(shown(cell)), cell=cell)
    fresh_kernel.interrupt()
    fresh_kernel.wait(cell)
    assert cell.error_name == "KeyboardInterrupt"
    assert "tune.Tuner.restore(" in cell.error
    assert shown(cell)[-1].startswith("nbray: long stopped, 0 of 6 trials")
    free = fresh_kernel.run_ok("print(nbray.available_resources()['CPU'])")
    assert free.stdout == "2.0\n"


def test_a_restart_ends_the_wait_and_not_the_experiment(fresh_kernel: Kernel, tmp_path: Path) -> None:
    prepare(fresh_kernel, tmp_path)
    cell = fresh_kernel.submit("tuner('waited', steps=400).fit()")
    fresh_kernel.until(lambda: "2 running" in "".join(shown(cell)), cell=cell)
    fresh_kernel.restart()
    fresh_kernel.run_ok("%load_ext nbray")
    found = fresh_kernel.run_ok("run = %nbray tune")
    fresh_kernel.until(lambda: "2 running" in "".join(shown(found)), cell=found)
    fresh_kernel.run_ok("%nbray tune stop")


def test_a_restarted_kernel_finds_its_experiment_and_steers_it(fresh_kernel: Kernel, tmp_path: Path) -> None:
    prepare(fresh_kernel, tmp_path)
    fresh_kernel.run_ok("run = tuner('lasting', steps=400).start()")
    fresh_kernel.pump(0.5)
    fresh_kernel.restart()
    fresh_kernel.run_ok("%load_ext nbray")
    cell = fresh_kernel.run_ok("run = %nbray tune")
    fresh_kernel.until(lambda: "2 running" in "".join(shown(cell)), cell=cell)
    steered = fresh_kernel.run_ok("%nbray tune stop 0\n%nbray tune stop")
    assert steered.stdout == "nbray: trial 0 of lasting is being stopped.\nnbray: lasting is being stopped.\n"
    results = fresh_kernel.run_ok("print(len(run.results()))", timeout=60)
    last = [*shown(cell), *shown(steered), *shown(results)][-1]
    assert last.startswith("nbray: lasting stopped")
    assert "stopped by hand" in last
    gone = fresh_kernel.run_ok("%nbray tune")
    assert gone.stdout == "nbray: no experiment goes on in this cluster.\n"
