"""How many bytes can still be populated before the system kills somebody: the machine's memory and every cgroup's."""

from __future__ import annotations

from pathlib import Path

from nbray import machine


def available_memory() -> int:
    """Bytes that may be granted now; takes a tenth of a millisecond, and as much again for each cgroup with a limit.

    >>> available_memory() > 0
    True
    """
    groups = [room for group in machine.cgroups("memory") if (room := cgroup_room(group)) is not None]
    return max(0, min([system_room(), *groups]))


def system_room(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes that the system has for new pages; where it does not say (macOS), all its memory: it compresses and swaps."""
    if not meminfo.exists():
        return machine.total_memory()
    return named_number(meminfo.read_text().replace(":", ""), "MemAvailable") * 1024


def cgroup_room(group: Path) -> int | None:
    """Bytes left under a cgroup's limit, counting file cache that it would drop as free; None when it has no limit.

    One that is no less than the machine's memory is none: version 1 says so for "no limit", and the rest need not be read.
    """
    limit = machine.read_int(group, "memory.max", "memory.limit_in_bytes")
    if limit is None or limit >= machine.total_memory():
        return None
    used = machine.read_int(group, "memory.current", "memory.usage_in_bytes")
    if used is None:
        return None
    statistics = (group / "memory.stat").read_text()
    droppable = named_number(statistics, "total_inactive_file") or named_number(statistics, "inactive_file")
    return limit - used + droppable


def memory_kills(vmstat: Path = Path("/proc/vmstat")) -> int:
    """How many processes the system has ended so far because memory ran out; 0 where it does not say."""
    return named_number(vmstat.read_text(), "oom_kill") if vmstat.exists() else 0


def named_number(text: str, name: str) -> int:
    """The number behind a name at the start of a line, 0 when there is none.

    >>> named_number("anon 12\\ninactive_file 4096\\n", "inactive_file")
    4096
    """
    return next((int(line.split()[1]) for line in text.splitlines() if line.split()[:1] == [name]), 0)
