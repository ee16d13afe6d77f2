"""nbray, as its users call it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psutil

from tests.benchmarks.systems import WORKERS, RaysNames


class Nbray(RaysNames):
    """A local cluster with two workers."""

    module = "nbray"

    def start(self) -> None:
        import nbray

        nbray.init(num_workers=WORKERS)
        self.use(nbray)

    def stop(self) -> None:
        self.api.shutdown()

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        results: Iterable[Any] = self.api.map(function, items)
        return results

    def cancel(self, handles: Sequence[Any]) -> None:
        report = self.api.cancel(list(handles))
        if report.cancelled + report.finished != len(handles):
            raise AssertionError(f"{len(handles)} tasks were to be cancelled: {report}")

    def joblib_backend(self) -> contextlib.AbstractContextManager[Any]:
        import joblib

        context: contextlib.AbstractContextManager[Any] = joblib.parallel_backend("nbray", n_jobs=WORKERS)
        return context

    def queueing_process(self) -> int:
        """The scheduler process: the zygote's only child that is no worker."""
        workers = {worker["pid"] for node in self.api.nodes() for worker in node["Workers"]}
        zygotes = [child for child in psutil.Process(os.getpid()).children() if "nbray" in " ".join(child.cmdline())]
        children: list[int] = [child.pid for zygote in zygotes for child in zygote.children() if child.pid not in workers]
        return min(children)  # a worker that is only being forked is no worker yet; the scheduler was first

    def stored_objects(self) -> int:
        from nbray.session import current_backend

        return current_backend().snapshot().store.objects

    def stored_bytes(self) -> int:
        from nbray.session import current_backend

        return current_backend().snapshot().store.used

    def cell_magic(self) -> tuple[str, str]:
        return f"%load_ext nbray\nimport nbray\nnbray.init(num_workers={WORKERS})", "%%remote"

    def printing_cells(self, loop: str) -> tuple[str, str]:
        first, magic = self.cell_magic()
        return first, f"{magic}\n{loop}"
