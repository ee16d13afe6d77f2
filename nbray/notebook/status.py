"""What `%nbray` shows: the cluster's workers, resources, store and cell runs, as HTML and as text."""

from __future__ import annotations

import html
from collections.abc import Sequence

from nbray.resources import UNIT
from nbray.snapshot import CellRunSnapshot, ClusterSnapshot, WorkerSnapshot
from nbray.wording import count_text, one_line, plain_html, size_text, time_text

MOST_CELL_RUNS = 12
MOST_WORKERS = 32

Table = list[tuple[str, ...]]
"""The head, then the rows."""


class Status:
    """One snapshot of a cluster, ready to be displayed."""

    def __init__(self, backend: str, snapshot: ClusterSnapshot, job: str | None = None) -> None:
        """Of the cell runs only those of `job`, if one is named."""
        own = [run for run in snapshot.cell_runs if job is None or run.job == job]
        lasting = sum(worker.state != "stopping" for worker in snapshot.workers)
        self._title = f"nbray: {backend} cluster {snapshot.epoch}, {count_text(lasting, 'worker')}"
        self._tables = [_resources(snapshot), _workers(snapshot.workers), _cell_runs(own)]
        hidden = len(snapshot.cell_runs) - len(own)
        refused = "; ".join(f"{count_text(count, 'connection')} refused {why}" for why, count in snapshot.refused.items())
        others = f"{count_text(hidden, 'cell')} of other notebooks: %nbray --all" if hidden else ""
        self._more = ". ".join(filter(None, (refused, others)))

    def __repr__(self) -> str:
        tables = [_as_text(table) for table in self._tables if len(table) > 1]
        return "\n\n".join([self._title, *tables, *([self._more] if self._more else [])])

    def _repr_html_(self) -> str:
        tables = "".join(_as_html(table) for table in self._tables if len(table) > 1)
        return plain_html(f"<b>{html.escape(self._title)}</b>{tables}{html.escape(self._more)}")


def _resources(snapshot: ClusterSnapshot) -> Table:
    table: Table = [("", "in use", "of")]
    for name, total in snapshot.resources.items():
        used = total - snapshot.available.get(name, 0)
        is_memory = name == "memory"
        texts = (size_text(max(0, used) // UNIT), size_text(total // UNIT)) if is_memory else (_amount(used), _amount(total))
        table.append(("memory reserved" if is_memory else one_line(name, 40), *texts))
    store = snapshot.store
    table.append((f"store, {count_text(store.objects, 'object')}", size_text(store.used), size_text(store.limit)))
    return table


def _amount(units: int) -> str:
    return f"{units / UNIT:g}"


def _workers(workers: Sequence[WorkerSnapshot]) -> Table:
    table: Table = [("worker", "pid", "state", "cores", "memory", "task")]
    for worker in workers[:MOST_WORKERS]:
        task = f"{one_line(worker.task, 60)}, {time_text(worker.running_for)}" if worker.task else ""
        measured = (f"{worker.cpu:.1f}", size_text(worker.rss)) if worker.rss else ("", "")  # measured only once it has worked
        table.append((str(worker.slot), str(worker.pid), worker.state, *measured, task))
    if len(workers) > MOST_WORKERS:
        table.append((f"and {len(workers) - MOST_WORKERS} more", *[""] * 5))
    return table


def _cell_runs(runs: Sequence[CellRunSnapshot]) -> Table:
    """Those with open tasks, then the latest of the others."""
    table: Table = [("cell run", "waiting", "running", "succeeded", "failed", "cancelled", "")]
    is_open = [run for run in runs if run.waiting or run.running]
    ended = [run for run in runs if not (run.waiting or run.running)]
    for run in [*is_open, *reversed(ended)][:MOST_CELL_RUNS]:
        counts = (run.waiting, run.running, run.succeeded, run.failed, run.cancelled)
        note = run.waits_for if run.waiting else run.first_failure
        table.append((one_line(run.label or run.cell_run, 60), *(f"{count:,}" for count in counts), one_line(note, 100)))
    return table


def _as_text(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )


def _as_html(table: Table) -> str:
    head, *rows = ([html.escape(cell) for cell in row] for row in table)
    lines = ["".join(f'<th style="text-align:left">{cell}</th>' for cell in head)]
    lines += ["".join(f'<td style="text-align:left">{cell}</td>' for cell in row) for row in rows]
    return f"<table><tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody></table>"
