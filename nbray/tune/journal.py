"""The journal of an experiment on the disk: a file to which entries are only ever appended, led by one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from nbray import private_folders
from nbray.errors import UsageError
from nbray.tune.events import Entry
from nbray.tune.journal_lines import EntryReader, EntryWriter, body_of, line_of
from nbray.tune.view import View
from nbray.unreadable import UNREADABLE

FORMAT = 1


class Header(msgspec.Struct, frozen=True):
    """The first line of a journal: what one has to know to read the rest."""

    name: str
    metric: str | None = None
    mode: str | None = None
    seed: int = 0
    num_samples: int = 1
    total: int | None = None
    """Trials that there will be, where that is known."""
    began: float = 0.0
    """When; in seconds since 1970."""
    format: int = FORMAT


class Journal:
    """A journal that is open for writing; no other process can open it until it is closed, or this process has ended.

    An entry is handed to the operating system before `append` returns, so it outlives this process, though not a failure
    of the machine; `close` waits until all of it is on the disk.

    >>> import tempfile
    >>> from nbray.tune.events import Slots
    >>> path = Path(tempfile.mkdtemp()) / "journal.jsonl"
    >>> journal = Journal.create(path, Header("trees"))
    >>> journal.append(Entry(1, 0.0, Slots(2), []))
    >>> journal.close()
    >>> read_journal(path)[1]
    [Entry(number=1, now=0.0, event=Slots(count=2), actions=[])]
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._writer = EntryWriter()

    @classmethod
    def create(cls, path: Path, header: Header) -> Journal:
        """Begin a journal; the directory is made. Raises UsageError where there is one already, or nothing can be written."""
        try:
            if not path.parent.exists():
                private_folders.make(path.parent)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            raise UsageError(
                f"there is an experiment in {path.parent} already: give another name= (RunConfig), or go on with that one by "
                f"tune.Tuner.restore({str(path.parent)!r}, trainable).fit()"
            ) from None
        except OSError as error:
            raise UsageError(
                f"the journal of the experiment cannot be written to {path}: {error.strerror}. Give a directory of yours as "
                "storage_path= (RunConfig) or local_dir= (Trainer.fit)"
            ) from error
        journal = cls(path, descriptor)
        try:
            journal._lock()
            journal._write(line_of(header))
        except BaseException:
            os.close(descriptor)
            raise
        return journal

    @classmethod
    def open(cls, path: Path) -> tuple[Journal, Header, list[Entry]]:
        """Go on with a journal, after what it holds; a last line that was not written to its end is cut off.

        Raises UsageError where there is none, where another process leads the experiment, and where the journal is damaged.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            raise _no_experiment(path) from None
        journal = cls(path, descriptor)
        try:
            journal._lock()
            reader = EntryReader()
            header, entries, end = _parse(path, path.read_bytes(), reader)
            journal._writer = EntryWriter(reader.large)
            os.ftruncate(descriptor, end)
        except BaseException:
            os.close(descriptor)
            raise
        return journal, header, entries

    def append(self, entry: Entry) -> None:
        """Write an entry; raises OSError, and leaves the journal as it was, where the disk is full."""
        try:
            self._write(self._writer.line(entry))
        except OSError:
            self._writer = EntryWriter()  # what this line was to hold the journal does not have
            raise

    def close(self) -> None:
        """Wait until everything is on the disk, and let others open it; may be called twice."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"the experiment in {self._path.parent} is led by another process at the moment: follow it with %nbray tune or "
                f"tune.attach({self._path.parent.name!r}), or stop it there first"
            ) from None

    def _write(self, line: bytes) -> None:
        begin = os.fstat(self._descriptor).st_size
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            os.ftruncate(self._descriptor, begin)
            raise

    def __repr__(self) -> str:
        return f"Journal({str(self._path)!r}, {'closed' if self._descriptor < 0 else 'open'})"


def read_journal(path: Path) -> tuple[Header, list[Entry]]:
    """What a journal holds, also while another process writes it."""
    try:
        header, entries, _end = _parse(path, path.read_bytes(), EntryReader())
    except FileNotFoundError:
        raise _no_experiment(path) from None
    return header, entries


def read_view(path: Path) -> View:
    """What is known of the experiment whose journal this is; `rungs` are not: they are the scheduler's."""
    header, entries = read_journal(path)
    view = View(header.metric, header.mode, header.total)
    view.fold_all(entries)
    return view


def _no_experiment(path: Path) -> UsageError:
    return UsageError(f"there is no experiment in {path.parent}: it has no {path.name}. Give the directory of an experiment")


def _parse(path: Path, text: bytes, reader: EntryReader) -> tuple[Header, list[Entry], int]:
    """Header, entries, and where they end."""
    lines = text.splitlines(keepends=True)
    bodies = [body_of(line) for line in lines]
    if bodies and bodies[-1] is None:
        lines.pop()
        bodies.pop()
    if not bodies:
        raise UsageError(f"{path} is empty: the experiment ended before it began. Remove {path.parent} and start it anew")
    if None in bodies:
        raise _damaged(path, bodies.index(None) + 1, "its checksum does not match")
    try:
        header = msgspec.json.decode(bodies[0] or b"", type=Header)
    except UNREADABLE as error:
        raise _damaged(path, 1, str(error)) from error
    if header.format != FORMAT:
        raise UsageError(f"{path} has format {header.format}, this nbray reads {FORMAT}: read it with the nbray that wrote it")
    entries = []
    for number, body in enumerate(bodies[1:], start=2):
        try:
            entries.append(reader.entry(body or b""))
        except ValueError as error:
            raise _damaged(path, number, str(error)) from error
    return header, entries, sum(map(len, lines))


def _damaged(path: Path, number: int, how: str) -> UsageError:
    return UsageError(
        f"line {number} of {path} is damaged: {how}. To go on from what came before it, keep only the first {number - 1} lines: "
        f"head -n {number - 1} {path.name} > {path.name}.new"
    )
