from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.engine import spill_directory
from tests.storm.places import Places

RESERVE = """
import os, pathlib, sys
folder = pathlib.Path(sys.argv[1]) / sys.argv[2]
try:
    folder.mkdir()
    file = os.open(folder / "object", os.O_RDWR | os.O_CREAT, 0o600)
    os.posix_fallocate(file, 0, 1 << 20)
except OSError as error:
    print(error.errno)
else:
    print(0)
"""


@pytest.fixture
def places() -> Iterator[Places]:
    """Without a disk of their own, as on most machines."""
    made = Places(mount=False)
    yield made
    made.remove(keep_records=False)


def reserve(places: Places, folder: str) -> int:
    """What a process of the storm gets when it asks for room in a file of a folder: an error's number or 0."""
    command = [sys.executable, "-c", RESERVE, str(places.spill), folder]
    done = subprocess.run(command, env=places.environment(), capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.local
def test_where_no_disk_can_be_mounted_a_seam_refuses_room_for_spilled_objects_alone(places: Places) -> None:
    assert reserve(places, "spill-one") == 0
    places.fill_disk()
    assert reserve(places, "spill-two") == errno.ENOSPC
    assert reserve(places, "other") == 0
    places.free_disk()
    assert reserve(places, "spill-three") == 0


@pytest.mark.local
def test_a_disk_of_its_own_is_really_full() -> None:
    places = Places()
    try:
        if places.mounted:  # as root; the seam stands in elsewhere
            places.fill_disk()
            assert os.statvfs(places.spill).f_bavail < 16
            assert reserve(places, "spill-one") == errno.ENOSPC
        places.free_disk()
        assert reserve(places, "spill-two") == 0
    finally:
        places.remove(keep_records=False)
    assert not places.root.exists()


def test_what_is_left_is_named(places: Places) -> None:
    assert places.left() == []
    (places.run / "nbray-1").mkdir()
    (places.spill / "spill-1").mkdir()
    assert places.left() == ["disk/spill-1", "run/nbray-1"]


def test_with_temporary_files_in_memory_the_disk_is_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(spill_directory, "problem", lambda folder: "is kept in memory")
    monkeypatch.setattr(spill_directory, "find", lambda asked: (tmp_path / "cache", ""))
    places = Places(mount=False)
    assert places.spill.parent == tmp_path / "cache"
    places.remove(keep_records=False)
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.setattr(spill_directory, "find", lambda asked: (None, "nowhere"))
    with pytest.raises(OSError, match="a storm needs a disk: nowhere"):
        Places(mount=False)
    assert list(tmp_path.glob("storm-*")) == []


def test_records_can_be_kept() -> None:
    places = Places(mount=False)
    places.ledger.write_bytes(b"b 1 1 1 1.0\n")
    places.remove(keep_records=True)
    assert places.ledger.exists()
    places.remove(keep_records=False)
    assert not places.root.exists()
