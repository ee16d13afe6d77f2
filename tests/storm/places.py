"""Where a storm happens: the folders of its files, with a disk of their own that can be filled, and what is left there."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from nbray.engine import spill_directory

DISK_BYTES = 2 << 30
FILLER = "filler"
SEAM = Path(__file__).parent / "seam"
"""Holds a `sitecustomize` that refuses room on the disk while a file exists, for machines where no disk can be mounted."""
FLAG = "NBRAY_STORM_NO_ROOM"
"""The variable that names that file."""


class Places:
    """All folders of one storm, under one of a short name, since paths of sockets are short."""

    def __init__(self, *, mount: bool = True) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="storm-"))
        self.run = self._folder("run")
        self.spill = self._folder("disk")
        self.ledger = self.root / "ledger"
        self.flag = self.root / "no-room"
        self.mounted = mount and self._mount()
        """Whether the spill folder is a file system of its own, which becomes full as real ones do."""
        if not self.mounted and spill_directory.problem(self.spill):  # temporary files are kept in memory here
            folder, why = spill_directory.find(None)
            if folder is None:
                shutil.rmtree(self.root)
                raise OSError(errno.ENOSPC, f"a storm needs a disk: {why}")
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.spill = Path(tempfile.mkdtemp(prefix="storm-", dir=folder))

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(mode=0o700)
        return folder

    def journal(self, notebook: int) -> Path:
        """What this notebook writes."""
        return self.root / f"journal-{notebook}"

    def orders(self, notebook: int) -> Path:
        """The pipe that this notebook reads."""
        return self.root / f"orders-{notebook}"

    def _mount(self) -> bool:
        image = self.root / "disk.img"
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        try:
            _quietly("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", str(image))
            _quietly("mount", "-o", "loop", str(image), str(self.spill))
        except (OSError, subprocess.CalledProcessError):  # not root, or a container that may not
            image.unlink()
            return False
        shutil.rmtree(self.spill / "lost+found")
        return True

    def environment(self) -> dict[str, str]:
        """What a notebook of this storm has in its environment."""
        repository = str(Path(__file__).parents[2])
        paths = [repository] if self.mounted else [str(SEAM), repository]
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "XDG_RUNTIME_DIR": str(self.run),
            FLAG: str(self.flag),
        }

    def fill_disk(self) -> None:
        """From now on nothing more fits onto the disk."""
        if not self.mounted:
            self.flag.touch()
            return
        with (self.spill / FILLER).open("wb") as filler, contextlib.suppress(OSError):  # until it is full
            while True:
                free = os.statvfs(self.spill).f_bavail * os.statvfs(self.spill).f_frsize
                os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), max(4096, free // 2))

    def free_disk(self) -> None:
        """There is room again."""
        (self.spill / FILLER if self.mounted else self.flag).unlink(missing_ok=True)

    def left(self) -> list[str]:
        """What is still in the folders that shall be empty after a cluster."""
        return sorted(f"{folder.name}/{path.name}" for folder in (self.run, self.spill) for path in folder.iterdir())

    def remove(self, *, keep_records: bool) -> None:
        """Take all away, but for what tells what happened."""
        if self.mounted:
            _quietly("umount", "--lazy", str(self.spill))
        (self.root / "disk.img").unlink(missing_ok=True)
        if not self.spill.is_relative_to(self.root):
            shutil.rmtree(self.spill)
        if not keep_records:
            shutil.rmtree(self.root)


def _quietly(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
