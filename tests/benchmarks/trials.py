"""What a trial costs that does next to nothing, and how long one that reports waits for its decision."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

from tests.benchmarks.measurements import Measured, running, seconds
from tests.benchmarks.systems import Report, System

EMPTY = 20
REPORTS = 500


def empty_trial(config: dict[str, Any], report: Report) -> dict[str, float]:
    """Nothing but a result."""
    return {"score": config["x"]}


def millisecond_trial(config: dict[str, Any], report: Report) -> dict[str, float]:
    """A millisecond, and a result."""
    time.sleep(0.001)
    return {"score": config["x"]}


def reporting_trial(config: dict[str, Any], report: Report) -> dict[str, float]:
    """Reports one after another; its result is how long one took, in the median, in ms."""
    times = []
    for step in range(REPORTS):
        start = time.perf_counter()
        report({"score": config["x"] + step, "p50": -1.0})
        times.append(time.perf_counter() - start)
    return {"score": config["x"], "p50": statistics.median(times[REPORTS // 10 :]) * 1e3}


def _check(results: list[Mapping[str, Any]], count: int) -> None:
    if len({result["score"] for result in results}) != count:
        raise AssertionError(f"{count} trials were asked for, there are {len(results)}: {results[:3]}")


def _timed(system: System, count: int, warm: bool) -> float:
    results: list[Mapping[str, Any]] = []
    taken = seconds(lambda: results.extend(system.tune(empty_trial, count, warm)))
    _check(results, count)
    return taken


def empty_warm(system: System) -> Measured:
    """From `fit()` to its results; the cluster is there already, and one trial follows another in the same process."""
    with running(system):
        return Measured([_timed(system, EMPTY, warm=True) for _ in range(system.searches)])


def empty_cold(system: System) -> Measured:
    """The same, but each trial has a process of its own."""
    with running(system):
        return Measured([_timed(system, EMPTY, warm=False) for _ in range(system.searches)])


def many(system: System) -> Measured:
    count = system.trials
    with running(system):
        results: list[Mapping[str, Any]] = []
        taken = seconds(lambda: results.extend(system.tune(millisecond_trial, count, warm=True)))
    _check(results, count)
    return Measured([taken * 1000 / count], f"{count} trials, scaled" if count < 1000 else "")


def decision(system: System) -> Measured:
    """Both workers have a trial that reports flat out."""
    with running(system):
        results = system.tune(reporting_trial, 2, warm=True)
    return Measured([result["p50"] for result in results])
