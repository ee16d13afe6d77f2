"""Judges whether this machine, this kernel and what is installed suit nbray, and says what to type where they do not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from nbray.wording import count_text, size_text

Verdict = Literal["ok", "note", "problem"]

GIB = 1024**3
LEAST_FILES = 256
"""Open files that a notebook with a few dozen workers needs."""
DOCKER_SHM = 64 * 1024**2
LEAST_PYTHON = (3, 11)


class Finding(NamedTuple):
    """One thing that was looked at."""

    subject: str
    verdict: Verdict
    found: str
    advice: str = ""
    """What to do; empty where all is well."""


@dataclass(frozen=True)
class Facts:
    """What was found on this machine; sizes in bytes, None for what does not exist or is without limit."""

    kernel: Literal["nbray", "ipykernel", "terminal"] = "nbray"
    kernelspec: str | None = "python"
    """The Python that the installed kernelspec "nbray" starts."""
    executable: str = "python"
    """The Python that runs here."""
    python: str = "3.11.0"
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of installed distributions, by name."""
    requirements: tuple[str, ...] = ()
    """What nbray's own distribution asks for, as "ipykernel>=6.29"."""
    cpus: int = 1
    all_cpus: int = 1
    memory: int = 8 * GIB
    total_memory: int = 8 * GIB
    store: int = 2 * GIB
    has_memfd: bool = True
    shm: int | None = None
    """Size of /dev/shm."""
    files: int | None = 1024
    processes: int | None = None
    run_directory: str = "/run/user/1000"
    run_problem: str = ""
    """Why there can be no run directory."""
    spill_directory: str | None = "/home/me/.cache/nbray"
    spill_free: int = 10 * GIB
    spill_problem: str = ""
    clusters: tuple[str, ...] = ()
    """Clusters of this user on this machine: cluster id, and whose it is."""
    cluster: str = ""
    """The one that this notebook uses; empty where none runs."""
    lost: str = ""
    """Why it is gone."""
    answered_in: float = 0.0
    """Seconds until its scheduler answered."""
    workers: int = 0


def examine(facts: Facts) -> list[Finding]:
    """Everything that was looked at, in the order in which a user would ask."""
    return [
        _kernel(facts), _kernelspec(facts), _python(facts), _ipykernel(facts.versions), _frontend(facts.versions),
        _requirements(facts), _cpus(facts), _memory(facts), _shared_memory(facts), _limits(facts), _run_directory(facts),
        _spilling(facts), _cluster(facts), _others(facts),
    ]  # fmt: skip


def _kernel(facts: Facts) -> Finding:
    if facts.kernel == "nbray":
        return Finding("kernel", "ok", "Python 3 (nbray)")
    if facts.kernel == "ipykernel":
        return Finding(
            "kernel", "note", "ipykernel with %load_ext nbray",
            'the kernel "Python 3 (nbray)" (menu Kernel, Change Kernel) needs no %load_ext, stays busy while remote work runs, '
            "and stops cells that await",
        )  # fmt: skip
    return Finding("kernel", "note", "IPython in a terminal", "cards and handles are text here: a notebook shows more")


def _kernelspec(facts: Facts) -> Finding:
    if facts.kernelspec is None:
        return Finding(
            "kernelspec", "note", "not installed for this Python",
            f"{facts.executable} -m pip install nbray puts it where Jupyter finds it",
        )  # fmt: skip
    if facts.kernelspec not in (facts.executable, "python"):
        return Finding(
            "kernelspec", "note", f"starts {facts.kernelspec}",
            f"this notebook runs {facts.executable}: packages of one are not those of the other",
        )  # fmt: skip
    return Finding("kernelspec", "ok", "installed")


def _python(facts: Facts) -> Finding:
    if release(facts.python) < LEAST_PYTHON:
        return Finding("Python", "problem", facts.python, "nbray needs Python 3.11 or newer: make a new environment with one")
    return Finding("Python", "ok", facts.python)


def _ipykernel(versions: Mapping[str, str]) -> Finding:
    version = versions.get("ipykernel", "")
    if not version:
        return Finding("ipykernel", "note", "not installed", 'notebooks need it: pip install "ipykernel>=6.29"')
    if release(version) < (6, 29):
        return Finding("ipykernel", "problem", version, 'pip install -U "ipykernel>=6.29", then restart the kernel')
    if release(version) < (7,):
        advice = 'buttons of widgets wait until the cell has ended (Stop does not): pip install -U "ipykernel>=7"'
        return Finding("ipykernel", "note", version, advice)
    return Finding("ipykernel", "ok", version)


def _frontend(versions: Mapping[str, str]) -> Finding:
    found = {name: versions[name] for name in ("jupyterlab", "notebook") if name in versions}
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    if not found:
        return Finding("page", "ok", "neither JupyterLab nor Notebook is installed here: they run elsewhere, or VS Code does")
    least = {"jupyterlab": 4, "notebook": 7}
    old = [f'"{name}>={least[name]}"' for name, version in found.items() if release(version)[0] < least[name]]
    if old:
        return Finding("page", "problem", text, f"live cards need newer ones: pip install -U {' '.join(old)}")
    if "jupyterlab_widgets" not in versions:
        advice = "live cards need it: pip install -U jupyterlab_widgets, then reload the page"
        return Finding("page", "problem", f"{text}, without its part of ipywidgets", advice)
    return Finding("page", "ok", text)


def _requirements(facts: Facts) -> Finding:
    missing = [text for text in facts.requirements if not satisfied(text, facts.versions)]
    if missing:
        have = ", ".join(f"{_name(text)} {facts.versions.get(_name(text), 'missing')}" for text in missing)
        return Finding("packages", "problem", have, f"pip install -U {' '.join(map(_quoted, missing))}")
    count = len(facts.requirements)
    return Finding("packages", "ok", f"all {count} that nbray needs" if count else "nbray runs from its source")


def _cpus(facts: Facts) -> Finding:
    if facts.cpus < facts.all_cpus:
        text = f"{facts.cpus} of this machine's {facts.all_cpus} may be used here"
        return Finding("CPUs", "note", text, "that is set outside: by the container, a batch system or taskset")
    return Finding("CPUs", "ok", f"{facts.cpus}")


def _memory(facts: Facts) -> Finding:
    text = f"{size_text(facts.memory)}, of which the object store may take {size_text(facts.store)}"
    if facts.memory < GIB:
        return Finding("memory", "problem", text, "each worker needs about 50 MB: give the container or the job more memory")
    if facts.memory < facts.total_memory * 0.9:
        return Finding("memory", "note", f"{text}; the machine has {size_text(facts.total_memory)}", "the limit is set outside")
    return Finding("memory", "ok", text)


def _shared_memory(facts: Facts) -> Finding:
    if not facts.has_memfd:
        return Finding("shared memory", "note", "a file in the folder for temporary files", "set TMPDIR to a folder in memory")
    if facts.shm is not None and facts.shm <= DOCKER_SHM:
        return Finding(
            "shared memory", "note", f"nbray's is well; /dev/shm has only {size_text(facts.shm)}",
            "PyTorch's DataLoader and joblib use that one: docker run --shm-size=2g",
        )  # fmt: skip
    return Finding("shared memory", "ok", "memfd" + ("" if facts.shm is None else f"; /dev/shm {size_text(facts.shm)}"))


def _limits(facts: Facts) -> Finding:
    text = ", ".join(f"{'any number' if most is None else most} {what}" for most, what in
                     ((facts.files, "open files"), (facts.processes, "processes")))  # fmt: skip
    if facts.files is not None and facts.files < LEAST_FILES:
        return Finding("limits", "problem", text, "type ulimit -n 4096 before you start Jupyter")
    needed = 2 * facts.cpus + 32
    if facts.processes is not None and facts.processes < needed:
        advice = f"{count_text(facts.cpus, 'worker')} and their threads need about {needed}: ulimit -u, or docker --pids-limit"
        return Finding("limits", "problem", text, advice)
    return Finding("limits", "ok", text)


def _run_directory(facts: Facts) -> Finding:
    if facts.run_problem:
        return Finding("run directory", "problem", facts.run_problem, "export XDG_RUNTIME_DIR=$(mktemp -d) before Jupyter starts")
    return Finding("run directory", "ok", facts.run_directory)


def _spilling(facts: Facts) -> Finding:
    if facts.spill_directory is None:
        return Finding(
            "disk for objects", "note", facts.spill_problem,
            'when the store is full, StoreFull is raised: nbray.init(spill_directory="/a/local/disk")',
        )  # fmt: skip
    text = f"{facts.spill_directory}, {size_text(facts.spill_free)} free"
    if facts.spill_free < facts.store:
        return Finding("disk for objects", "note", text, "less than the store: make room, or nbray.init(spill_directory=...)")
    return Finding("disk for objects", "ok", text)


def _cluster(facts: Facts) -> Finding:
    if facts.lost:
        return Finding("cluster", "problem", facts.lost, "%nbray start begins another; what was in its store is lost")
    if not facts.cluster:
        return Finding("cluster", "ok", "none runs: it starts with the first %%remote cell or task")
    text = f"{facts.cluster}, {count_text(facts.workers, 'worker')}, answers in {facts.answered_in * 1000:.0f} ms"
    if facts.answered_in > 1:
        return Finding("cluster", "note", text, "the machine is overloaded, or swaps: %nbray shows what runs")
    return Finding("cluster", "ok", text)


def _others(facts: Facts) -> Finding:
    if not facts.clusters:
        return Finding("other clusters", "ok", "none of yours")
    text = f"{count_text(len(facts.clusters), 'cluster')} of yours: {', '.join(facts.clusters)}"
    return Finding("other clusters", "note", text, "they share this machine's CPUs and memory; nbray stack shows what they do")


# -------------------------------------------------------------------- versions


def release(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with.

    >>> release("7.4.0"), release("3.13.0rc1"), release("x")
    ((7, 4, 0), (3, 13, 0), (0,))
    """
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else (0,)


def satisfied(requirement: str, versions: Mapping[str, str]) -> bool:
    """Does what is installed meet a requirement with lower bounds and upper ones?

    >>> satisfied("bokeh<4,>=3.4", {"bokeh": "3.9.2"}), satisfied("bokeh<4,>=3.4", {"bokeh": "4.0"}), satisfied("dill>=0.4", {})
    (True, False, False)
    """
    name = _name(requirement)
    if name not in versions:
        return False
    have = release(versions[name])
    bounds: Iterable[tuple[str, str]] = re.findall(r"(>=|<)\s*([\d.]+)", requirement)
    return all(have >= release(bound) if sign == ">=" else have < release(bound) for sign, bound in bounds)


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    return found[0].lower().replace("-", "_") if found else requirement


def _quoted(requirement: str) -> str:
    return f'"{requirement}"'
