"""Every backend with processes: what is nested too deeply, or calls itself too often, is an error of that task alone."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import pytest

import nbray
from nbray.backends.backend import Backend

DEEP = 100_000


def deep_list() -> list[Any]:
    made: list[Any] = []
    for _ in range(DEEP):
        made = [made]
    return made


def call_itself(number: int = 0) -> int:
    return call_itself(number + 1) + 1


def through_c(number: int = 0) -> int:
    """By way of functools.reduce, whose frames are on the stack of the process."""
    return functools.reduce(lambda total, each: through_c(each + 1), [number], number)


def without_limit(work: Callable[[], Any]) -> Any:
    sys.setrecursionlimit(10**9)
    return work()


def raise_with_deep_argument() -> None:
    raise ValueError(deep_list())


class Endless:
    def __repr__(self) -> str:
        return f"<{self!r}>"


def raise_with_endless_repr() -> None:
    raise ValueError(Endless())


class EndlessReduce:
    def __reduce__(self) -> Any:
        return list, ([EndlessReduce()],)


def endless() -> EndlessReduce:
    return EndlessReduce()


class Host:
    def run(self, work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)


def as_task(work: Callable[..., Any], *args: Any) -> Any:
    return nbray.get(nbray.apply_async(work, args), timeout=30)


def in_actor(work: Callable[..., Any], *args: Any) -> Any:
    with nbray.remote(Host).options(num_cpus=0).remote() as host:
        return nbray.get(host.run.remote(work, *args), timeout=30)


@pytest.mark.parametrize("call", [as_task, in_actor], ids=lambda call: call.__name__)
@pytest.mark.parametrize(
    ("work", "error", "said"),
    [
        (call_itself, RecursionError, "maximum recursion depth exceeded"),
        (through_c, RecursionError, "maximum recursion depth exceeded"),
        (deep_list, nbray.ResultNotShippable, "recursion|nested"),
        (endless, nbray.ResultNotShippable, "recursion|nested"),
        (raise_with_deep_argument, ValueError, None),
        (raise_with_endless_repr, ValueError, None),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_it_is_an_error_and_the_worker_lives(
    work: Callable[..., Any], error: type[BaseException], said: str | None, call: Callable[..., Any], real_backend: Backend
) -> None:
    nbray.get(nbray.apply_async(abs, (-1,)))
    before = {each.pid for each in real_backend.snapshot().workers if each.pid and not each.actor}
    with pytest.raises(error, match=said):
        call(work)
    assert before <= {each.pid for each in real_backend.snapshot().workers}


@pytest.mark.usefixtures("real_backend")
def test_without_a_limit_the_stack_ends_the_worker_and_no_one_else() -> None:
    """Python 3.12 keeps a limit for C code that nobody can lift: there all of it is errors."""
    innocent = [nbray.apply_async(abs, (-number,)) for number in range(50)]
    with pytest.raises((nbray.WorkerDied, RecursionError), match=r"SIGSEGV|recursion"):
        as_task(without_limit, through_c)
    with pytest.raises((nbray.WorkerDied, nbray.ResultNotShippable), match=r"SIGSEGV|recursion"):
        as_task(without_limit, deep_list)
    with pytest.raises((nbray.ActorDied, RecursionError), match=r"SIGSEGV|recursion"):
        in_actor(without_limit, through_c)
    assert nbray.get(innocent) == list(range(50))
    assert as_task(abs, -1) == 1


@pytest.mark.parametrize("value", [deep_list, endless], ids=lambda value: value.__name__)
@pytest.mark.usefixtures("real_backend")
def test_the_notebook_hears_of_it_at_the_call(value: Callable[[], Any]) -> None:
    given = value()
    with pytest.raises((nbray.NotShippable, RecursionError), match=r"recursion|nested"):
        nbray.put(given)
    with pytest.raises((nbray.NotShippable, RecursionError), match=r"recursion|nested"):
        nbray.apply_async(len, (given,))
    assert as_task(abs, -1) == 1
