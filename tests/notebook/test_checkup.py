"""What the checkup says about machines that a test makes up: each that does not suit has its advice, and only that."""

from __future__ import annotations

from typing import Any

import pytest

from nbray.notebook.checkup import GIB, Facts, Finding, examine, satisfied

VERSIONS = {"ipykernel": "7.4.0", "jupyterlab": "4.6.6", "jupyterlab_widgets": "3.0.17"}
WELL: dict[str, Any] = {"versions": VERSIONS}


def about(subject: str, **changed: Any) -> Finding:
    """What is said about one subject."""
    (found,) = [each for each in examine(Facts(**{**WELL, **changed})) if each.subject == subject]
    return found


def test_where_all_is_well_there_is_no_advice() -> None:
    assert [each for each in examine(Facts(**WELL)) if each.verdict != "ok" or each.advice] == []


BAD: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "plain kernel": ("kernel", {"kernel": "ipykernel"}, "note", 'Python 3 (nbray)" (menu Kernel'),
    "terminal": ("kernel", {"kernel": "terminal"}, "note", "a notebook shows more"),
    "no kernelspec": ("kernelspec", {"kernelspec": None}, "note", "python -m pip install nbray"),
    "another Python": ("kernelspec", {"kernelspec": "/usr/bin/python3"}, "note", "this notebook runs python"),
    "old Python": ("Python", {"python": "3.10.14"}, "problem", "3.11 or newer"),
    "no ipykernel": ("ipykernel", {"versions": {}}, "note", 'pip install "ipykernel>=6.29"'),
    "old ipykernel": ("ipykernel", {"versions": {"ipykernel": "6.25.1"}}, "problem", 'pip install -U "ipykernel>=6.29"'),
    "no subshells": ("ipykernel", {"versions": {"ipykernel": "6.31.0"}}, "note", 'pip install -U "ipykernel>=7"'),
    "old Lab": ("page", {"versions": VERSIONS | {"jupyterlab": "3.6.1"}}, "problem", 'pip install -U "jupyterlab>=4"'),
    "old Notebook": ("page", {"versions": VERSIONS | {"notebook": "6.5"}}, "problem", 'pip install -U "notebook>=7"'),
    "no widgets": ("page", {"versions": {"jupyterlab": "4.6"}}, "problem", "pip install -U jupyterlab_widgets"),
    "old package": ("packages", {"requirements": ("ipykernel>=8",)}, "problem", 'pip install -U "ipykernel>=8"'),
    "lost package": ("packages", {"requirements": ("dill>=0.4",)}, "problem", 'pip install -U "dill>=0.4"'),
    "few CPUs": ("CPUs", {"cpus": 2, "all_cpus": 64}, "note", "container"),
    "little memory": ("memory", {"memory": GIB // 2}, "problem", "more memory"),
    "a limit": ("memory", {"memory": 4 * GIB, "total_memory": 64 * GIB}, "note", "set outside"),
    "Docker": ("shared memory", {"shm": 64 * 1024**2}, "note", "docker run --shm-size=2g"),
    "no memfd": ("shared memory", {"has_memfd": False}, "note", "TMPDIR"),
    "few files": ("limits", {"files": 64}, "problem", "ulimit -n 4096"),
    "few processes": ("limits", {"cpus": 16, "all_cpus": 16, "processes": 40}, "problem", "--pids-limit"),
    "no run directory": ("run directory", {"run_problem": "'/tmp/x' is not private"}, "problem", "XDG_RUNTIME_DIR"),
    "no disk": ("disk for objects", {"spill_directory": None, "spill_problem": "tmpfs"}, "note", "spill_directory="),
    "full disk": ("disk for objects", {"spill_free": GIB}, "note", "make room"),
    "dead cluster": ("cluster", {"lost": "its scheduler was killed"}, "problem", "%nbray start"),
    "slow cluster": ("cluster", {"cluster": "c1", "workers": 2, "answered_in": 2.5}, "note", "overloaded"),
    "two clusters": ("other clusters", {"clusters": ("c2 (b.ipynb)",)}, "note", "nbray stack"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_suit_is_told_with_what_to_do(case: str) -> None:
    subject, changed, verdict, advice = BAD[case]
    found = about(subject, **changed)
    assert found.verdict == verdict
    assert advice in found.advice


def test_what_was_found_is_quoted() -> None:
    assert about("packages", requirements=("dill>=0.4", "ipykernel>=7")).found == "dill missing"
    assert about("memory").found == "8.0 GiB, of which the object store may take 2.0 GiB"
    assert about("cluster", cluster="c1", workers=2, answered_in=0.004).found == "c1, 2 workers, answers in 4 ms"
    assert about("limits", processes=300).found == "1024 open files, 300 processes"


@pytest.mark.parametrize(
    ("requirement", "version", "met"),
    [("a>=1.2", "1.2", True), ("a>=1.2", "1.10", True), ("a>=1.2", "1.1.9", False), ("a<4,>=3.4", "4.0.dev3", False),
     ("a", "0.1", True), ("jupyter-client>=8.6", "8.10", True)],
)  # fmt: skip
def test_versions_are_compared_as_numbers(requirement: str, version: str, met: bool) -> None:
    name = "jupyter_client" if "client" in requirement else "a"
    assert satisfied(requirement, {name: version}) is met
