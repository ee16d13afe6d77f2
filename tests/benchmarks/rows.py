"""The figures: what each row measures, in which unit, and what nbray promises there."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.benchmarks import measurements
from tests.benchmarks.measurements import Measured
from tests.benchmarks.systems import System


@dataclass(frozen=True)
class Target:
    """nbray's figure must be at most or at least `factor`, or `factor` times that of another column."""

    relation: str
    factor: float
    of: str = ""

    def __str__(self) -> str:
        sign = {"<=": "≤", ">=": "≥"}[self.relation]
        if not self.of:
            return f"{sign} {self.factor:g}"
        return f"{sign} {self.of}" if self.factor == 1 else f"{sign} {self.factor:g} x {self.of}"

    def met(self, columns: Mapping[str, float]) -> bool | None:
        """Whether nbray keeps the promise; None when a column is missing."""
        if "nbray" not in columns or (self.of and self.of not in columns):
            return None
        bound = self.factor * (columns[self.of] if self.of else 1)
        return columns["nbray"] <= bound if self.relation == "<=" else columns["nbray"] >= bound


@dataclass(frozen=True)
class Row:
    """One figure. `processes` runs each in a fresh process give as many repeats."""

    name: str
    title: str
    unit: str
    measure: Callable[[System], Measured]
    targets: tuple[Target, ...]
    limit: str = ""
    """The physical limit shown beside it."""
    processes: int = 1
    pick: Callable[[list[float]], float] = statistics.median


def _second_round(values: list[float]) -> float:
    return statistics.median(values[1:])


def _first_round(values: list[float]) -> float:
    return values[0]


AT_MOST, AT_LEAST = "<=", ">="

ROWS = (
    Row("startup", "import + start + first result", "s", measurements.startup, (Target(AT_MOST, 0.6),), processes=3),
    Row(
        "roundtrip", "no-op there and back, p50", "us", measurements.roundtrip,
        (Target(AT_MOST, 1, "executor"),), "socket",
    ),
    Row(
        "throughput", "10,000 no-ops one by one", "tasks/s", measurements.throughput,
        (Target(AT_LEAST, 8, "executor"), Target(AT_LEAST, 40, "ray")),
    ),
    Row("map", "map over 100,000 ints", "items/s", measurements.map_, (Target(AT_LEAST, 1, "executor"),)),
    Row("put", "put 100 MiB again and again", "GiB/s", measurements.put, (Target(AT_LEAST, 0.7, "memcpy"),), "memcpy"),
    Row("get", "get 100 MiB", "ms", measurements.get, (Target(AT_MOST, 0.1),)),
    Row("broadcast", "one 100 MiB ref to 100 tasks", "ms", measurements.broadcast, (Target(AT_MOST, 20),)),
    Row(
        "results_first", "50 results of 10 MiB, first round", "GiB/s", measurements.results,
        (Target(AT_LEAST, 1.5),), "memcpy", pick=_first_round,
    ),
    Row(
        "results", "50 results of 10 MiB, later rounds", "GiB/s", measurements.results,
        (Target(AT_LEAST, 3),), "memcpy", pick=_second_round,
    ),
    Row(
        "arguments_first", "50 arguments of 10 MiB, first round", "GiB/s", measurements.arguments,
        (Target(AT_LEAST, 1.5),), "memcpy", pick=_first_round,
    ),
    Row(
        "arguments", "50 arguments of 10 MiB, later rounds", "GiB/s", measurements.arguments,
        (Target(AT_LEAST, 3),), "memcpy", pick=_second_round,
    ),
    Row("chain", "chain of 500 dependent tasks", "tasks/s", measurements.chain, (Target(AT_LEAST, 5, "ray"),)),
    Row("capture", "captured 40 MB, 20 tasks", "x one put", measurements.capture, (Target(AT_MOST, 1.3),)),
    Row("capture_again", "the same cell run again ships", "bytes", measurements.capture_again, (Target(AT_MOST, 0),)),
    Row("idle_memory", "idle, PSS of all processes", "MiB", measurements.idle_memory, (Target(AT_MOST, 100),)),
    Row("shutdown", "shutdown, nothing left", "s", measurements.shutdown, (Target(AT_MOST, 0.3),), processes=3),
    Row("printing", "2,000 lines printed: wire", "x payload", measurements.printing, (Target(AT_MOST, 3),)),
    Row("load_ext", "%load_ext nbray", "ms", measurements.load_ext, (Target(AT_MOST, 50),), processes=3),
)  # fmt: skip
