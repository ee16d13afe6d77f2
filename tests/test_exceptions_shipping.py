"""Sixteen kinds of exceptions on their way to the caller, and the text of their tracebacks."""

from __future__ import annotations

import dataclasses
import json
import linecache
import sqlite3
import subprocess
import threading
import traceback
import urllib.error
from collections.abc import Callable
from typing import Any

import pytest

from nbray import sources
from nbray.errors import NotShippable, RemoteError, RemoteTraceback
from nbray.exceptions_shipping import MAX_TEXT, add_note, dump_exception, load_exception


class TwoArguments(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


class OptionalArgument(Exception):
    """Loads without complaint when it is called with its args, but says something else then."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(f"[{code}] {text}")
        self.code = code


class HoldsLock(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()
        self.size = 3


class LockArgument(Exception):
    pass


class ReduceRaises(Exception):
    def __reduce__(self) -> Any:
        raise KeyError("no")


class LoadRaises(Exception):
    def __reduce__(self) -> Any:
        return int, ("x",)


class ReducesToNoException(Exception):
    def __reduce__(self) -> Any:
        return int, ()


class StrRaises(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    reason: str


class MyOSError(OSError):
    def __init__(self, path: str) -> None:
        super().__init__(2, "not there", path)
        self.path = path


def raised(make: Callable[[], BaseException]) -> BaseException:
    try:
        raise make()
    except BaseException as error:  # noqa: BLE001 - any kind
        return error


def arrived(make: Callable[[], BaseException]) -> BaseException:
    return load_exception(*dump_exception(raised(make)))


def local_class() -> BaseException:
    class OnlyHere(Exception):
        pass

    return OnlyHere("x")


def deep_chain() -> BaseException:
    error: Exception = ValueError("first")
    for number in range(10_000):
        newer = ValueError(f"number {number}")
        newer.__cause__ = error
        error = newer
    return error


def group() -> BaseException:
    return ExceptionGroup("several", [ValueError("a"), TypeError("b")])


CASES: list[tuple[str, Callable[[], BaseException], type[BaseException], str]] = [
    ("plain", lambda: ValueError("bad", 3), ValueError, "('bad', 3)"),
    ("two arguments", lambda: TwoArguments(5, "why"), TwoArguments, "5: why"),
    ("optional argument", lambda: OptionalArgument("why", 3), OptionalArgument, "[3] why"),
    ("lock inside", lambda: HoldsLock("x"), HoldsLock, "x"),
    ("lock as argument", lambda: LockArgument("x", threading.Lock()), LockArgument, "('x', '<unlocked _thread.lock"),
    ("reduce raises", lambda: ReduceRaises("x"), ReduceRaises, "x"),
    ("load raises", lambda: LoadRaises("x"), LoadRaises, "x"),
    ("reduces to something else", lambda: ReducesToNoException("x"), ReducesToNoException, "x"),
    ("local class", local_class, Exception, "x"),
    ("frozen dataclass", lambda: Frozen("why"), Frozen, ""),
    ("message of 10 MB", lambda: ValueError("x" * 10_000_000), ValueError, "xxx"),
    ("deep chain", deep_chain, ValueError, "number 9999"),
    ("group", group, ExceptionGroup, "several (2 sub-exceptions)"),
    ("own OSError", lambda: MyOSError("/a"), MyOSError, "[Errno 2] not there: '/a'"),
    ("unicode", lambda: raised(lambda: json_error()), json.JSONDecodeError, "Expecting value: line 1 column 1 (char 0)"),
    ("written in C", lambda: sqlite3.OperationalError("no such table: t"), sqlite3.OperationalError, "no such table: t"),
    ("process", lambda: subprocess.CalledProcessError(3, "ls"), subprocess.CalledProcessError, "exit status 3"),
    ("http", lambda: urllib.error.HTTPError("u", 404, "gone", {}, None), urllib.error.HTTPError, "404: gone"),  # type: ignore[arg-type]
    ("key", lambda: KeyError("k"), KeyError, "'k'"),
    ("exit", lambda: SystemExit(3), SystemExit, "3"),
    ("decode", lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why"), UnicodeDecodeError, "can't decode byte 0xff"),
]  # fmt: skip


def json_error() -> BaseException:
    try:
        json.loads("?")
    except json.JSONDecodeError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(("make", "kind", "text"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_type_and_text_arrive(make: Callable[[], BaseException], kind: type[BaseException], text: str) -> None:
    error = arrived(make)
    assert isinstance(error, kind)
    assert text in str(error)
    assert len(str(error)) <= MAX_TEXT + 100
    assert isinstance(error.__cause__, RemoteTraceback)
    assert len(error.__cause__.text) <= MAX_TEXT + 100
    assert type(error).__name__ in error.__cause__.text


def test_fields_arrive() -> None:
    two = arrived(lambda: TwoArguments(5, "why"))
    assert isinstance(two, TwoArguments)
    assert (two.code, two.args) == (5, ("5: why",))
    lock = arrived(lambda: HoldsLock("x"))
    assert vars(lock).keys() == {"size"}
    missing = arrived(lambda: MyOSError("/a"))
    assert isinstance(missing, MyOSError)
    assert (missing.errno, missing.filename, missing.path) == (2, "/a", "/a")
    several = arrived(group)
    assert isinstance(several, ExceptionGroup)
    assert [type(each) for each in several.exceptions] == [ValueError, TypeError]


def test_an_exception_whose_str_and_repr_raise() -> None:
    dumped = dump_exception(raised(StrRaises))
    assert dumped.message == "<its text cannot be made: ZeroDivisionError>"
    assert "StrRaises" in dumped.traceback
    assert isinstance(load_exception(*dumped), StrRaises)


def test_what_cannot_be_rebuilt_here_becomes_a_remote_error() -> None:
    error = load_exception(b"\x80\x05cno_such_module_here\nE\n.", "their.E", "the text", "the traceback")
    assert isinstance(error, RemoteError)
    assert str(error) == "their.E: the text"
    assert str(error.__cause__) == "\nthe traceback"


def test_notes_arrive_and_more_can_be_added_to_any() -> None:
    def noted() -> BaseException:
        error = ValueError("x")
        error.add_note("look here")
        return error

    error = arrived(noted)
    add_note(error, "in task f")
    assert error.__notes__ == ["look here", "in task f"]
    assert "look here" in str(error.__cause__)
    frozen = arrived(lambda: Frozen("why"))
    add_note(frozen, "in task f")
    assert "in task f" in "".join(traceback.format_exception(frozen))


def test_the_chain_is_told_and_left_as_it_was() -> None:
    outer = ValueError("outer")
    outer.__cause__ = raised(lambda: KeyError("inner"))
    text = dump_exception(raised(lambda: outer)).traceback
    assert isinstance(outer.__cause__, KeyError)
    assert outer.__suppress_context__
    assert text.index("KeyError: 'inner'") < text.index("direct cause of") < text.index("ValueError: outer")


def test_a_context_and_a_suppressed_one() -> None:
    def handle(suppress: bool) -> str:
        try:
            try:
                raise KeyError("inner")
            except KeyError:
                if suppress:
                    raise ValueError("outer") from None
                raise ValueError("outer")  # noqa: B904 - the context is what is tested
        except ValueError as outer:
            return dump_exception(outer).traceback

    assert "During handling of" in handle(suppress=False)
    assert "inner" not in handle(suppress=True)


def test_of_a_chain_of_ten_thousand_only_the_last_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    error = raised(deep_chain)
    looked_at = []
    initialize = traceback.TracebackException.__init__

    def counted(self: Any, exc_type: Any, exc_value: Any, *args: Any, **kwargs: Any) -> None:
        looked_at.append(exc_value)
        initialize(self, exc_type, exc_value, *args, **kwargs)

    monkeypatch.setattr(traceback.TracebackException, "__init__", counted)
    text = dump_exception(error).traceback
    assert len(looked_at) == 10
    assert text.startswith("(only the last 10 exceptions")
    assert text.count("ValueError: number") == 10


def test_a_cell_s_lines_are_shown_and_marked() -> None:
    name = "/tmp/ipykernel_1/123.py"
    cell = "def train(x):\n    y = x + 1\n    return y / (x - x)\n"
    sources.install(name, cell)
    namespace: dict[str, Any] = {}
    exec(compile(cell, name, "exec"), namespace)
    try:
        namespace["train"](3)
    except ZeroDivisionError as error:
        text = dump_exception(error).traceback
    finally:
        del linecache.cache[name]
    assert f'File "{name}", line 3, in train\n    return y / (x - x)\n           ~~^~~~~~~~~\n' in text


def test_frames_of_nbray_come_first_and_are_dropped() -> None:
    from nbray import functions

    with pytest.raises(NotShippable) as caught:
        functions.FunctionPickler(lambda data: 1).pickle(Evil())  # type: ignore[arg-type, return-value]
    error = caught.value
    error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ else None  # this test's own frame
    assert "functions.py" not in dump_exception(error).traceback


class Evil:
    def __call__(self) -> None: ...

    def __reduce__(self) -> Any:
        raise ValueError("no")
