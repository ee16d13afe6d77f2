"""Writes down what each cell run of this kernel was given, what it gave and where its time went, and keeps the latest.

    main thread      errand: inputs, moments of sending and coming      end_cell: how it ended
    display thread   hear: counts of tasks                              ---> the manifest, in memory and on disk
    I/O thread       measure: what the worker tells of a cell's code

A cell run has a draft from the first work that it gives to the cluster until all of that has ended.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from nbray import session
from nbray.backends.backend import Backend, OutputEvent, Written
from nbray.errors import UsageError
from nbray.ids import CellRunId, TaskId
from nbray.notebook.cell_runs import RUNS, CellRun, CellRuns
from nbray.notebook.draft import Draft, completed
from nbray.notebook.history_file import HistoryFile
from nbray.notebook.input_hashes import pieces
from nbray.notebook.local_versions import ModulesOnDisk
from nbray.notebook.manifest import FAILED, OK, RUNNING, STOPPED, Manifest
from nbray.notebook.run_measures import Measures
from nbray.notebook.stages import Errand, OnWorker
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot

MOST_KEPT = 500
"""Manifests in memory."""
MOST_DONE = 3000
"""Cell runs that are known to have theirs."""


class CellHistory:
    """The manifests of one kernel; any thread."""

    def __init__(self, runs: CellRuns, file: HistoryFile | None = None) -> None:
        self._runs = runs
        self._lock = threading.RLock()
        self._drafts: dict[CellRunId, Draft] = {}
        self._kept: OrderedDict[CellRunId, Manifest] = OrderedDict()
        self._done: OrderedDict[CellRunId, None] = OrderedDict()
        self._orphans: dict[CellRunId, Manifest | None] = {}
        """What an earlier kernel had written down of cell runs that this one has taken over."""
        self._modules = ModulesOnDisk()
        self.file = file
        self.notebook = ""
        self.problem = ""
        """Why there is no file."""

    def open(self, notebook: str, directory: Callable[[], Path]) -> None:
        """From now on manifests are kept on disk too, as those of this notebook; where they cannot be, `problem` says why."""
        try:
            self.file = HistoryFile(directory(), notebook)
        except UsageError as error:
            self.problem = str(error)
        self.notebook = notebook

    # ---------------------------------------------------------------- while a cell runs

    def send(self, run: CellRun | None, how: str) -> Sending:
        """A cell's code is about to be sent to a worker."""
        return Sending(self, run, how)

    def add_errand(self, run: CellRun, task_id: TaskId, errand: Errand, backend: Backend, how: str) -> Draft:
        """A cell's code is on its way."""
        with self._lock:
            draft = self._draft(run)
            draft.how = how
            draft.engine = f"{backend.name} cluster {backend.epoch}"
            draft.errands[task_id] = errand
            return draft

    def write_down(self, draft: Draft) -> None:
        """A cell's code is on its way, with all that goes along: if the kernel is lost, that much is known."""
        with self._lock:
            if self.file is not None:
                self.file.append(draft.manifest(self.notebook))

    def came(self, run: CellRun | None, task_id: TaskId, values: Mapping[str, Any] | None, error: BaseException | None) -> None:
        """The task of a cell's code has ended, with these values or this error."""
        draft = None if run is None else self._drafts.get(run.id)
        if draft is None or task_id not in draft.errands:
            return
        now = time.perf_counter()
        found = () if values is None else pieces(values)
        with self._lock:
            draft.came(task_id, now, found)
            if error is not None and draft.ended is not None:
                draft.fail(error)
            self._finish_if_over(draft)

    def note_inputs(self, run: CellRun | None, values: Mapping[str, Any], size: int, how: str = "") -> None:
        """These names go along with every task of a cell, packed into so many bytes."""
        if run is not None:
            found = pieces(values)
            with self._lock:
                draft = self._draft(run)
                draft.inputs, draft.shipped, draft.how = found, size, how

    def note_outputs(self, run: CellRun | None, values: Mapping[str, Any]) -> None:
        """A cell has made these of what its tasks gave."""
        if run is not None:
            found = pieces(values)
            with self._lock:
                self._draft(run).outputs = found

    def note_cache(self, run: CellRun | None, said: str, spared: float = 0.0) -> None:
        """What became of a cell whose results are kept: "kept result" where nothing was run."""
        if run is not None:
            with self._lock:
                draft = self._draft(run)
                draft.cache, draft.spared = said, spared

    def measure(self, event: OutputEvent) -> None:
        """What the worker tells of a task that ran a cell's code; a cluster of another release may tell it otherwise."""
        try:
            told = msgspec.json.decode(event.data, type=Measures)
        except msgspec.DecodeError:
            return
        with self._lock:
            draft = self._drafts.get(event.cell_run)
            if draft is not None and event.task_id in draft.errands:
                there = OnWorker(told.began, told.unpacked, told.ran, told.packed)
                draft.errands[event.task_id] = draft.errands[event.task_id]._replace(there=there)
                draft.measures[event.task_id] = told

    def hear(self, snapshot: ClusterSnapshot) -> None:
        """The cluster's tasks, counted."""
        now = time.perf_counter()
        cores = snapshot.resources.get("CPU", 0) // 10_000
        with self._lock:
            for counts in snapshot.cell_runs:
                run = self._runs.get(counts.cell_run)
                if run is None or run.id in self._done:
                    continue
                if not run.thread:
                    self._hear_of_orphan(run, counts)
                else:
                    draft = self._draft(run)
                    draft.engine = draft.engine or _engine(snapshot.epoch)
                    draft.hear(counts, cores, now)
                    self._finish_if_over(draft)

    def _hear_of_orphan(self, run: CellRun, counts: CellRunSnapshot) -> None:
        """It was begun by an earlier kernel: what that has written down is completed when its tasks have ended."""
        if run.id not in self._orphans:
            known = {each.cell_run: each for each in self.file.manifests()} if self.file is not None else {}
            self._orphans[run.id] = known.get(run.id)
        begun = self._orphans[run.id]
        if begun is None or begun.outcome != RUNNING:
            self._note_done(run.id)
        elif not (counts.waiting or counts.running):
            self._keep(run, completed(begun, counts))

    def end_cell(self, run: CellRun, source: str, error: BaseException | None, *, interrupted: bool) -> None:
        """The code of a cell in the notebook has ended."""
        with self._lock:
            draft = self._drafts.get(run.id)
            if draft is None:
                self._note_done(run.id)
                return
            draft.end(source, STOPPED if interrupted else OK if error is None else FAILED, error, _written())
            self._finish_if_over(draft)

    # ---------------------------------------------------------------- what there is

    def manifests(self) -> list[Manifest]:
        """Those of this kernel, oldest first; cell runs that go on have one too, as it stands."""
        with self._lock:
            going_on = [draft.manifest(self.notebook) for draft in self._drafts.values() if draft.worth_telling]
            return [*self._kept.values(), *going_on]

    def forget(self) -> None:
        """Keep nothing of the cell runs that have ended."""
        with self._lock:
            self._kept.clear()

    def _draft(self, run: CellRun) -> Draft:
        draft = self._drafts.get(run.id)
        if draft is None:
            self._kept.pop(run.id, None)  # it has been taken to be over
            draft = self._drafts[run.id] = Draft(run, self._modules.versions())
        return draft

    def _finish_if_over(self, draft: Draft) -> None:
        if not draft.over:
            return
        del self._drafts[draft.run.id]
        self._keep(draft.run, draft.manifest(self.notebook))

    def _keep(self, run: CellRun, manifest: Manifest) -> None:
        self._note_done(run.id)
        self._kept[run.id] = manifest
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        if self.file is not None:
            self.file.append(manifest)

    def _note_done(self, cell_run: CellRunId) -> None:
        self._done[cell_run] = None
        while len(self._done) > MOST_DONE:
            self._done.popitem(last=False)


def _written() -> Written:
    backend = session.current.backend
    return Written(0, 0.0) if backend is None else backend.written()


def _engine(epoch: str) -> str:
    backend = session.current.backend
    return f"{'' if backend is None else backend.name} cluster {epoch}".lstrip()


class Sending:
    """One cell's code on its way to a worker; used by the thread that runs the cell."""

    def __init__(self, history: CellHistory, run: CellRun | None, how: str) -> None:
        self._history = history
        self._run = run
        self._how = how
        self._asked = self._ready = time.perf_counter()

    def ready(self) -> None:
        """There is a cluster."""
        self._ready = time.perf_counter()

    def sent(self, task_id: TaskId, backend: Backend, values: Mapping[str, Any], size: int) -> None:
        """It has been handed over, with these values, packed into so many bytes; looks at them while the worker begins."""
        if self._run is None:
            return
        now = time.perf_counter()
        backend.hurry()
        errand = Errand(self._asked, self._ready, now, 0.0)
        draft = self._history.add_errand(self._run, task_id, errand, backend, self._how)
        draft.inputs, draft.shipped = pieces(values), size
        self._history.write_down(draft)


HISTORY = CellHistory(RUNS)
"""That of this process's cells."""
