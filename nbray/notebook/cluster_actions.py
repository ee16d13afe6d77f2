"""The actions of `%nbray` that are about the whole cluster: show, start, stop and scale it, cancel work on it."""

from __future__ import annotations

from typing import Any

from IPython.core.display_functions import display
from IPython.core.error import UsageError

from nbray import errors, session
from nbray.notebook import cell_runs
from nbray.resources import to_bytes


def status(of_all: bool = False) -> None:
    """Show the cluster with the work of this notebook, or `of_all`; or say that none runs."""
    from nbray.notebook.status import Status

    if session.is_initialized():
        backend = session.current_backend()
        display(Status(backend.name, backend.snapshot(), None if of_all else backend.job or None))
        return
    from nbray.notebook import own_cluster

    left_behind = own_cluster.lingering()
    if left_behind is not None:
        print(  # noqa: T201
            f"nbray: the cluster {left_behind.epoch} of this notebook goes on from an earlier kernel: %nbray attach shows what "
            "its cells print, and brings what they assign."
        )
    else:
        print("nbray: no cluster runs. It starts with the first %%remote cell or task, or by %nbray start.")  # noqa: T201


def start(workers: int | None, memory: str | None) -> None:
    """Start it; raises UsageError where one with other settings runs, and for a size that is none."""
    try:
        to_bytes(memory or 0, "memory")
    except errors.UsageError:
        raise UsageError(f"%nbray start --memory {memory}: expected a size, as %nbray start --memory 4GB") from None
    display(session.init(num_workers=workers, memory=memory))


def stop() -> None:
    """End it."""
    backend = session.current.backend
    was_there = session.is_initialized()
    session.shutdown()
    from nbray.notebook import own_cluster

    if backend is None or not was_there:
        print("nbray: no cluster runs.")  # noqa: T201
    elif any(each.epoch == backend.epoch for each in own_cluster.running()):
        print(f"nbray: left the cluster {backend.epoch}, which others use; the tasks and objects of this notebook have ended.")  # noqa: T201
    else:
        print("nbray: the cluster has ended, with its tasks and objects.")  # noqa: T201


def scale(count: str) -> None:
    """Change how many workers it has; raises UsageError for what is no number."""
    if not count.isdigit():
        raise UsageError(f"%nbray scale {count}: expected how many workers there shall be, as %nbray scale 4")
    from nbray import scaling

    scaling.scale(int(count))
    status()


def cancel(cell: str, everything: bool) -> None:
    """Stop the tasks of one cell or of all; raises UsageError for a cell that has not run."""
    if bool(cell) == everything:
        raise UsageError("%nbray cancel: name one cell, as %nbray cancel 4 for [4], or all: %nbray cancel --all")
    run = cell_runs.by_label(cell) if cell else None
    if cell and run is None:
        raise UsageError(f"%nbray cancel {cell}: no cell [{cell.strip('[]')}] has run since nbray was loaded")
    if not session.is_initialized():
        print("nbray: no cluster runs, so there is nothing to cancel.")  # noqa: T201
        return
    report = session.current_backend().cancel_cell_runs(None if run is None else [run.id])
    counts = {"cancelled {}": report.cancelled, "{} being stopped": report.stopping, "{} had ended before": report.finished}
    parts = [text.format(count) for text, count in counts.items() if count]
    print(f"nbray: {', '.join(parts) or 'nothing to cancel'}.")  # noqa: T201


def memory() -> None:
    """Show what fills the store."""
    from nbray import memory_report

    if is_running():
        display(memory_report.memory())


def stack(task: str) -> None:
    """Show what every worker is doing, or those that run a task."""
    from nbray import worker_stacks

    if is_running():
        display(worker_stacks.stack(task or None))


def debug(shell: Any, wanted: str) -> None:
    """Talk to the tasks that wait at a breakpoint, or for input; where none does, open pdb in the frames of a failed one."""
    from nbray.notebook import post_mortem, prompts

    if is_running() and (wanted or not prompts.ask_all()):
        post_mortem.debug_task(shell, wanted, session.current_backend().failed_frames())


def is_running() -> bool:
    """Does a cluster run? Where none does, that is said."""
    if not session.is_initialized():
        print("nbray: no cluster runs, so there is nothing to show.")  # noqa: T201
    return session.is_initialized()
