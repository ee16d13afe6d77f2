"""Which of the clusters that run on this machine is this notebook's, and how the notebook gets to it."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from nbray import session
from nbray.backends import registry
from nbray.backends.backend import Backend
from nbray.engine import job_list, questions, run_directory
from nbray.engine.job_list import Member
from nbray.engine.run_directory import ClusterFile
from nbray.errors import ClusterDied, UsageError
from nbray.notebook.job import notebook_path
from nbray.wording import one_line

MOST_TOLD = 5
"""Cells that are named."""


class Running(NamedTuple):
    """A cluster of this user that runs on this machine."""

    directory: Path
    content: ClusterFile
    members: Sequence[Member]

    @property
    def epoch(self) -> str:
        """Its name."""
        return self.content.epoch

    @property
    def called(self) -> str:
        """As it is listed: "3f2a91bc (train.ipynb)"."""
        names = ", ".join(one_line(_name(member), 60) for member in self.members if _name(member))
        return f"{self.epoch} ({names})" if names else self.epoch

    def names(self) -> dict[str, str]:
        """What it may be called by, with the job that this means; "" for the cluster as such."""
        found = {self.epoch: ""}
        for member in self.members:
            found |= {name: member.job for name in (member.job, member.notebook, PurePath(member.notebook).name) if name}
        return found

    def drivers(self, job: str) -> int:
        """How many kernels or scripts of that job are connected now. Raises ClusterDied, TimeoutError."""
        return int(questions.ask(self.directory, self.content, "jobs").get(job, 0))


def running() -> list[Running]:
    """The clusters of this user."""
    found = run_directory.clusters()
    return [Running(directory, content, job_list.members(directory, content)) for directory, content in found]


def lingering() -> Running | None:
    """The cluster that an earlier kernel of this notebook has left behind."""
    key = own_key()
    return next((each for each in running() if job_list.of_kernel(each.members, key) is not None), None)


def own_key() -> str:
    """The job of this kernel, wherever it starts a cluster itself."""
    return str(session.current.defaults.get("job", ""))


def goes_on() -> bool:
    """Whether this notebook has a cluster; one that an earlier kernel left behind is joined."""
    if session.is_initialized():
        return True
    if lingering() is None:
        return False
    session.current_backend()
    return True


def left_text(backend: Backend) -> str:
    """What is said when a kernel finds its cluster again: which cells went on, and what to type; "" where none did."""
    if _attaching:
        return ""
    found = [row for row in backend.left_work() if row.missed or row.counts.waiting or row.counts.running]
    if not found:
        return ""
    cells = list(dict.fromkeys(one_line(row.counts.label or row.counts.cell_run, 60) for row in found))
    shown = ", ".join(cells[:MOST_TOLD]) + (f" and {len(cells) - MOST_TOLD} more" if len(cells) > MOST_TOLD else "")
    return (
        f"nbray: this notebook's cluster goes on from an earlier kernel, which left work there: {shown}. %nbray attach shows "
        "what that prints, and brings what it assigns.\n"
    )


@contextlib.contextmanager
def attaching() -> Iterator[None]:
    """Within it, nobody needs to be told of `%nbray attach`."""
    global _attaching
    _attaching = True
    try:
        yield
    finally:
        _attaching = False


_attaching = False


def join(shell: Any, word: str) -> Backend | None:
    """Go to the cluster of that name, or to this notebook's own; says what it does. None where there is none of its own.

    Raises UsageError where no cluster has that name, and where this notebook uses another one.
    """
    if session.is_initialized():
        backend = session.current_backend()
        if word and not any(each.epoch == backend.epoch and word in each.names() for each in running()):
            raise UsageError(
                f"%nbray attach {word}: this notebook uses the cluster {backend.epoch} already. %nbray stop ends that, with its "
                f"tasks and objects; then %nbray attach {word} goes to the other one"
            )
        return backend
    if word:
        found, job = _named(word)
        return _go(found, job or next((member.job for member in found.members), ""), shell)
    if lingering() is not None:
        return session.current_backend()
    mine = _by_path(notebook_path(os.environ, shell.user_ns))
    if mine is not None:
        return _go(*mine, shell)
    others = ", ".join(each.called for each in running())
    hint = f" Those of yours that run: {others}. %nbray attach NAME goes to one of them." if others else ""
    print(f"nbray: no cluster of this notebook goes on, so there is nothing to attach to.{hint}")  # noqa: T201
    return None


def _named(word: str) -> tuple[Running, str]:
    """The cluster that is called so, and the job that this means."""
    there = running()
    found = [(each, each.names()[word]) for each in there if word in each.names()]
    known = ", ".join(each.called for each in there)
    if not found:
        near = difflib.get_close_matches(word, [name for each in there for name in each.names()], 1)
        hint = f"did you mean {near[0]}? " if near else ""
        there_is = f"there is {known}" if known else "there is none"
        raise UsageError(f"%nbray attach {word}: none of your clusters on this machine is called so: {hint}{there_is}")
    if len(found) > 1:
        raise UsageError(f"%nbray attach {word}: {len(found)} clusters are called so: take the name of one: {known}")
    return found[0]


def _by_path(path: str) -> tuple[Running, str] | None:
    """The cluster of an earlier kernel of the notebook with this path, if that kernel is gone, and the job it had."""
    for each in running() if path else ():
        for member in each.members:
            if member.notebook == path and not _drivers(each, member.job):
                return each, member.job
    return None


def _drivers(found: Running, job: str) -> int:
    try:
        return found.drivers(job)
    except (ClusterDied, TimeoutError):  # it ends just now: nobody can go there
        return 1


def _go(found: Running, job: str, shell: Any) -> Backend:
    """Join it: in the place of the job's lost kernel, or beside one that lives, as a notebook of its own."""
    own = own_key()
    takes_over = job == own or not found.drivers(job)
    notebook = notebook_path(os.environ, shell.user_ns)
    settings = {"cluster": found.epoch, "job": job if takes_over else own, "notebook": notebook, "heir": own}
    backend = session.current.start(registry.LOCAL, settings)
    if takes_over:
        print(f"nbray: joined the cluster {found.called}, whose kernel is gone: its work is this notebook's now.", flush=True)  # noqa: T201
    else:
        print(f"nbray: joined the cluster {found.called}, which is used there too. That work: %nbray attach --all", flush=True)  # noqa: T201
    return backend


def _name(member: Member) -> str:
    return PurePath(member.notebook).name or member.job
