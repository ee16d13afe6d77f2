"""A traceback in the notebook shows the user's frames, and nbray's only where nbray is to blame."""

from __future__ import annotations

import asyncio
import json
import threading
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nbray.errors import InternalError, RemoteTraceback, TaskCancelledError, UsageError
from nbray.notebook import tracebacks
from nbray.notebook.values import Preview, RemoteValue
from nbray.objects import put
from nbray.resources import to_units
from tests.fakes import fake_session


def remote_error() -> ZeroDivisionError:
    error = ZeroDivisionError("division by zero")
    error.__cause__ = RemoteTraceback("Traceback ...")
    return error


@pytest.mark.parametrize(
    ("error", "shortened"),
    [
        (remote_error(), True), (UsageError("no"), True), (TaskCancelledError("f was cancelled"), True),
        (KeyboardInterrupt(), True), (asyncio.CancelledError(), True), (InternalError("bug"), False),
        (ZeroDivisionError("the user's own"), False), (AssertionError("in nbray"), False),
    ],
)  # fmt: skip
def test_which_errors_are_about_user_code(error: BaseException, shortened: bool) -> None:
    assert tracebacks.is_about_user_code(error) is shortened


def raised(function: Callable[[], Any]) -> list[str]:
    """The functions that the shortened traceback names."""
    try:
        function()
    except Exception as error:  # noqa: BLE001
        error.__traceback__ = tracebacks.user_frames(error.__traceback__)
        return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    raise AssertionError("nothing was raised")


def test_frames_of_nbray_are_left_out() -> None:
    assert raised(lambda: to_units(cast(float, "many"), "num_cpus")) == ["raised", "<lambda>"]


def test_frames_of_the_library_stay_where_the_user_called_it() -> None:
    assert raised(lambda: threading.Thread(target=print).join(-1)) == ["raised", "<lambda>", "join"]


def test_installing_can_be_undone() -> None:
    shown: list[Any] = []
    original = shown.append
    shell = SimpleNamespace(showtraceback=original)
    undo = tracebacks.install(shell)
    error = UsageError("no")
    shell.showtraceback((UsageError, error, None))
    assert shown == [(UsageError, error, None)]
    undo()
    assert shell.showtraceback is original


def shown_of(function: Callable[[], Any]) -> BaseException:
    """The error as IPython gets it to be shown."""
    shown: list[BaseException] = []
    shell = SimpleNamespace(showtraceback=lambda exc_tuple: shown.append(exc_tuple[1]))
    tracebacks.install(shell)
    try:
        function()
    except Exception as error:  # noqa: BLE001
        shell.showtraceback((type(error), error, error.__traceback__))
    return shown[0]


def test_what_a_value_raises_is_shown_without_its_handle() -> None:
    with fake_session():
        table: Any = RemoteValue(put({"a": 1}), Preview.of({"a": 1}, 10))
        error = shown_of(lambda: table["b"])
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)] == ["shown_of", "<lambda>"]


def test_code_that_cannot_use_a_handle_says_how_to_get_the_value() -> None:
    with fake_session():
        words = RemoteValue(put(["a"]), Preview.of(["a"], 10))
        error = shown_of(lambda: json.dumps(words))
    assert error.__notes__ == [tracebacks.ABOUT_HANDLES]
    assert "x.get()" in tracebacks.ABOUT_HANDLES
