"""Every backend with processes: exceptions that cannot be pickled, loaded, printed or that are huge, from wherever they come.

The caller catches the type where it has it; the text is bounded; the worker that raised it lives on.
"""

from __future__ import annotations

import os
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

import pytest

import nbray
from nbray.backends.backend import Backend
from nbray.exceptions_shipping import MAX_TEXT
from tests.test_exceptions_shipping import CASES, StrRaises

Maker = Callable[[], BaseException]


def only_there() -> BaseException:
    """Of a class whose module can be imported in the worker alone."""
    module = types.ModuleType("there_alone")
    exec("class Odd(ValueError): pass", vars(module))
    sys.modules["there_alone"] = module
    error: BaseException = module.Odd("from a far module")
    return error


def of_main() -> BaseException:
    """Of a class as a cell defines it."""
    kind = type("OfCell", (LookupError,), {"__module__": "__main__"})
    vars(sys.modules["__main__"])["OfCell"] = kind
    error: BaseException = kind("defined in a cell")
    return error


def with_a_long_note() -> BaseException:
    error = ValueError("noted")
    error.add_note("x" * 3_000_000)
    return error


MORE: list[tuple[str, Maker, type[BaseException], str]] = [
    ("str and repr raise", lambda: StrRaises("x"), StrRaises, ""),
    ("module is not here", only_there, nbray.RemoteError, "from a far module"),
    ("of a cell", of_main, LookupError, "defined in a cell"),
    ("long note", with_a_long_note, ValueError, "noted"),
]
ALL = [case for case in [*CASES, *MORE] if case[0] != "exit"]  # which is told instead: tests/contract/test_crashes.py


def fail(make: Maker) -> None:
    raise make()


class Host:
    def fail(self, make: Maker) -> None:
        raise make()

    def pid(self) -> int:
        return os.getpid()


@pytest.fixture(scope="module")
def host(real_backend: Backend) -> Iterator[Any]:
    actor: Any = nbray.remote(Host).options(num_cpus=0).remote()
    yield actor
    nbray.kill(actor)


def error_of(ref: Any) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - each case says which
        nbray.get(ref, timeout=30)
    return caught.value


def as_task(make: Maker, host: Any) -> BaseException:
    return error_of(nbray.apply_async(fail, (make,)))


def in_actor(make: Maker, host: Any) -> BaseException:
    return error_of(host.fail.remote(make))


def through_a_dependent_task(make: Maker, host: Any) -> BaseException:
    return error_of(nbray.apply_async(repr, (nbray.apply_async(fail, (make,)),)))


def from_callback(make: Maker, host: Any) -> BaseException:
    arrived: SimpleQueue[BaseException | None] = SimpleQueue()

    def hear(future: Future[Any]) -> None:
        arrived.put(future.exception())

    nbray.apply_async(fail, (make,)).future().add_done_callback(hear)
    error = arrived.get(timeout=30)
    assert error is not None
    return error


@pytest.mark.parametrize("way", [as_task, in_actor, through_a_dependent_task, from_callback], ids=lambda way: way.__name__)
@pytest.mark.parametrize(("make", "kind", "text"), [case[1:] for case in ALL], ids=[case[0] for case in ALL])
def test_it_arrives_and_nobody_ends(
    make: Maker, kind: type[BaseException], text: str, way: Callable[[Maker, Any], BaseException], host: Any,
    real_backend: Backend,
) -> None:  # fmt: skip
    pid = nbray.get(host.pid.remote())
    before = {each.pid for each in real_backend.snapshot().workers if each.pid}
    error = way(make, host)
    assert isinstance(error, kind)
    assert isinstance(error, nbray.RemoteError)
    if kind is not StrRaises:
        assert text in str(error)
        assert len(str(error)) <= 2 * MAX_TEXT
    told = "".join(traceback.format_exception(error))
    assert "raise make()" in told
    assert len(told) <= 8 * MAX_TEXT
    assert before <= {each.pid for each in real_backend.snapshot().workers}
    assert nbray.get(host.pid.remote()) == pid


def test_of_a_message_of_100_mb_beginning_and_end_arrive(host: Any) -> None:
    error = as_task(lambda: ValueError("begin" + "x" * 100_000_000 + "end"), host)
    assert str(error).startswith("begin")
    assert str(error).endswith("end")
    assert len(str(error)) <= MAX_TEXT


def test_there_are_more_than_sixteen() -> None:
    assert len(ALL) >= 16
