"""What `%nbray doctor` does: looks at this machine, this kernel and what is installed, and shows what the checkup says."""

from __future__ import annotations

import html
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbray import machine, session
from nbray.engine import run_directory, spill_directory
from nbray.errors import ClusterDied, StartFailed
from nbray.notebook.checkup import Facts, Finding, examine
from nbray.store import arena
from nbray.wording import count_text, plain_html

WATCHED = ("ipykernel", "jupyterlab", "notebook", "jupyterlab_widgets")
MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}
COLOURS = {"ok": "#2e7d32", "note": "#b26a00", "problem": "#c62828"}


class Report:
    """What was found, ready to be displayed."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = list(findings)

    @property
    def headline(self) -> str:
        """How it stands, in a line."""
        problems = sum(each.verdict == "problem" for each in self.findings)
        notes = sum(each.verdict == "note" for each in self.findings)
        parts = [count_text(problems, "problem") if problems else "no problems", *([count_text(notes, "note")] if notes else [])]
        return f"nbray: {', '.join(parts)}."

    def __repr__(self) -> str:
        width = max(len(each.subject) for each in self.findings)
        lines = []
        for each in self.findings:
            lines.append(f"{MARKS[each.verdict]:<7}  {each.subject:<{width}}  {each.found}")
            if each.advice:
                lines.append(f"{'':<7}  {'':<{width}}  -> {each.advice}")
        return "\n".join([self.headline, *lines])

    def _repr_html_(self) -> str:
        rows = "".join(_row(each) for each in self.findings)
        return plain_html(f"<b>{html.escape(self.headline)}</b><table><tbody>{rows}</tbody></table>")


def _row(finding: Finding) -> str:
    advice = f"<br>→ {html.escape(finding.advice)}" if finding.advice else ""
    cells = (
        f'<span style="color:{COLOURS[finding.verdict]};font-weight:bold">{MARKS[finding.verdict]}</span>',
        html.escape(finding.subject), f"{html.escape(finding.found)}{advice}",
    )  # fmt: skip
    inner = "".join(f'<td style="text-align:left;vertical-align:top">{cell}</td>' for cell in cells)
    return f"<tr>{inner}</tr>"


def doctor(shell: Any) -> Report:
    """Examine what is here; takes a fraction of a second, and starts nothing."""
    return Report(examine(gather(shell)))


def gather(shell: Any) -> Facts:
    """Everything that the checkup looks at."""
    kernel = getattr(shell, "kernel", None)
    ours = {"ipykernel": kernel is not None, "nbray": hasattr(kernel, "remote_status")}
    requirements = _requirements()
    return Facts(
        kernel="nbray" if ours["nbray"] else "ipykernel" if ours["ipykernel"] else "terminal",
        kernelspec=_kernelspec(), executable=sys.executable, python=platform.python_version(),
        versions=_versions([*WATCHED, *(_distribution(text) for text in requirements)]), requirements=requirements,
        cpus=machine.cpu_count(), all_cpus=os.cpu_count() or 1, memory=machine.memory_limit(),
        total_memory=machine.total_memory(), store=machine.default_store_limit(), has_memfd=arena.HAS_MEMFD,
        shm=_size("/dev/shm"), files=_limit("RLIMIT_NOFILE"), processes=_processes(), **_places(), **_clusters(),
    )  # fmt: skip


def _requirements() -> tuple[str, ...]:
    """Without those of extras."""
    try:
        found = importlib.metadata.requires("nbray") or []
    except importlib.metadata.PackageNotFoundError:  # a source tree on the path
        return ()
    return tuple(text.partition(";")[0].strip() for text in found if "extra ==" not in text)


def _distribution(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    return found[0] if found else requirement


def _versions(names: Sequence[str]) -> dict[str, str]:
    versions = {}
    for name in names:
        try:
            versions[name.lower().replace("-", "_")] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # that it is missing is what the checkup shall see
    return versions


def _kernelspec() -> str | None:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        return str(KernelSpecManager().get_kernel_spec("nbray").argv[0])
    except NoSuchKernel:
        return None


def _limit(name: str) -> int | None:
    import resource

    soft, _ = resource.getrlimit(getattr(resource, name))
    return None if soft == resource.RLIM_INFINITY else soft


def _processes() -> int | None:
    """The tightest of the user's limit and those of the cgroups."""
    limits = [machine.read_int(group, "pids.max") for group in machine.cgroups("pids")]
    known = [limit for limit in (_limit("RLIMIT_NPROC"), *limits) if limit is not None]
    return min(known, default=None)


def _size(folder: str) -> int | None:
    return shutil.disk_usage(folder).total if Path(folder).is_dir() else None


def _places() -> dict[str, Any]:
    """The directories that a cluster would use."""
    try:
        run: dict[str, Any] = {"run_directory": str(run_directory.parent())}
    except (StartFailed, OSError) as error:
        run = {"run_problem": str(error)}
    folder, problem = spill_directory.find(None)
    free = 0
    if folder is not None:
        there = next(each for each in (folder, *folder.parents) if each.is_dir())  # it is made when it is needed
        free = shutil.disk_usage(there).free
    return {**run, "spill_directory": None if folder is None else str(folder), "spill_free": free, "spill_problem": problem}


def _clusters() -> dict[str, Any]:
    """This notebook's cluster, and the others of this user."""
    backend = session.current.backend
    if backend is None:
        return {"clusters": _other_clusters("")}
    began = time.monotonic()
    try:
        snapshot = backend.snapshot()
    except ClusterDied as error:
        return {"clusters": _other_clusters(backend.epoch), "lost": str(error)}
    seconds = time.monotonic() - began
    workers = sum(worker.state != "stopping" for worker in snapshot.workers)
    return {"clusters": _other_clusters(backend.epoch), "cluster": backend.epoch, "workers": workers, "answered_in": seconds}


def _other_clusters(own: str) -> tuple[str, ...]:
    try:
        found = list(run_directory.clusters())
    except (StartFailed, OSError):  # told as the problem of the run directory
        return ()
    return tuple(
        f"{content.epoch} ({content.job})" if content.job else content.epoch for _, content in found if content.epoch != own
    )
