"""The chunks of a map: cut from the iterables, run in a worker, taken over when they have ended."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from nbray.backends.backend import Backend
from nbray.errors import ClusterDied
from nbray.exceptions_shipping import DumpedException, add_note, dump_exception, load_exception
from nbray.objects import ObjectRef

Function = Callable[..., Any]
Columns = list[Sequence[Any]]
Holes = list[tuple[int, int]]
"""Column and row of each argument that is an ObjectRef; its value comes as an argument of the task."""

# -------------------------------------------------------------------- in the worker


def run_chunk(function: Function, columns: Columns, holes: Holes, *values: Any) -> tuple[float, list[Any], list[Any]]:
    """Call the function for each row; returns seconds, results, and (row, exception) of each row that failed."""
    calls = map(function, *_filled(columns, holes, values))
    results: list[Any] = []
    failures: list[tuple[int, DumpedException]] = []
    started = time.perf_counter()
    while len(results) < len(columns[0]):
        try:
            # At the speed of C; what came before an exception stays, and the next round goes on behind it.
            results.extend(calls)
            if len(results) < len(columns[0]):
                raise RuntimeError("the function raised StopIteration")
        except Exception as error:  # noqa: BLE001 - the item's own failure is its outcome
            failures.append((len(results), dump_exception(error)))
            results.append(None)
    return time.perf_counter() - started, results, failures


def run_item(function: Function, columns: Columns, holes: Holes, *values: Any) -> tuple[float, list[Any], list[Any]]:
    """The same for one row, whose exception is the task's own."""
    started = time.perf_counter()
    result = function(*(column[0] for column in _filled(columns, holes, values)))
    return time.perf_counter() - started, [result], []


def _filled(columns: Columns, holes: Holes, values: Sequence[Any]) -> Columns:
    for (column, row), value in zip(holes, values, strict=True):
        rows = columns[column]
        assert isinstance(rows, list)
        rows[row] = value
    return columns


# -------------------------------------------------------------------- in the driver


class Source:
    """Cuts the iterables into columns."""

    def __init__(self, iterables: Sequence[Iterable[Any]]) -> None:
        # What can be sliced stays what it is: a slice of a range or an array is a few bytes where its items are many.
        self._sliced = all(isinstance(each, (range, list, tuple)) or type(each).__name__ == "ndarray" for each in iterables)
        self._iterables: Sequence[Any] = iterables if self._sliced else [iter(each) for each in iterables]
        self._position = 0
        self.ended = False
        self.error: Exception | None = None
        """What an iterable raised; it is raised to the consumer in its place."""

    def cut(self, size: int) -> Columns:
        """The next `size` rows, or fewer at the end."""
        columns = self._slices(size) if self._sliced else self._items(size)
        count = min(map(len, columns))
        self._position += count
        self.ended = self.ended or count < size
        return [column if len(column) == count else column[:count] for column in columns]

    def _slices(self, size: int) -> Columns:
        return [each[self._position : self._position + size] for each in self._iterables]

    def _items(self, size: int) -> Columns:
        columns: list[list[Any]] = [[] for _ in self._iterables]
        try:
            for column, each in zip(columns, self._iterables, strict=True):
                column.extend(itertools.islice(each, size))
        except Exception as error:  # noqa: BLE001 - the iterable's own failure is raised after the items before it
            self.error = error
            self.ended = True
        return list(columns)


def take_out_refs(columns: Columns) -> tuple[Columns, Holes, list[ObjectRef]]:
    """Take the ObjectRefs out, since only a task's own arguments are awaited and resolved."""
    if not any(ObjectRef in set(map(type, column)) for column in columns if isinstance(column, (list, tuple))):
        return columns, [], []
    rows = [list(column) for column in columns]
    holes = [(at, row) for at, column in enumerate(rows) for row, each in enumerate(column) if isinstance(each, ObjectRef)]
    refs = [rows[at][row] for at, row in holes]
    for at, row in holes:
        rows[at][row] = None
    return list(rows), holes, refs


class Failed:
    """Stands in the place of a result."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Chunk:
    """One submitted chunk; `rest` are its results that were not taken yet, once it has ended."""

    __slots__ = ("count", "failed", "first", "ref", "rest")

    def __init__(self, first: int, count: int, ref: ObjectRef) -> None:
        self.first = first
        self.count = count
        self.ref: ObjectRef | None = ref
        self.rest: Iterator[Any] | None = None
        self.failed: Failed | None = None

    def take_over(self, backend: Backend, name: str) -> float | None:
        """Take the results of a chunk that has ended; returns its run time unless it failed as a whole."""
        assert self.ref is not None
        try:
            seconds, results, failures = backend.get((self.ref.id,))[0]
        except ClusterDied:
            raise
        except Exception as error:  # noqa: BLE001 - the failure of the task is the outcome of all its items
            add_note(error, f"in {self._items()} of nbray.map({name})")
            self.failed = Failed(error)
            self.rest, self.ref = iter([self.failed] * self.count), None
            return None
        for row, dumped in failures:
            rebuilt = load_exception(*dumped)
            add_note(rebuilt, f"in item {self.first + row} of nbray.map({name})")
            results[row] = Failed(rebuilt)
            self.failed = self.failed or results[row]
        self.rest, self.ref = iter(results), None
        return float(seconds)

    def _items(self) -> str:
        return f"item {self.first}" if self.count == 1 else f"items {self.first} to {self.first + self.count - 1}"
