"""Checkpoints: complete or not there, and what they are made from."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nbray import checkpoints
from nbray.checkpoints import Checkpoint, Filling
from nbray.errors import UsageError, WrongType


def names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


# -------------------------------------------------------------------- what they are made from


def test_a_dict_comes_back(tmp_path: Path) -> None:
    written = checkpoints.write({"epoch": 3, "square": lambda x: x * x}, tmp_path / "deep" / "checkpoint_000001")
    assert written.is_dict
    data = Checkpoint(tmp_path / "deep" / "checkpoint_000001").to_dict()
    assert (data["epoch"], data["square"](3)) == (3, 9)
    assert names(tmp_path / "deep") == ["checkpoint_000001"]


def test_a_directory_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "weights").write_text("12")
    for content in (source, str(source), Checkpoint(source)):
        written = checkpoints.write(content, tmp_path / "target")
        (source / "sub" / "weights").write_text("12")
        with written.as_directory() as directory:
            assert Path(directory, "sub", "weights").read_text() == "12"
    assert not written.is_dict
    with pytest.raises(UsageError, match=r"was not made from a dict: read its files"):
        written.to_dict()


def write_a_file(directory: str) -> None:
    Path(directory, "weights").write_text("7")


def test_what_fills_a_directory_is_not_copied(tmp_path: Path) -> None:
    assert names(Path(checkpoints.write(Filling(write_a_file), tmp_path / "a").path)) == ["weights"]
    assert checkpoints.write(Filling(lambda directory: {"at": 1}), tmp_path / "b").to_dict() == {"at": 1}


def test_a_dict_of_ones_own_lies_in_a_directory_that_goes_with_it(tmp_path: Path) -> None:
    checkpoint = Checkpoint.from_dict({"epoch": 3})
    path = Path(checkpoint.path)
    assert checkpoint.to_dict() == {"epoch": 3}
    copy = checkpoint.to_directory(tmp_path / "copy")
    del checkpoint
    gc.collect()
    assert not path.exists()
    assert Checkpoint.from_directory(copy).to_dict() == {"epoch": 3}


@pytest.mark.parametrize("content", [12, None, ["a"]])
def test_what_no_checkpoint_can_be_made_from(content: Any, tmp_path: Path) -> None:
    with pytest.raises(WrongType, match="expected a dict, the path of a directory, a Checkpoint, or a function"):
        checkpoints.write(content, tmp_path / "target")
    assert names(tmp_path) == []


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no directory .*nowhere"):
        checkpoints.write(str(tmp_path / "nowhere"), tmp_path / "target")
    with pytest.raises(UsageError, match=r"there is no directory .*nowhere"):
        Checkpoint.from_directory(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"there is no directory .*nowhere"):
        Checkpoint(tmp_path / "nowhere").to_dict()
    with pytest.raises(WrongType, match=r"for a dict write Checkpoint\.from_dict"):
        Checkpoint({"epoch": 1})  # type: ignore[arg-type]


# -------------------------------------------------------------------- all or nothing


def fill_half(directory: str) -> Mapping[str, Any]:
    Path(directory, "half").touch()
    raise OSError("the disk is full")


def test_what_fails_on_the_way_leaves_the_old_one(tmp_path: Path) -> None:
    checkpoints.write({"epoch": 1}, tmp_path / "target")
    with pytest.raises(OSError, match="the disk is full"):
        checkpoints.write(Filling(fill_half), tmp_path / "target")
    assert Checkpoint(tmp_path / "target").to_dict() == {"epoch": 1}
    assert names(tmp_path) == ["target"]


KILLED = """
import os, sys
from pathlib import Path
from nbray import checkpoints
def fill(directory):
    Path(directory, "half").touch()
    os.kill(os.getpid(), 9)
checkpoints.write(checkpoints.Filling(fill), Path(sys.argv[1]) / "target")
"""


def test_who_is_killed_on_the_way_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env={**os.environ, "PYTHONPATH": "."}, check=False)
    assert killed.returncode == -9
    assert [name.startswith(".unfinished-") for name in names(tmp_path)] == [True]
    checkpoints.sweep(tmp_path)
    assert names(tmp_path) == []


def test_one_takes_the_place_of_another_and_goes(tmp_path: Path) -> None:
    checkpoints.write({"epoch": 1, "more": 2}, tmp_path / "target")
    checkpoints.write({"epoch": 2}, tmp_path / "target")
    assert Checkpoint(tmp_path / "target").to_dict() == {"epoch": 2}
    checkpoints.discard(tmp_path / "target")
    checkpoints.discard(tmp_path / "target")  # it may be gone already
    assert names(tmp_path) == []


# -------------------------------------------------------------------- beside the files


def test_metadata(tmp_path: Path) -> None:
    checkpoint = checkpoints.write({"epoch": 1}, tmp_path / "target")
    assert checkpoint.get_metadata() == {}
    checkpoint.set_metadata({"a": 1, "b": 2})
    checkpoint.update_metadata({"b": 3})
    assert Checkpoint(checkpoint.path).get_metadata() == {"a": 1, "b": 3}


def test_equal_if_they_are_the_same_directory(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path) == Checkpoint(str(tmp_path))
    assert len({Checkpoint(tmp_path), Checkpoint(tmp_path)}) == 1
    assert Checkpoint(tmp_path) != tmp_path
    assert repr(Checkpoint("/a/b")) == "Checkpoint('/a/b')"


@pytest.mark.parametrize("damaged", [b"", b"rubbish", bytes(100)])
def test_a_damaged_dict_is_not_unpickled(damaged: bytes) -> None:
    checkpoint = Checkpoint.from_dict({"epoch": 3})
    (Path(checkpoint.path) / "checkpoint.pkl").write_bytes(damaged)
    with pytest.raises(UsageError, match=r"is damaged: .* \(checkpoint.pkl\)\. Take an earlier one"):
        checkpoint.to_dict()


@pytest.mark.parametrize("damaged", [b"{", b"\xff", b"5", b"[" * 100_000])
def test_damaged_metadata_are_told_of(damaged: bytes) -> None:
    checkpoint = Checkpoint.from_dict({"epoch": 3})
    (Path(checkpoint.path) / ".metadata.json").write_bytes(damaged)
    with pytest.raises(UsageError, match=r"the metadata of .* is damaged: .* Write it anew"):
        checkpoint.get_metadata()
