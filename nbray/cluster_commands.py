"""What the command line says about clusters that run already: `nbray stack`, `nbray memory`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import msgspec

from nbray import memory_report, worker_stacks
from nbray.engine import questions, run_directory, stack_dumps
from nbray.engine.run_directory import ClusterFile
from nbray.errors import UsageError
from nbray.introspection import object_rows
from nbray.snapshot import ClusterSnapshot, ObjectSnapshot


def stack(cluster: str | None, out: TextIO) -> None:
    """Print the stacks of all workers of each cluster of this user, or of one."""
    for directory, content in _chosen(cluster):
        workers = _snapshot(directory, content).workers
        dumps = stack_dumps.dump(directory, [each.pid for each in workers])
        out.write(f"{_title(content)}\n\n{worker_stacks.read(workers, dumps)!r}\n\n")


def memory(cluster: str | None, limit: int, out: TextIO) -> None:
    """Print the largest objects of each cluster of this user, or of one, with who keeps them alive."""
    for directory, content in _chosen(cluster):
        objects = msgspec.convert(questions.ask(directory, content, "objects", limit), list[ObjectSnapshot])
        report = memory_report.report(_snapshot(directory, content).store, object_rows(objects), {})
        report.rows.columns.remove("names")  # those are known to the notebook alone: %nbray memory
        out.write(f"{_title(content)}\n{report!r}\n\n")


def _snapshot(directory: Path, content: ClusterFile) -> ClusterSnapshot:
    return msgspec.convert(questions.ask(directory, content, "snapshot"), ClusterSnapshot)


def _title(content: ClusterFile) -> str:
    return f"cluster {content.epoch}" + (f" of {content.job}" if content.job else "")


def _chosen(cluster: str | None) -> Iterator[tuple[Path, ClusterFile]]:
    found = list(run_directory.clusters())
    if cluster is not None:
        known = ", ".join(content.epoch for _, content in found) or "none"
        found = [(directory, content) for directory, content in found if content.epoch == cluster]
        if not found:
            raise UsageError(f"no cluster {cluster} of yours runs on this machine; running are: {known}")
    if not found:
        raise UsageError("no cluster of yours runs on this machine: one starts with the first task of a notebook or script")
    yield from found
