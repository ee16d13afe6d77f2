"""The kernel "Python 3 (nbray)" starts from its kernelspec, with nbray there from the first cell, or says why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebook.kernel import ROOT, Kernel, running_kernel

pytestmark = pytest.mark.local


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """Nothing is loaded by a cell here."""
    with running_kernel(tmp_path, "%nbray start -n 1 --memory 300MB", name="nbray") as kernel:
        yield kernel


def test_the_kernelspec_starts_it_as_python_would() -> None:
    spec = json.loads((ROOT / "nbray" / "notebook" / "kernelspec" / "kernel.json").read_text())
    assert spec["argv"] == ["python", "-m", "nbray.notebook.kernel", "-f", "{connection_file}"]
    assert (spec["display_name"], spec["language"], spec["metadata"]["debugger"]) == ("Python 3 (nbray)", "python", True)


def test_nbray_is_there_without_load_ext(kernel: Kernel) -> None:
    assert kernel.run_ok("%%remote\nimport os\npid = os.getpid()").stderr == ""
    assert kernel.run_ok("import os\npid != os.getpid()").result == "True"
    assert kernel.run_ok("__name__, __import__('sys').modules['__main__'].__dict__ is globals()").result == "('__main__', True)"


def test_files_beside_the_notebook_do_not_hide_modules_while_it_starts(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("raise ImportError('the user's own')")
    (tmp_path / "neighbour.py").write_text("value = 7")
    with running_kernel(tmp_path, name="nbray") as kernel:
        assert kernel.run_ok("import neighbour\nneighbour.value").result == "7"


def test_restart_finds_the_cluster_and_needs_no_load_ext(kernel: Kernel) -> None:
    zygote = "%%remote\nimport os\nos.getppid()"
    before = kernel.run_ok(zygote).shown[0]
    kernel.restart()
    assert kernel.run_ok(zygote).shown[0] == before


# ---------------------------------------------------------------- nbray cannot be loaded


def test_a_kernel_without_nbray_works_and_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "msgspec.py").write_text("raise ImportError('libmsgspec.so: cannot open')")
    with running_kernel(tmp_path, name="nbray", env={"PYTHONPATH": f"{broken}:{ROOT}"}) as kernel:
        first = kernel.run_ok("1 + 1")
        assert first.result == "2"
        assert "nbray could not be loaded (ImportError: libmsgspec.so: cannot open)" in first.stderr
        assert "%load_ext nbray tries again" in first.stderr
        assert kernel.run_ok("2 + 2").stderr == ""
        assert "libmsgspec.so" in kernel.run("%load_ext nbray").error
