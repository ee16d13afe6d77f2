"""What a process may use, from the files of both versions of cgroups as containers and hosts show them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nbray import machine

HYBRID = "9:name=systemd:/\n4:memory:/jobs/7\n1:cpu,cpuacct:/\n0::/\n"
UNIFIED = "0::/user.slice/app.scope"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return folder


@pytest.mark.parametrize(
    ("text", "controller", "expected"),
    [
        (HYBRID, "memory", [("memory", "/jobs/7"), ("", "/")]),
        (HYBRID, "cpu", [("cpu,cpuacct", "/"), ("", "/")]),
        (UNIFIED, "cpu", [("", "/user.slice/app.scope")]),
        ("0::/a:b", "memory", [("", "/a:b")]),
        ("", "memory", []),
    ],
)
def test_memberships(text: str, controller: str, expected: list[tuple[str, str]]) -> None:
    assert machine.memberships(text, controller) == expected


def test_all_groups_above_limit_too(tmp_path: Path) -> None:
    membership = write(tmp_path, {"membership": UNIFIED}) / "membership"
    mount = write(tmp_path / "mount", {"user.slice/app.scope/memory.max": "5", "memory.max": "max"})
    groups = machine.cgroups("memory", membership, mount)
    assert groups == [mount / "user.slice/app.scope", mount / "user.slice", mount]


def test_hidden_path_of_a_container_leads_to_its_mount(tmp_path: Path) -> None:
    membership = write(tmp_path, {"membership": "4:memory:/docker/0a1b"}) / "membership"
    mount = write(tmp_path / "mount", {"memory/memory.limit_in_bytes": "1000"})
    assert machine.cgroups("memory", membership, mount) == [mount / "memory"]


def test_path_outside_the_namespace_ends(tmp_path: Path) -> None:
    membership = write(tmp_path, {"membership": "0::/../../other"}) / "membership"
    mount = write(tmp_path / "mount", {"memory.max": "5"})
    assert machine.cgroups("memory", membership, mount)[-1] == mount


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    assert machine.cgroups("memory", tmp_path / "none", tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, None),
        ({"cpu.cfs_quota_us": "400000", "cpu.cfs_period_us": "100000"}, 4.0),
        ({"other": ""}, None),
    ],
)
def test_cpu_quota(tmp_path: Path, files: dict[str, str], cpus: float | None) -> None:
    assert machine.cpu_quota(write(tmp_path, files)) == cpus


@pytest.mark.parametrize(("quota", "expected"), [("10000", 1), ("150000", 2), ("200000", 2), ("10000000", 4), ("max", 4)])
def test_cpu_count_is_the_lesser_of_affinity_and_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    write(tmp_path, {"cpu.max": f"{quota} 100000"})
    monkeypatch.setattr(machine, "cgroups", lambda controller: [tmp_path])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    assert machine.cpu_count() == expected


def test_cpu_count_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cgroups", lambda controller: [])
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.cpu_count() == 1


def test_tightest_memory_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    write(inner, {"memory.max": "max"})
    write(outer, {"memory.limit_in_bytes": "100000000"})
    monkeypatch.setattr(machine, "cgroups", lambda controller: [inner, outer])
    assert (machine.memory_limit(), machine.default_store_limit()) == (100_000_000, 30_000_000)


def test_no_limit_is_the_machines_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"memory.limit_in_bytes": "9223372036854771712"})
    monkeypatch.setattr(machine, "cgroups", lambda controller: [tmp_path])
    assert machine.memory_limit() == machine.total_memory() > 1 << 28


def test_a_user_without_a_home_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run as numbers that no file of users knows."""
    monkeypatch.setenv("HOME", "~")
    assert not machine.home().exists()
    monkeypatch.setenv("HOME", "/home/me")
    assert machine.home() == Path("/home/me")
