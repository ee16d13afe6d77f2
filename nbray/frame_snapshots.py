"""Owns what is kept of a failure's frames: their places in the code and their variables, bounded, in a file for post-mortems.

    worker: a task fails                                notebook: %debug
    keep: frames, variables -> failures/<task>-...      read: the same, when somebody asks; the worker is long free

Each variable is pickled for itself, so that one which cannot be kept costs no other. What is not kept is described.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import reprlib
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nbray import sealed
from nbray.pickler import PROTOCOL, FastPickler
from nbray.sealed import Broken

ATTRIBUTE = "nbray_frames"
"""Where an exception that came from a task says which file has its frames."""

MAX_VALUE = 1 << 20
"""Largest variable that is kept, in bytes."""
MAX_FAILURE = 8 << 20
"""Most bytes of variables that are kept of one failure; the innermost frames go first."""
MAX_SECONDS = 0.25
"""So long variables are pickled; the others are described only."""
MAX_FRAMES = 50
"""So many frames are kept, most of them the innermost ones."""
MAX_FILES = 100
MAX_DIRECTORY = 64 << 20
"""A cluster keeps its last failures: so many, with so many bytes."""

_OUTERMOST = 10
_OURS = str(Path(__file__).parent) + os.sep
_OF_SHELLS = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open"})


class About(NamedTuple):
    """Whose failure it is."""

    task_id: int
    attempt: int
    task: str
    worker: str


class Pickled(NamedTuple):
    """A variable that was kept."""

    stream: bytes
    buffers: list[bytes]


class Module(NamedTuple):
    """A variable that is a module."""

    name: str


class LeftOut(NamedTuple):
    """Stands for a variable that was not kept: what it was, and why it is not here."""

    description: str
    reason: str

    def __repr__(self) -> str:
        return f"<{self.description}: not kept, {self.reason}>"


Variable = Pickled | Module | LeftOut
Names = dict[str, int]
"""Variables by name, as indices: what several frames share is kept once."""


class Space(NamedTuple):
    """The globals of one or several frames, as far as their code uses them."""

    module: str
    names: Names


class Frame(NamedTuple):
    """One call; `space` is the index of its globals, `names` are its locals or None where those are its globals."""

    file: str
    function: str
    qualified: str
    first_line: int
    line: int
    space: int
    names: Names | None


class Snapshot(NamedTuple):
    """The frames of a failure, the outermost first; `inner` is the file of the task's failure that it passed on, or ""."""

    frames: list[Frame]
    spaces: list[Space]
    variables: list[Variable]
    inner: str


class Header(NamedTuple):
    """What can be read of a file without its variables."""

    about: About
    error: str
    at: float


class _Enough(Exception):
    """A variable is too large, or there is no time."""


# -------------------------------------------------------------------- in the worker

_place: Callable[[], tuple[Path, About] | None] = lambda: None  # noqa: E731
_counter = itertools.count(1)


def keep_where(place: Callable[[], tuple[Path, About] | None]) -> None:
    """From now on failures are kept in the directory that `place` names, with what it says of the task; None: not this one."""
    global _place
    _place = place


def keep(error: BaseException) -> str:
    """Keep the frames of a failure; returns the path of the file, or "" where nobody wants them or they cannot be kept."""
    found = _place()
    if found is None or error.__traceback__ is None:
        return ""
    directory, about = found
    try:
        snapshot = take(error)
        if not snapshot.frames and not snapshot.inner:
            return ""
        path = directory / f"{about.task_id}-{about.attempt}-{os.getpid()}-{next(_counter)}"
        write(path, Header(about, _one_line(error), time.time()), snapshot)
        sweep(directory)
    except Exception:  # noqa: BLE001 - the user's classes may raise anything, disks fill up: the failure itself is what matters
        return ""
    return str(path)


def write(path: Path, header: Header, snapshot: Snapshot) -> None:
    """Make a file that only its owner can read; it is complete as soon as it has its name."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    hidden = path.with_name(f".{path.name}")
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        sealed.write(file, pickle.dumps(header, PROTOCOL))
        sealed.write(file, pickle.dumps(snapshot, PROTOCOL))
    hidden.rename(path)


def sweep(directory: Path) -> None:
    """Remove the oldest files beyond what a cluster keeps."""
    with os.scandir(directory) as entries:
        found = sorted(((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path) for entry in entries), reverse=True)
    total = 0
    for count, (_, size, path) in enumerate(found, 1):
        total += size
        if count > MAX_FILES or (total > MAX_DIRECTORY and count > 1):
            with contextlib.suppress(FileNotFoundError):  # another worker was faster
                Path(path).unlink()


def take(error: BaseException) -> Snapshot:
    """A picture of the frames of an exception that are not nbray's own, with their variables."""
    frames = list(_user_frames(error.__traceback__))
    if len(frames) > MAX_FRAMES:
        frames = frames[:_OUTERMOST] + frames[_OUTERMOST - MAX_FRAMES :]
    album = _Album()
    kept = [album.add(frame, line) for frame, line in reversed(frames)]
    return Snapshot(kept[::-1], album.spaces, album.variables, str(getattr(error, ATTRIBUTE, "") or ""))


def _user_frames(traceback: types.TracebackType | None) -> Iterator[tuple[types.FrameType, int]]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith(_OURS):
            yield traceback.tb_frame, traceback.tb_lineno or code.co_firstlineno
        traceback = traceback.tb_next


class _Album:
    """Variables, each kept once, until there is no more room or time."""

    def __init__(self) -> None:
        self.spaces: list[Space] = []
        self.variables: list[Variable] = []
        self._room = MAX_FAILURE
        self._deadline = time.monotonic() + MAX_SECONDS
        self._known: dict[int, int] = {}
        self._spaces: dict[int, int] = {}
        self._alive: list[Any] = []
        """What `_known` knows by its id, which nothing else may have meanwhile."""

    def add(self, frame: types.FrameType, line: int) -> Frame:
        code, variables, everything = frame.f_code, frame.f_locals, frame.f_globals
        is_module = variables is everything
        names = None if is_module else {name: self._index(value) for name, value in variables.items()}
        space = self._space_of(everything)
        known = self.spaces[space].names
        used = [name for name in everything if _is_users(name)] if is_module else code.co_names
        modules = [name for name, value in everything.items() if type(value) is types.ModuleType and _is_users(name)]
        for name in (*used, *modules):
            if name not in known and name in everything:
                known[name] = self._index(everything[name])
        return Frame(code.co_filename, code.co_name, code.co_qualname, code.co_firstlineno, line, space, names)

    def _space_of(self, everything: dict[str, Any]) -> int:
        if id(everything) not in self._spaces:
            self._spaces[id(everything)] = len(self.spaces)
            self.spaces.append(Space(str(everything.get("__name__", "")), {}))
        return self._spaces[id(everything)]

    def _index(self, value: Any) -> int:
        if id(value) not in self._known:
            self._known[id(value)] = len(self.variables)
            self._alive.append(value)
            self.variables.append(self._kept(value))
        return self._known[id(value)]

    def _kept(self, value: Any) -> Variable:
        if type(value) is types.ModuleType:
            return Module(value.__name__)
        most = min(MAX_VALUE, self._room)
        sink = _Sink(most, self._deadline)
        try:
            _Bounded(sink).dump(value)
        except _Enough as enough:
            full = "there are too many of them" if most < MAX_VALUE else f"it is larger than {MAX_VALUE >> 20} MB"
            return LeftOut(describe(value), str(enough) or full)
        except Exception as error:  # noqa: BLE001 - a value's own __reduce__ may raise anything
            return LeftOut(describe(value), f"it cannot be pickled ({type(error).__name__}: {_one_line(error)})")
        self._room -= sink.size
        return Pickled(b"".join(sink.parts), sink.buffers)


def _is_users(name: str) -> bool:
    return not name.startswith("_") and name not in _OF_SHELLS


class _Bounded(FastPickler):
    """Refuses large arrays before they are copied, as strided ones would be."""

    def __init__(self, sink: _Sink) -> None:
        super().__init__(sink, PROTOCOL, buffer_callback=sink.take)
        self._sink = sink

    def reducer_override(self, obj: Any) -> Any:
        if type(obj).__name__ == "ndarray":
            self._sink.check(int(obj.nbytes))
        return super().reducer_override(obj)


class _Sink:
    """A file that refuses more than it has room and time for."""

    def __init__(self, most: int, deadline: float) -> None:
        self.parts: list[bytes] = []
        self.buffers: list[bytes] = []
        self.size = 0
        self._most = most
        self._deadline = deadline

    def write(self, data: Any) -> int:
        self.check(len(data))
        self.size += len(data)
        self.parts.append(bytes(data))
        return len(data)

    def take(self, buffer: pickle.PickleBuffer) -> None:
        """A part that travels beside the stream; to return None says that it has been taken."""
        raw = buffer.raw()
        self.check(raw.nbytes)
        self.size += raw.nbytes
        self.buffers.append(bytes(raw))

    def check(self, size: int) -> None:
        """Whether so many more bytes have room, and time. Raises _Enough."""
        if self.size + size > self._most:
            raise _Enough
        if time.monotonic() > self._deadline:
            raise _Enough("there was no more time")


def describe(value: Any) -> str:
    """A few words on a value of any size, also where its own methods fail.

    >>> describe([1] * 1000)
    'list of 1,000: [1, 1, 1, 1, 1, 1, ...]'
    """
    name = type(value).__name__
    try:
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple):
            return " ".join(filter(None, [name, " x ".join(f"{each:,}" for each in shape), str(getattr(value, "dtype", ""))]))
        if isinstance(value, (list, tuple, dict, set, frozenset, str, bytes, bytearray)):
            return f"{name} of {len(value):,}: {reprlib.repr(value)}"
        return f"{name} {reprlib.repr(value)}"
    except Exception as error:  # noqa: BLE001 - the user's own methods
        return f"{name}, whose repr raises {type(error).__name__}"


def _one_line(error: BaseException) -> str:
    try:
        lines = str(error).strip().splitlines()
    except Exception as problem:  # noqa: BLE001 - the user's own __str__
        return f"(its text cannot be made: {type(problem).__name__})"
    return lines[0][:200] if lines else type(error).__name__


# -------------------------------------------------------------------- where they are looked at


def headers(directory: Path) -> list[tuple[Header, Path]]:
    """The failures that are kept in a directory, the latest first."""
    found = []
    for path in directory.glob("[!.]*"):
        with contextlib.suppress(FileNotFoundError, Broken), path.open("rb") as file:  # swept away meanwhile
            found.append((pickle.loads(sealed.read(file)), path))
    return sorted(found, key=lambda pair: pair[0].at, reverse=True)


def read(path: Path) -> tuple[Header, Snapshot]:
    """A failure and its frames.

    Raises FileNotFoundError when they are gone with their cluster, or made room for others, and Broken.
    """
    with path.open("rb") as file:
        return pickle.loads(sealed.read(file)), pickle.loads(sealed.read(file))


def load(variable: Variable) -> Any:
    """The value of a variable, or what stands for it; never raises on its account."""
    try:
        if isinstance(variable, Pickled):
            return pickle.loads(variable.stream, buffers=[bytearray(part) for part in variable.buffers])
        if isinstance(variable, Module):
            import importlib

            return importlib.import_module(variable.name)
    except Exception as error:  # noqa: BLE001 - a module that is not here, a class that is rebuilt differently
        return LeftOut("a variable", f"it cannot be rebuilt here ({type(error).__name__}: {_one_line(error)})")
    return variable
