"""What handles know of a class: its methods, what they take, and what to say where that does not fit."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import nbray
from nbray import actor_description
from nbray.actor_description import Known, decode, describe


class Base:
    def inherited(self) -> None: ...


class Thing(Base):
    field = 5
    Inner = dict

    def __init__(self, start: int) -> None: ...

    def plain(self, one: int, two: int = 2) -> None: ...

    def collecting(self, *args: int, key: int, **kwargs: int) -> None: ...

    def any(self, *args: int) -> None: ...

    @staticmethod
    def still(one: int) -> None: ...

    @classmethod
    def of(cls, one: int) -> None: ...

    @nbray.method(num_returns=2, max_task_retries=1)
    def two(self) -> None: ...

    def items(self) -> Iterator[int]:
        yield 1

    @functools.lru_cache  # noqa: B019 - as users write it
    def cached(self, one: int) -> None: ...

    @property
    def shown(self) -> int:
        return 1

    def __call__(self, one: int) -> None: ...


def known(cls: type = Thing, max_task_retries: int = 0) -> Known:
    return decode(describe(cls, max_task_retries).encode())


def test_methods_are_what_can_be_called() -> None:
    assert set(known().methods) == {
        "inherited", "plain", "collecting", "any", "still", "of", "two", "items", "cached", "__call__",
        "__ray_ready__", "__ray_terminate__", "__ray_call__",
    }  # fmt: skip


def test_the_same_bytes_are_looked_at_once() -> None:
    encoded = describe(Thing, 0).encode()
    assert decode(encoded) is decode(encoded)
    assert decode(encoded).encoded == encoded


@pytest.mark.parametrize(
    ("method", "arity"),
    [("plain", range(1, 3)), ("still", range(1, 2)), ("of", range(1, 2)), ("inherited", range(1)), ("collecting", range(0)),
     ("cached", range(1, 2))],
)  # fmt: skip
def test_how_many_arguments_need_no_closer_look(method: str, arity: range) -> None:
    assert known().methods[method].arity == arity
    assert 1000 in known().methods["any"].arity


def test_signatures() -> None:
    methods = known().methods
    assert str(methods["plain"].description.signature) == "(one, two=Ellipsis)"
    assert str(methods["collecting"].description.signature) == "(*args, key, **kwargs)"
    methods["plain"].description.check("Thing.plain", (1,), {"two": 3})
    with pytest.raises(TypeError, match=r"Thing\.plain\(one, two=Ellipsis\) cannot be called like this: missing .* 'one'"):
        methods["plain"].description.check("Thing.plain", (), {})
    with pytest.raises(TypeError, match="unexpected keyword argument 'three'"):
        methods["plain"].description.check("Thing.plain", (1,), {"three": 3})


def test_options_of_methods() -> None:
    methods = known(max_task_retries=4).methods
    assert (methods["two"].options.num_returns, methods["two"].options.max_retries) == (2, 1)
    assert (methods["plain"].options.num_returns, methods["plain"].options.max_retries) == (1, 4)
    assert methods["items"].options.num_returns == -1
    other = actor_description.with_options(known().description, methods["two"], {"num_returns": 1, "name": "shown"})
    assert (other.options.num_returns, other.shown, methods["two"].shown) == (1, "shown", "Thing.two")


def test_one_coroutine_makes_it_async() -> None:
    class Async(Thing):
        async def wait(self) -> None: ...

    class Source(Thing):
        async def each(self) -> AsyncIterator[int]:
            yield 1

    assert [describe(cls, 0).is_async for cls in (Thing, Async, Source)] == [False, True, True]


def test_a_method_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="actor Thing has no method 'plian': did you mean plain"):
        known().description.refuse_method("plian")
    with pytest.raises(AttributeError, match=r"it has .*Its fields live in its worker: write a method"):
        known().description.refuse_method("zzz")


@pytest.mark.parametrize(
    ("decorate", "words"),
    [
        (lambda: nbray.method(lambda self: None), "takes options, and a method below it"),
        (lambda: nbray.method(), "takes options"),
        (lambda: nbray.method(num_return=2), "did you mean num_returns=?"),
        (lambda: nbray.method(name="x"), "options(name=...)"),
    ],
)
def test_wrong_decorations(decorate: Any, words: str) -> None:
    with pytest.raises(nbray.UsageError) as error:
        decorate()
    assert words in str(error.value)
