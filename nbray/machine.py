"""How much of this machine this process may use: CPUs by affinity and cgroup quota, memory by cgroup limit.

A process sits in one cgroup of each hierarchy, and every group above it limits it too: the tightest one counts. In a
container the groups above are often hidden and the path names a place outside, so a path that does not exist is no
error: its parents are looked at, up to the mount, which is then the container's own group.

    version   mount                   CPU                          memory
    -------   ---------------------   --------------------------   --------------------------------------------------
    2         /sys/fs/cgroup          cpu.max                      memory.max, memory.current
    1         /sys/fs/cgroup/memory   cpu.cfs_quota_us, _period_   memory.limit_in_bytes, memory.usage_in_bytes
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

STORE_SHARE = 0.3
"""The part of the memory that the store may take by default."""


def cpu_count() -> int:
    """CPUs that this process may use; a quota of 1.5 counts as 2.

    >>> cpu_count() >= 1
    True
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for group in cgroups("cpu") if (quota := cpu_quota(group)) is not None]
    return max(1, min([allowed, *map(math.ceil, quotas)]))


def total_memory() -> int:
    """Bytes of memory of the machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def memory_limit() -> int:
    """Bytes of memory that this process and the others of its cgroup may use together."""
    limits = [limit for group in cgroups("memory") if (limit := read_int(group, "memory.max", "memory.limit_in_bytes"))]
    return min([total_memory(), *limits])


def home() -> Path:
    """The user's home directory; in a container whose user has none, a place that is not there."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


def default_store_limit() -> int:
    """The store's size in bytes when nobody says: 30 % of the memory that may be used."""
    return int(memory_limit() * STORE_SHARE)


def cgroups(controller: str, membership: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> list[Path]:
    """Directories of the cgroups that limit this process's use of `controller`, the innermost first."""
    text = membership.read_text() if membership.exists() else ""
    return [group for top, path in memberships(text, controller) for group in _upward(mount / top, path) if group.is_dir()]


def memberships(text: str, controller: str) -> list[tuple[str, str]]:
    """The hierarchies in a /proc/PID/cgroup that can limit `controller`: folder below the mount, and path in it.

    >>> memberships("4:memory:/jobs/7\\n3:cpu,cpuacct:/\\n0::/user.slice\\n", "memory")
    [('memory', '/jobs/7'), ('', '/user.slice')]
    """
    lines = [line.split(":", 2) for line in text.splitlines()]
    return [(names, path) for _, names, path in lines if not names or controller in names.split(",")]


def cpu_quota(group: Path) -> float | None:
    """CPUs that one cgroup grants, None when it sets no limit."""
    words = _read(group / "cpu.max").split() or [_read(group / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    return parse_quota(*words) if all(words) else None


def parse_quota(quota: str, period: str) -> float | None:
    """CPUs from the two numbers of a quota, in microseconds.

    >>> parse_quota("150000", "100000"), parse_quota("max", "100000"), parse_quota("-1", "100000")
    (1.5, None, None)
    """
    return int(quota) / int(period) if quota not in ("max", "-1") else None


def read_int(group: Path, *names: str) -> int | None:
    """The number in the first of these files that exists; None for "max" and where there is none."""
    text = next(filter(None, (_read(group / name) for name in names)), "max")
    return int(text) if text != "max" else None


def _upward(mount: Path, path: str) -> Iterator[Path]:
    group = mount / path.strip("/")
    yield group
    while group != mount:
        group = group.parent
        yield group


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # that file belongs to the other version, or to a group that is hidden from us
        return ""
