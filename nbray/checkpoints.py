"""Checkpoints: directories that hold the state of a training, complete from the moment that they exist."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from nbray import sealed
from nbray.errors import UsageError, WrongType
from nbray.sealed import Broken
from nbray.serialization import dumps, encode, loads

_DICT_FILE = "checkpoint.pkl"
"""Where a checkpoint that is a dict keeps it."""
_METADATA_FILE = ".metadata.json"
_UNFINISHED = ".unfinished-"
"""Prefix of a directory that is still being written; it gets its name by a rename when it is complete."""


class Checkpoint:
    """A directory with what a training needs to go on; the names of the methods are Ray's.

    >>> checkpoint = Checkpoint.from_dict({"epoch": 3})
    >>> checkpoint.to_dict()
    {'epoch': 3}
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise WrongType(f"Checkpoint({path!r}): expected the path of a directory; for a dict write Checkpoint.from_dict(...)")
        self.path = str(Path(path).expanduser().absolute())
        """Absolute."""

    @classmethod
    def from_directory(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """The checkpoint that this directory is; raises UsageError where there is none."""
        found = cls(path)
        if not Path(found.path).is_dir():
            raise UsageError(f"there is no directory {found.path!r}: write the checkpoint's files into one first")
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Checkpoint:
        """A checkpoint that holds `data`, in a temporary directory that goes when nobody in this process has it any more."""
        directory = Path(tempfile.mkdtemp(prefix="nbray-checkpoint-"))
        _write_dict(data, directory)
        checkpoint = cls(directory)
        weakref.finalize(checkpoint, shutil.rmtree, directory, ignore_errors=True)
        return checkpoint

    def to_dict(self) -> dict[str, Any]:
        """The dict that it was made from; raises UsageError where it was made from files."""
        try:
            with (Path(self.path) / _DICT_FILE).open("rb") as file:
                data = sealed.read(file)
        except Broken as error:
            raise UsageError(f"{self!r} is damaged: {error} ({_DICT_FILE}). Take an earlier one") from error
        except FileNotFoundError:
            Checkpoint.from_directory(self.path)  # raises where there is none at all
            raise UsageError(
                f"{self!r} was not made from a dict: read its files, with checkpoint.as_directory() as directory"
            ) from None
        return dict(loads(data))

    @property
    def is_dict(self) -> bool:
        """Whether it was made from a dict."""
        return (Path(self.path) / _DICT_FILE).is_file()

    def to_directory(self, path: str | os.PathLike[str] | None = None) -> str:
        """Copy its files into a directory, by default a new temporary one, and return its path."""
        target = Path(tempfile.mkdtemp(prefix="nbray-checkpoint-") if path is None else path).expanduser().absolute()
        shutil.copytree(self.path, target, dirs_exist_ok=True)
        return str(target)

    @contextlib.contextmanager
    def as_directory(self) -> Iterator[str]:
        """Its directory, to read from."""
        yield self.path

    def get_metadata(self) -> dict[str, Any]:
        """What `set_metadata` has stored; empty before."""
        file = Path(self.path) / _METADATA_FILE
        try:
            return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}
        except (ValueError, TypeError, RecursionError) as error:
            raise UsageError(f"the metadata of {self!r} is damaged: {error}. Write it anew, with set_metadata") from error

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Store values that JSON knows beside its files, instead of those that were there."""
        (Path(self.path) / _METADATA_FILE).write_text(json.dumps(dict(metadata)), encoding="utf-8")

    def update_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Store further values, or others."""
        self.set_metadata({**self.get_metadata(), **metadata})

    def __eq__(self, other: object) -> bool:
        return self.path == other.path if isinstance(other, Checkpoint) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"Checkpoint({self.path!r})"


@dataclass(frozen=True)
class Filling:
    """A checkpoint that is made where it shall be: `fill` writes files into the directory, or returns a dict to be kept."""

    fill: Callable[[str], Mapping[str, Any] | None]


Content = Checkpoint | str | os.PathLike[str] | Mapping[str, Any] | Filling
"""What a checkpoint is made from: another one, a directory, a dict, or what fills a directory."""


def write(content: Content, target: Path) -> Checkpoint:
    """Make `target` a checkpoint with this content, all at once: whoever is killed on the way leaves no half of it.

    Blocks until the files are copied. Raises UsageError for a directory that is not there, WrongType, OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.parent / f"{_UNFINISHED}{uuid4().hex[:8]}"
    try:
        if isinstance(content, Filling):
            unfinished.mkdir()
            data = content.fill(str(unfinished))
        else:
            data = content if isinstance(content, Mapping) else None
        if isinstance(data, Mapping):
            unfinished.mkdir(exist_ok=True)
            _write_dict(data, unfinished)
        elif not isinstance(content, Filling):
            shutil.copytree(_source(content).path, unfinished, symlinks=True)
        discard(target)
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return Checkpoint(target)


def discard(path: str | os.PathLike[str]) -> None:
    """Remove a checkpoint; under another name first, so that nobody meets half of one."""
    doomed = Path(path).with_name(f"{_UNFINISHED}{uuid4().hex[:8]}")
    try:
        Path(path).rename(doomed)
    except FileNotFoundError:
        return
    shutil.rmtree(doomed)


def sweep(directory: Path) -> None:
    """Remove what a process that was killed has left half written, or half removed, in this directory."""
    for each in directory.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(each, ignore_errors=True)


def _source(content: Any) -> Checkpoint:
    if isinstance(content, Checkpoint):
        return Checkpoint.from_directory(content.path)
    if isinstance(content, (str, os.PathLike)):
        return Checkpoint.from_directory(content)
    raise WrongType(
        f"checkpoint={content!r}: expected a dict, the path of a directory, a Checkpoint, or a function that returns one of them"
    )


def _write_dict(data: Mapping[str, Any], directory: Path) -> None:
    with (directory / _DICT_FILE).open("wb") as file:
        sealed.write(file, encode(dumps(dict(data), "checkpoint")))
