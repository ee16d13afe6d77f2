"""The tree of errors is the one that the module's docstring draws."""

from __future__ import annotations

import builtins
import inspect
import pickle
import re

import pytest

from nbray import errors

LINE = re.compile(r"^    ((?:[│ ]   )*(?:[├└]── )?)(\w+)(?: \((\w+)\))?")
CLASSES: dict[str, type[Exception]] = {
    name: each
    for name, each in vars(errors).items()
    if inspect.isclass(each) and issubclass(each, Exception) and each.__module__ == "nbray.errors"
}


def drawn() -> dict[str, set[str]]:
    """Each error of the drawing with the names of its bases."""
    found: dict[str, set[str]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := LINE.match(line):
            depth, name = len(match[1]) // 4, match[2]
            above[depth:] = [name]
            found[name] = {*above[-2:-1], *filter(None, [match[3]])}
    return found


def test_the_drawing_shows_every_error_under_its_bases() -> None:
    tree = {name: {base.__name__ for base in each.__bases__} for name, each in CLASSES.items()}
    tree["NbrayError"] = set()
    assert drawn() == tree


@pytest.mark.parametrize("name", CLASSES)
def test_an_error_travels_between_processes(name: str) -> None:
    error = errors.RemoteError("Odd", "text") if name == "RemoteError" else CLASSES[name]("text")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("UsageError", "ValueError"),
        ("WrongType", "TypeError"),
        ("GetTimeoutError", "TimeoutError"),
        ("TaskTimeout", "TimeoutError"),
    ],
)
def test_an_except_clause_for_the_builtin_catches_it(name: str, builtin: str) -> None:
    assert issubclass(CLASSES[name], getattr(builtins, builtin))
