"""The figures: what each row measures, in which unit, and what nbray promises there."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.benchmarks import actors, cells, halving, measurements, resuming, scale, small_objects, tabular, trials, workloads
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
    part: str = "core"
    """Which part of nbray it is about, and so who its peers are."""
    pick: Callable[[list[float]], float] = statistics.median


def _second_round(values: list[float]) -> float:
    return statistics.median(values[1:])


def _last(values: list[float]) -> float:
    return values[-1]


def _first(values: list[float]) -> float:
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
        (Target(AT_LEAST, 8, "executor"), Target(AT_LEAST, 40, "ray")), "batched",
    ),
    Row("map", "map over 100,000 ints", "items/s", measurements.map_, (Target(AT_LEAST, 1, "executor"),), "batched"),
    Row("put", "put 100 MiB again and again", "GiB/s", measurements.put, (Target(AT_LEAST, 0.7, "memcpy"),), "memcpy"),
    Row("get", "get 100 MiB", "ms", measurements.get, (Target(AT_MOST, 0.1),)),
    Row("broadcast", "one 100 MiB ref to 100 tasks", "ms", measurements.broadcast, (Target(AT_MOST, 20),)),
    Row(
        "results_first", "50 results of 10 MiB, first round", "GiB/s", measurements.results,
        (Target(AT_LEAST, 1.5),), "memcpy", pick=_first,
    ),
    Row(
        "results", "50 results of 10 MiB, later rounds", "GiB/s", measurements.results,
        (Target(AT_LEAST, 3),), "memcpy", pick=_second_round,
    ),
    Row(
        "arguments_first", "50 arguments of 10 MiB, first round", "GiB/s", measurements.arguments,
        (Target(AT_LEAST, 1.5),), "memcpy", pick=_first,
    ),
    Row(
        "arguments", "50 arguments of 10 MiB, later rounds", "GiB/s", measurements.arguments,
        (Target(AT_LEAST, 3),), "memcpy", pick=_second_round,
    ),
    Row("chain", "chain of 500 dependent tasks", "tasks/s", measurements.chain, (Target(AT_LEAST, 5, "ray"),), "one by one"),
    Row("capture", "captured 40 MB, 20 tasks", "x one put", measurements.capture, (Target(AT_MOST, 1.3),)),
    Row("capture_again", "the same cell run again ships", "bytes", measurements.capture_again, (Target(AT_MOST, 0),)),
    Row("idle_memory", "idle, PSS of all processes", "MiB", measurements.idle_memory, (Target(AT_MOST, 100),)),
    Row("shutdown", "shutdown, nothing left", "s", measurements.shutdown, (Target(AT_MOST, 0.3),), processes=3),
    Row("actor_call", "actor call there and back, p50", "us", actors.call, (Target(AT_MOST, 1, "task"),), "socket"),
    Row(
        "actor_calls", "10,000 actor calls in flight", "calls/s", actors.calls_in_flight,
        (Target(AT_LEAST, 20_000),), "batched",
    ),
    Row(
        "async_calls", "async actor, 1,000 calls in flight", "calls/s", actors.async_calls,
        (Target(AT_LEAST, 15_000),), "batched",
    ),
    Row("actors_created", "100 actors made and called", "s", actors.created, (Target(AT_MOST, 2),)),
    Row("stream", "10,000 small items of a generator", "items/s", actors.streamed, (Target(AT_LEAST, 20_000),), "batched"),
    Row("small_put", "put 8 bytes, p50", "us", small_objects.put, (Target(AT_MOST, 60),), "socket"),
    Row("small_get", "get 8 bytes, p50", "us", small_objects.get, (Target(AT_MOST, 20),), "socket"),
    Row("wait", "10,000 results taken one at a time", "us each", small_objects.one_at_a_time, (Target(AT_MOST, 200),)),
    Row("cancel", "100,000 queued tasks cancelled", "us each", scale.cancelled, (Target(AT_MOST, 20),)),
    Row("queued", "1,000,000 queued no-op tasks", "bytes each", scale.queued, (Target(AT_MOST, 1024),), pick=_first),
    Row("lag", "longest answer time meanwhile", "ms", scale.queued, (Target(AT_MOST, 250),), pick=_last),
    Row("live", "1,000,000 live 100-byte objects", "bytes each", scale.live, (Target(AT_MOST, 717),), pick=_first),
    Row("freed", "... until they are freed", "s", scale.live, (Target(AT_MOST, 10),), pick=_last),
    Row("cost_tasks", "scheduler: 10^6 tasks against 10^3", "x a task", scale.cost_of_many_tasks, (Target(AT_MOST, 1.5),)),
    Row("cost_workers", "scheduler: 64 workers against 1", "x a task", scale.cost_of_many_workers, (Target(AT_MOST, 1.2),)),
    Row("tree", "sum of 1,000 arrays of 1 MiB, by twos", "GiB/s", workloads.tree, (Target(AT_LEAST, 3, "ray"),), "memcpy"),
    Row(
        "grid_search", "GridSearchCV on digits by joblib", "fits/s", workloads.grid_search,
        (Target(AT_LEAST, 1, "loky"),), "all cores",
    ),
    Row(
        "grid_search_cpu", "... CPU time of all processes", "s", workloads.grid_search_cpu,
        (Target(AT_MOST, 1.05, "loky"),), pick=min,
    ),
    Row("trials", "20 empty trials, warm processes", "s", trials.empty_warm, (Target(AT_MOST, 0.5),), part="tune"),
    Row("trials_cold", "20 empty trials, a process each", "s", trials.empty_cold, (), part="tune"),
    Row("trials_many", "1,000 trials of 1 ms", "s", trials.many, (Target(AT_MOST, 5),), part="tune"),
    Row("decision", "from a report to its decision, p50", "ms", trials.decision, (Target(AT_MOST, 5),), part="tune"),
    Row("resumed", "epochs repeated after kill -9", "epochs", resuming.resumed, (Target(AT_MOST, 0),), part="tune"),
    Row(
        "asha_stop", "ASHA, stop, digits: to 99 % of random's best", "x its time", halving.stop_form,
        (Target(AT_MOST, 0.333),), part="tune",
    ),
    Row(
        "asha_promote", "ASHA, promote, digits: the same", "x its time", halving.promote_form,
        (Target(AT_MOST, 0.333),), part="tune",
    ),
    Row("asha_stop_loses", "ASHA, stop: best accuracy given up", "points", halving.stop_form_loses, (), part="tune"),
    Row("asha_promote_loses", "ASHA, promote: best accuracy given up", "points", halving.promote_form_loses, (), part="tune"),
    Row("lcdb_stop", "ASHA, stop, LCDB: training", "x of all", halving.lcdb_stop, (), part="tune"),
    Row("lcdb_promote", "ASHA, promote, LCDB: training", "x of all", halving.lcdb_promote, (), part="tune"),
    Row(
        "tpe_protein", "TPE, best of 100, protein_structure", "loss", tabular.protein,
        (Target(AT_MOST, 1, "random"),), part="tune",
    ),
    Row("tpe_phoneme", "TPE, best of 100, phoneme", "error", tabular.phoneme, (Target(AT_MOST, 1, "random"),), part="tune"),
    Row("simulator", "simulator with ASHA", "reports/s", halving.speed, (Target(AT_LEAST, 10_000),), part="tune"),
    Row("load_ext", "%load_ext nbray", "ms", measurements.load_ext, (Target(AT_MOST, 50),), processes=3, part="cells"),
    Row("cell", "trivial remote cell, over a local one", "ms", cells.trivial, (Target(AT_MOST, 25),), part="cells"),
    Row("cell_names", "... with 50 new names captured", "ms", cells.captured, (Target(AT_MOST, 60),), part="cells"),
    Row("cell_cached", "cell whose result is kept, p50", "ms", cells.cache_hit, (Target(AT_MOST, 20),), part="cells"),
    Row("tab", "Tab on remote names, p50", "ms", cells.tab, (Target(AT_MOST, 150),), part="cells"),
    Row("printing", "2,000 lines printed: wire", "x payload", measurements.printing, (Target(AT_MOST, 3),), part="cells"),
    Row("stop", "Stop to idle, slowest of 50", "s", cells.stop, (Target(AT_MOST, 1),), part="cells", pick=max),
    Row("attach", "attach, 1,000 finished tasks", "s", cells.attach, (Target(AT_MOST, 2),), part="cells"),
)  # fmt: skip
