"""Which jobs use a cluster, in a file of its run directory: a kernel that comes back finds the one that it shares with others."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from nbray.engine.run_directory import ClusterFile
from nbray.unreadable import UNREADABLE

FILE_NAME = "jobs.jsonl"


class Member(msgspec.Struct, frozen=True):
    """One job that has joined, or left for good."""

    job: str
    notebook: str = ""
    """The path of its notebook, where that is known."""
    left: bool = False
    heir: str = ""
    """The key of another kernel, which goes on with this job."""


def note(directory: Path, member: Member) -> None:
    """Add what has become of a job; nobody else can read it. Nothing is added where the cluster has just ended."""
    try:
        descriptor = os.open(directory / FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # its directory is gone; whoever still uses the cluster hears that on its connection
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(member) + b"\n")


def members(directory: Path, content: ClusterFile) -> list[Member]:
    """The jobs that have not left for good, the one that started the cluster first."""
    found = {content.job: Member(content.job, content.notebook)}
    for member in _noted(directory):
        if member.left:
            found.pop(member.job, None)
        else:
            found[member.job] = member
    return list(found.values())


def of_kernel(found: Iterable[Member], key: str) -> Member | None:
    """The job that the kernel of this key goes on with."""
    return next((member for member in found if key in (member.job, member.heir)), None) if key else None


def _noted(directory: Path) -> Iterable[Member]:
    try:
        lines = (directory / FILE_NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=Member))
        except UNREADABLE:  # torn, or of another release
            continue
    return found
