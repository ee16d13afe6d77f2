"""Who uses a cluster, as a returning kernel reads it."""

from __future__ import annotations

import stat
from pathlib import Path

from nbray.engine import job_list
from nbray.engine.job_list import Member
from nbray.engine.run_directory import ClusterFile

CONTENT = ClusterFile("epoch", "first", 1, 0.0, "here", 1, notebook="/a.ipynb")


def test_who_started_it_comes_first(tmp_path: Path) -> None:
    assert job_list.members(tmp_path, CONTENT) == [Member("first", "/a.ipynb")]
    job_list.note(tmp_path, Member("second", "/b.ipynb"))
    assert [member.job for member in job_list.members(tmp_path, CONTENT)] == ["first", "second"]
    assert stat.S_IMODE((tmp_path / job_list.FILE_NAME).stat().st_mode) == 0o600


def test_who_has_left_is_not_found_until_it_comes_back(tmp_path: Path) -> None:
    job_list.note(tmp_path, Member("first", left=True))
    assert job_list.members(tmp_path, CONTENT) == []
    job_list.note(tmp_path, Member("first", "/a.ipynb"))
    assert job_list.members(tmp_path, CONTENT) == [Member("first", "/a.ipynb")]


def test_nothing_is_noted_where_the_cluster_has_gone(tmp_path: Path) -> None:
    job_list.note(tmp_path / "gone", Member("first", left=True))
    assert not (tmp_path / "gone").exists()


def test_an_heir_finds_the_job_that_it_goes_on_with(tmp_path: Path) -> None:
    job_list.note(tmp_path, Member("first", "/a.ipynb", heir="third"))
    found = job_list.members(tmp_path, CONTENT)
    assert job_list.of_kernel(found, "third") == Member("first", "/a.ipynb", heir="third")
    assert job_list.of_kernel(found, "first") is not None
    assert job_list.of_kernel(found, "other") is None
    assert job_list.of_kernel([Member("")], "") is None


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    job_list.note(tmp_path, Member("second"))
    with (tmp_path / job_list.FILE_NAME).open("a") as file:
        file.write('{"job": "thi')
    assert [member.job for member in job_list.members(tmp_path, CONTENT)] == ["first", "second"]
