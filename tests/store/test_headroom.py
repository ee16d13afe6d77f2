"""What can still be populated, from files as both versions of cgroups and the system show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbray import machine
from nbray.store import headroom
from nbray.store.headroom import available_memory, cgroup_room, memory_kills, system_room

MEMINFO = "MemTotal:       24684092 kB\nMemFree:        100 kB\nMemAvailable:   2000 kB\n"


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")
    return folder


def test_version_2_counts_inactive_file_cache_as_free(tmp_path: Path) -> None:
    group = write(tmp_path, memory__max="1000", memory__current="900", memory__stat="anon 500\ninactive_file 300")
    assert cgroup_room(group) == 400


def test_version_1_counts_the_groups_below_too(tmp_path: Path) -> None:
    statistics = "inactive_file 5\ntotal_inactive_file 300"
    group = write(tmp_path, memory__limit_in_bytes="1000", memory__usage_in_bytes="900", memory__stat=statistics)
    assert cgroup_room(group) == 400


def test_group_without_limit(tmp_path: Path) -> None:
    assert cgroup_room(write(tmp_path, memory__max="max", memory__current="900", memory__stat="")) is None
    assert cgroup_room(write(tmp_path / "empty")) is None


def test_a_limit_beyond_the_machines_memory_is_none(tmp_path: Path) -> None:
    most = machine.total_memory()
    files = {"memory__usage_in_bytes": "900", "memory__stat": "total_inactive_file 300"}
    assert cgroup_room(write(tmp_path, memory__limit_in_bytes=str(2**63 - 4096), **files)) is None
    assert cgroup_room(write(tmp_path, memory__limit_in_bytes=str(most), **files)) is None
    assert cgroup_room(write(tmp_path, memory__limit_in_bytes=str(most - 1), **files)) == most - 1 - 900 + 300


def test_system_room(tmp_path: Path) -> None:
    assert system_room(write(tmp_path, meminfo=MEMINFO) / "meminfo") == 2000 * 1024


def test_system_that_does_not_say_has_all_its_memory(tmp_path: Path) -> None:
    assert system_room(tmp_path / "none") == machine.total_memory()


def test_tightest_room_counts_and_none_is_negative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roomy = write(tmp_path / "roomy", memory__max="5000", memory__current="100", memory__stat="")
    tight = write(tmp_path / "tight", memory__max="1000", memory__current="900", memory__stat="")
    over = write(tmp_path / "over", memory__max="1000", memory__current="1100", memory__stat="")
    monkeypatch.setattr(headroom, "system_room", lambda: 3000)
    monkeypatch.setattr(machine, "cgroups", lambda controller: [roomy])
    assert available_memory() == 3000
    monkeypatch.setattr(machine, "cgroups", lambda controller: [roomy, tight])
    assert available_memory() == 100
    monkeypatch.setattr(machine, "cgroups", lambda controller: [roomy, over])
    assert available_memory() == 0


def test_processes_that_were_ended_for_their_memory_are_counted(tmp_path: Path) -> None:
    assert memory_kills(write(tmp_path, vmstat="pgfault 9\noom_kill 3\n") / "vmstat") == 3
    assert memory_kills(tmp_path / "none") == 0
    assert memory_kills() >= 0
