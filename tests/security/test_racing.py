"""What another user has put in the way before is refused with advice; what he puts there meanwhile gets him nothing.

This needs root, which can become others. 10,000 rounds: `python -m tests.security.racing 10000`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import nbray
from nbray.engine import run_directory, spill_directory
from nbray.errors import StartFailed
from nbray.notebook.history_file import HistoryFile
from nbray.notebook.manifest import Manifest
from nbray.result_cache import ResultCache, default_directory, new_head
from tests.security.racing import ADVICE, ATTACKER, OTHER_ADVICE, ROOT, race

pytestmark = [
    pytest.mark.local,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user"),
]


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as /tmp is, which this user has for temporary files and for caches."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        shared = Path(name)
        shared.chmod(0o1777)
        for variable in ("XDG_RUNTIME_DIR", "JUPYTER_RUNTIME_DIR"):
            monkeypatch.delenv(variable, raising=False)
        for variable in ("TMPDIR", "XDG_CACHE_HOME", "HOME", "JUPYTER_DATA_DIR"):
            monkeypatch.setenv(variable, name)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield shared


def folder_of_another(place: Path) -> None:
    place.mkdir()
    place.chmod(0o777)
    os.chown(place, ATTACKER, ATTACKER)


def link_of_another(place: Path) -> None:
    """To a folder of his, whose owner looks right from behind the link."""
    folder_of_another(place.with_name("loot"))
    place.symlink_to(place.with_name("loot"))
    os.lchown(place, ATTACKER, ATTACKER)


def link_to_own(place: Path) -> None:
    """His link to a folder of the victim."""
    place.with_name("own").mkdir(mode=0o700)
    place.symlink_to(place.with_name("own"))
    os.lchown(place, ATTACKER, ATTACKER)


IN_THE_WAY = pytest.mark.parametrize("put", [folder_of_another, link_of_another, link_to_own])


@IN_THE_WAY
def test_no_cluster_starts_there(shared: Path, put: Callable[[Path], None]) -> None:
    place = shared / f"nbray-{os.getuid()}"
    put(place)
    with pytest.raises(StartFailed, match=f"'{place}' {ADVICE}"):
        run_directory.parent()
    started = subprocess.run(
        [sys.executable, "-c", "import nbray; nbray.init(num_workers=1)"],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert "StartFailed" in started.stderr
    assert "remove it, or set XDG_RUNTIME_DIR to one that is" in started.stderr
    assert list(place.resolve().iterdir()) == []


@IN_THE_WAY
@pytest.mark.parametrize("where", ["nbray", "nbray/results"])
def test_no_result_is_kept_there(shared: Path, put: Callable[[Path], None], where: str) -> None:
    place = shared / where
    if place.parent != shared:
        place.parent.mkdir(mode=0o700)
    put(place)
    with pytest.raises(nbray.UsageError, match=OTHER_ADVICE):
        default_directory()
    assert "cannot be written" in ResultCache(shared / "nbray" / "results").keep("key", 1, new_head("kept", 1.0, (), ()))
    assert list(place.resolve().iterdir()) == []


@IN_THE_WAY
def test_no_history_is_kept_there(shared: Path, put: Callable[[Path], None]) -> None:
    (shared / "nbray").mkdir(mode=0o700)
    put(shared / "nbray" / "history")
    file = HistoryFile(shared / "nbray" / "history", "a.ipynb")
    file.append(Manifest(cell_run="c", number=1, notebook="a.ipynb", began=1.0, how="remote"))
    assert "cannot be written" in file.problem
    assert list((shared / "nbray" / "history").resolve().iterdir()) == []


@IN_THE_WAY
def test_no_object_goes_there(shared: Path, put: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    put(shared / "nbray")
    monkeypatch.setattr(spill_directory, "_candidates", lambda: iter([shared / "nbray"]))
    folder, reason = spill_directory.find(None)
    assert folder is None
    assert "somebody else" in reason
    assert "Name a directory on a disk" in reason


def test_what_is_put_there_meanwhile_gets_nothing() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        counts = race(Path(name), 120)
    harm = (
        "planted results that were taken", "secrets read", "run directories inside the attacker's folder",
        "refused without advice", "bytes of the victim's secret that lie open to others",
    )  # fmt: skip
    assert {what: counts.get(what, 0) for what in harm} == dict.fromkeys(harm, 0)
    assert counts["attempts"] > 120
    assert counts["run directories"] + counts["run directories refused"] == 120
    assert counts["results kept"] + counts["results refused"] == 120
