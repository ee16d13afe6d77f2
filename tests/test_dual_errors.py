"""Exceptions that are an instance of the user's class and of RemoteError."""

from __future__ import annotations

import copy
import dataclasses
import gc
import json
import pickle
import traceback
import weakref
from typing import Any

import pytest

import nbray
from nbray import serialization
from nbray.dual_errors import as_remote, original
from nbray.errors import RemoteError


class Overdrawn(ValueError):
    """Takes two arguments and passes on one."""

    def __init__(self, account: str, missing: float) -> None:
        super().__init__(f"{account}: {missing} missing")
        self.account = account
        self.missing = missing

    def advice(self) -> str:
        return f"pay {self.missing} into {self.account}"


class Slotted(Exception):
    __slots__ = ("code", "unset")

    def __init__(self, code: int) -> None:
        self.code = code


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    reason: str


class OwnNames(Exception):
    """Has fields by the names of RemoteError's facts."""

    message = "of the class"

    def __init__(self) -> None:
        super().__init__("text")
        self.cause = "of the instance"
        self.type_name = 7


class Loud(Exception):
    def __str__(self) -> str:
        return super().__str__().upper()


class Final(Exception):
    def __init_subclass__(cls) -> None:
        raise TypeError("nobody inherits from me")


class Sealed(type):
    def __new__(cls, name: str, bases: tuple[type, ...], content: dict[str, Any]) -> Sealed:
        if any(isinstance(base, Sealed) for base in bases):
            raise RuntimeError("sealed")
        return super().__new__(cls, name, bases, content)


class WithMetaclass(Exception, metaclass=Sealed):
    pass


class Counting(type):
    pass


class OwnMetaclass(Exception, metaclass=Counting):
    pass


def json_error() -> Exception:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("?")
    return caught.value


ERRORS = [
    ValueError("bad", 3), KeyError("k"), Overdrawn("mine", 2.5), Slotted(3), Frozen("why"), Loud("quiet"),
    OSError(2, "gone", "/a"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why"), ImportError("no", name="n", path="p"), StopIteration(4), json_error(),
    ExceptionGroup("two", [ValueError(1), KeyError(2)]), OwnMetaclass("m"), nbray.UsageError("u"), nbray.GetTimeoutError("t"),
    SyntaxError("bad", ("file.py", 1, 2, "text", 1, 3)),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_it_is_both_and_stays_so(error: Exception) -> None:
    dual = as_remote(error)
    again = [dual, copy.copy(dual), serialization.loads(serialization.encode(serialization.dumps(dual)))]
    if not isinstance(error, (Overdrawn, Frozen)):  # plain pickle cannot load the originals either
        again.append(pickle.loads(pickle.dumps(dual)))
    for each in again:
        assert isinstance(each, type(error))
        assert isinstance(each, RemoteError)
        assert type(each).__name__ == f"RemoteError({type(error).__name__})"
        assert str(each) == str(error)
        assert each.args == error.args or isinstance(error, ExceptionGroup)
    assert type(original(dual)) is type(error)
    assert str(original(dual)) == str(error)
    assert as_remote(dual) is dual


def test_fields_and_methods_are_there() -> None:
    overdrawn = as_remote(Overdrawn("mine", 2.5))
    assert isinstance(overdrawn, Overdrawn)
    assert overdrawn.advice() == "pay 2.5 into mine"
    assert vars(overdrawn) == {"account": "mine", "missing": 2.5}
    slotted = as_remote(Slotted(3))
    assert isinstance(slotted, Slotted)
    assert slotted.code == 3
    assert not hasattr(slotted, "unset")
    gone = as_remote(OSError(2, "gone", "/a"))
    assert isinstance(gone, FileNotFoundError)
    assert (gone.errno, gone.filename) == (2, "/a")
    missing = as_remote(ImportError("no", name="n", path="p"))
    assert isinstance(missing, ImportError)
    assert (missing.name, missing.path) == ("n", "p")
    two = as_remote(ExceptionGroup("two", [ValueError(1), KeyError(2)]))
    assert isinstance(two, ExceptionGroup)
    matched, rest = two.split(KeyError)
    assert [type(each) for each in (*matched.exceptions, *rest.exceptions)] == [KeyError, ValueError]  # type: ignore[union-attr]


def test_its_facts_and_its_name() -> None:
    error = as_remote(Overdrawn("mine", 2.5))
    assert isinstance(error, RemoteError)
    assert (error.type_name, error.message) == ("Overdrawn", "mine: 2.5 missing")
    assert type(error.cause) is Overdrawn  # type: ignore[attr-defined]
    assert repr(error) == "RemoteError(Overdrawn)('mine: 2.5 missing')"
    assert traceback.format_exception_only(error) == ["nbray.RemoteError(Overdrawn): mine: 2.5 missing\n"]


def test_fields_of_the_user_s_go_before_facts() -> None:
    error: Any = as_remote(OwnNames())
    assert (error.message, error.cause, error.type_name) == ("of the class", "of the instance", 7)


@pytest.mark.parametrize("error", [Final("f"), WithMetaclass("w"), KeyboardInterrupt(), SystemExit(3)])
def test_what_cannot_be_both_is_the_plain_original(error: BaseException) -> None:
    assert as_remote(error) is error
    assert original(error) is error


def test_notes_causes_and_tracebacks_come_along() -> None:
    try:
        raise ValueError("x") from KeyError("y")
    except ValueError as caught:
        error = caught
    error.add_note("look here")
    dual = as_remote(error)
    assert dual.__notes__ == ["look here"]
    assert isinstance(dual.__cause__, KeyError)
    assert dual.__traceback__ is error.__traceback__


def test_a_class_that_was_defined_again_is_let_go() -> None:
    def define() -> weakref.ref[type]:
        class Own(Exception):
            pass

        assert isinstance(as_remote(Own("x")), Own)
        return weakref.ref(Own)

    gone = define()
    gc.collect()
    assert gone() is None
