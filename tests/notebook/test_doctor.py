"""`%nbray doctor`: what it finds on this machine, and how it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray.engine import run_directory
from nbray.errors import ClusterDied, StartFailed
from nbray.notebook import doctor
from nbray.notebook.checkup import Finding
from tests.fakes import fake_session, fresh_session
from tests.notebook.kernel import Kernel, running_kernel

FINDINGS = [
    Finding("Python", "ok", "3.11.7"),
    Finding("ipykernel", "problem", "6.25 <b>", 'pip install -U "ipykernel>=6.29"'),
    Finding("CPUs", "note", "2 of 4", "set outside"),
]


def test_as_text_each_finding_is_a_line_and_its_advice_another() -> None:
    assert repr(doctor.Report(FINDINGS)).splitlines() == [
        "nbray: 1 problem, 1 note.",
        "ok       Python     3.11.7",
        "PROBLEM  ipykernel  6.25 <b>",
        '                    -> pip install -U "ipykernel>=6.29"',
        "note     CPUs       2 of 4",
        "                    -> set outside",
    ]


def test_as_html_it_is_escaped() -> None:
    text = doctor.Report(FINDINGS)._repr_html_()
    assert "6.25 &lt;b&gt;<br>→ pip install -U &quot;ipykernel" in text
    assert doctor.Report(FINDINGS[:1]).headline == "nbray: no problems."


def test_it_looks_at_this_machine(shell: InteractiveShell) -> None:
    with fresh_session():
        facts = doctor.gather(shell)
    assert facts.kernel == "terminal"
    assert facts.cpus >= 1
    assert facts.versions["ipykernel"]
    assert facts.store < facts.memory <= facts.total_memory
    assert facts.cluster == facts.lost == ""
    assert Path(facts.run_directory).is_dir()


def test_a_running_cluster_is_asked(shell: InteractiveShell) -> None:
    with fake_session() as backend:
        facts = doctor.gather(shell)
    assert facts.cluster == backend.epoch
    assert facts.lost == ""


def test_a_dead_cluster_is_told(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise ClusterDied("its scheduler was killed")

    with fake_session() as backend:
        monkeypatch.setattr(backend, "snapshot", gone)
        facts = doctor.gather(shell)
    assert facts.lost == "its scheduler was killed"


def test_a_machine_without_a_run_directory_is_examined_all_the_same(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Path:
        raise StartFailed("'/tmp/nbray-0' is not a directory that only you can enter")

    monkeypatch.setattr(run_directory, "parent", refuse)
    with fresh_session():
        (found,) = [each for each in doctor.doctor(shell).findings if each.subject == "run directory"]
    assert found.verdict == "problem"
    assert "'/tmp/nbray-0' is not a directory" in found.found


@pytest.mark.local
def test_in_a_notebook(tmp_path: Path) -> None:
    with running_kernel(tmp_path, name="nbray") as kernel:
        text = report(kernel)
        assert "Python 3 (nbray)" in text
        assert "none runs: it starts with the first" in text
        kernel.run_ok("%nbray start -n 1 --memory 300MB")
        assert "1 worker, answers in" in report(kernel)
        assert "<table" in kernel.run_ok("%nbray doctor").data("text/html")[0]


def report(kernel: Kernel) -> str:
    (text,) = kernel.run_ok("%nbray doctor").data("text/plain")
    assert text.startswith("nbray: ")
    return str(text)
