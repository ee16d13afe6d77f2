"""The directory of an experiment: where it is, and that it is its own."""

from __future__ import annotations

import contextlib
import os
from itertools import count
from pathlib import Path

from nbray import private_folders
from nbray.errors import UsageError
from nbray.tune import plan_file
from nbray.tune.course import JOURNAL

DEFAULT = "~/nbray_results"


def claim(storage: str | os.PathLike[str] | None, name: str) -> Path:
    """Make the directory `storage`/`name` and return its absolute path; where it exists, name_2, name_3... is made instead.

    A cell that is run again so never writes over what an earlier run has found. Raises UsageError where nothing can be
    written.
    """
    folder = place_of(storage)
    try:
        if not folder.is_dir():
            private_folders.make(folder)
        for number in count(1):
            path = folder / (name if number == 1 else f"{name}_{number}")
            try:
                path.mkdir(mode=0o700)  # what is in it is run when the experiment is restored
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written ({error.strerror or error}), and the results of {name!r} were to go there: give another "
            'folder as storage_path= of RunConfig (local_dir= of Trainer.fit), for example "~/results"'
        ) from error
    raise AssertionError("count() has no end")


def place_of(storage: str | os.PathLike[str] | None) -> Path:
    """The absolute path of a storage_path, as a user may write it."""
    text = os.fspath(DEFAULT if storage is None else storage)
    return Path(text.removeprefix("file://")).expanduser().absolute()


def give_back(path: str) -> None:
    """Remove the directory of an experiment that did not begin: there is no journal in it."""
    directory = Path(path)
    if (directory / JOURNAL).exists():
        return
    (directory / plan_file.NAME).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty, or gone
        directory.rmdir()
