"""The readers of files: damage of any kind gives what they promise for it, never another error, never much memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from nbray import frame_snapshots, result_cache
from nbray.checkpoints import Checkpoint
from nbray.engine import job_list, run_directory, spill_directory
from nbray.engine.job_list import Member
from nbray.engine.run_directory import ClusterFile
from nbray.errors import UsageError
from nbray.ids import ObjectId
from nbray.notebook import history_file
from nbray.notebook.history_file import HistoryFile
from nbray.notebook.manifest import Manifest
from nbray.result_cache import ResultCache
from nbray.sealed import Broken
from nbray.store.arena import Arena
from nbray.store.spill_files import Damaged, SpillFiles
from nbray.tune import plan_file
from nbray.tune.journal import Header, Journal, read_journal
from tests.fuzz.choices import Choices
from tests.fuzz.cost import memory_of
from tests.fuzz.messages import broken_json, build
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import Run, Target

Read = Callable[[], object]
"""Reads the damaged file; returns None, or raises what is allowed, where it refuses."""
MOST_BYTES_FOR_A_BYTE = 40
ALLOWED_MEMORY = 1 << 20
"""Readers make objects of lines."""


def _measured(read: Read, path: Path, refusals: tuple[type[Exception], ...]) -> str:
    outcome = "refused"

    def once() -> None:
        nonlocal outcome
        with contextlib.suppress(*refusals):
            outcome = "read" if read() is not None else "refused"

    allowed = MOST_BYTES_FOR_A_BYTE * (path.stat().st_size if path.exists() else 0) + ALLOWED_MEMORY
    size = memory_of(once)
    if size > allowed:
        size = memory_of(once)  # what the first call has imported is not the file's doing
    assert size <= allowed, f"{size:,} bytes of memory, {allowed:,} are allowed"
    return outcome


def _reader(path: Path, seeds: list[bytes], read: Read, refusals: tuple[type[Exception], ...] = ()) -> Run:
    """A target that writes a damaged copy of one of the seeds, and reads it."""

    def run(data: bytes) -> str:
        choices = Choices(data)
        path.write_bytes(mutated(choices.pick(seeds), choices))
        return _measured(read, path, refusals)

    return run


# ---------------------------------------------------------------- clusters


@contextlib.contextmanager
def _marker(directory: Path) -> Iterator[Run]:
    """`cluster.json`, and all that is decided by it; what it names besides must stay where it is."""
    run, other = directory / "nbray-x", directory / "other"
    for each in (run, other):
        each.mkdir(mode=0o700)
    (other / "precious").write_text("mine")

    def decide(data: bytes) -> str:
        choices = Choices(data)
        content = build(ClusterFile, choices)
        if choices.chance(2):
            content = msgspec.structs.replace(content, machine=run_directory.machine(), spill_directory=str(other))
        run.mkdir(mode=0o700, exist_ok=True)
        body = msgspec.json.encode(content)
        path = run / run_directory.FILE_NAME
        path.write_bytes(broken_json(body, choices) if choices.chance(2) else mutated(body, choices))
        outcome = _measured(lambda: run_directory.read(run), path, ())
        found = run_directory.read(run)
        if found is not None:
            run_directory.alive(found)
            spill_directory._dead(run, found)
            job_list.members(run, found)
            run_directory.remove(run)
        assert (other / "precious").exists(), "another directory was removed"
        return outcome

    yield decide


@contextlib.contextmanager
def _jobs(directory: Path) -> Iterator[Run]:
    for member in (Member("a", "a.ipynb"), Member("b", heir="kernel-1"), Member("a", left=True)):
        job_list.note(directory, member)
    path = directory / job_list.FILE_NAME
    content = ClusterFile("e", "job", 1, 1.0, "m", 1)
    yield _reader(path, [path.read_bytes()], lambda: job_list.members(directory, content))


@contextlib.contextmanager
def _spilled(directory: Path) -> Iterator[Run]:
    """An object comes back as it was, or not at all."""
    arena, size, number = Arena.create(1 << 20), 30_000, ObjectId(0xABC)
    arena.write_view(4096, size)[:] = os.urandom(size)
    descriptor = os.open(directory, os.O_RDONLY)
    files = SpillFiles(arena, lambda: descriptor)
    checksum = files.write(number, 4096, size)
    path = directory / "abc"
    whole = path.read_bytes()

    def read() -> object:
        files.read(number, 1 << 19, size, checksum, warm=True)
        assert arena.read_view(1 << 19, size) == whole
        return path

    yield _reader(path, [whole], read, (Damaged,))
    os.close(descriptor)
    arena.close()


# ---------------------------------------------------------------- what is kept


@contextlib.contextmanager
def _result(directory: Path) -> Iterator[Run]:
    cache, value = ResultCache(directory), {"a": [1, 2.5, "x"], "b": b"y" * 5000}
    assert cache.keep("key", value, result_cache.new_head("f", 1.0, ("x",), ())) == ""
    (path,) = directory.iterdir()

    def read() -> object:
        cache.heads()
        found = cache.find("key")
        assert found is None or found.value == value
        return found

    yield _reader(path, [path.read_bytes()], read)


@contextlib.contextmanager
def _history(directory: Path) -> Iterator[Run]:
    file = HistoryFile(directory, "a.ipynb")
    for number in range(3):
        file.append(Manifest(cell_run=f"run-{number}", number=number, notebook="a.ipynb", began=1.0, how="remote", code="c"))
    whole = file.path.read_bytes()

    def run(data: bytes) -> str:
        choices = Choices(data)
        body = msgspec.json.encode(build(Manifest, choices))
        line = broken_json(body, choices) if choices.chance(2) else body
        file.path.write_bytes(mutated(whole + line + b"\n", choices))
        return _measured(lambda: history_file.read_all(directory) or None, file.path, ())

    yield run


@contextlib.contextmanager
def _frames(directory: Path) -> Iterator[Run]:
    error = ValueError("text")
    try:
        raise error
    except ValueError:
        path = directory / "failure"
        about = frame_snapshots.About(1, 1, "f", "worker 0")
        frame_snapshots.write(path, frame_snapshots.Header(about, "text", 1.0), frame_snapshots.take(error))
    whole = path.read_bytes()

    def read() -> object:
        frame_snapshots.headers(directory)
        return frame_snapshots.read(path)

    yield _reader(path, [whole], read, (Broken,))


# ---------------------------------------------------------------- Tune


@contextlib.contextmanager
def _journal(directory: Path) -> Iterator[Run]:
    from tests.fuzz.journals import entries, resealed

    path = directory / "journal.jsonl"
    journal = Journal.create(path, Header("trees", "loss", "min", 3))
    for entry in entries():
        journal.append(entry)
    journal.close()
    whole = path.read_bytes()

    def run(data: bytes) -> str:
        choices = Choices(data)
        path.write_bytes(resealed(whole, choices) if choices.chance(2) else mutated(whole, choices))
        outcome = _measured(lambda: read_journal(path), path, (UsageError,))
        with contextlib.suppress(UsageError):
            Journal.open(path)[0].close()
        return outcome

    yield run


@contextlib.contextmanager
def _plan(directory: Path) -> Iterator[Run]:
    from tests.tune.plans import make_plan
    from tests.tune.test_trainables import train

    plan_file.write(make_plan(train, directory, {"x": 1}))
    path = directory / plan_file.NAME
    yield _reader(path, [path.read_bytes()], lambda: plan_file.read(directory), (UsageError,))


@contextlib.contextmanager
def _checkpoint(directory: Path) -> Iterator[Run]:
    made = Checkpoint.from_dict({"epoch": 3, "weights": list(range(100))})
    made.set_metadata({"a": [1, 2]})
    copy = Checkpoint(made.to_directory(directory))
    names = sorted(path.name for path in directory.iterdir())
    whole = {name: (directory / name).read_bytes() for name in names}

    def run(data: bytes) -> str:
        choices = Choices(data)
        name = choices.pick(names)
        path = directory / name
        path.write_bytes(mutated(whole[name], choices))
        outcome = _measured(copy.to_dict if name.endswith(".pkl") else copy.get_metadata, path, (UsageError,))
        path.write_bytes(whole[name])
        return outcome

    yield run


_NONE = "None"
_SKIPS = "skips what is broken"
TARGETS = [
    Target("cluster.json", _marker, f"{_NONE}; removes nothing else"),
    Target("jobs.jsonl", _jobs, _SKIPS),
    Target("spilled object", _spilled, "Damaged, or the very bytes"),
    Target("kept result", _result, f"{_NONE}, or the very value"),
    Target("history", _history, _SKIPS),
    Target("frames", _frames, "Broken"),
    Target("journal", _journal, "UsageError"),
    Target("plan", _plan, "UsageError"),
    Target("checkpoint", _checkpoint, "UsageError"),
]
