"""Remote functions: calls, options, misuse, and calls by name."""

from __future__ import annotations

import functools
import inspect
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import nbray
from nbray import remote_functions
from nbray.remote_functions import RemoteFunction
from tests.fakes import FakeBackend, fake_session


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBackend]:
    monkeypatch.setattr(remote_functions, "_registered", {})
    with fake_session() as backend:
        yield backend


def _any(value: Any) -> Any:
    return value


@nbray.remote
def add(a: int, b: int = 1, *, c: int = 0) -> int:
    """Add them up."""
    return a + b + c


@nbray.remote
def factorial(n: int) -> int:
    return n * int(nbray.get(factorial.remote(n - 1))) if n > 1 else 1


def test_calls_with_every_kind_of_argument() -> None:
    refs = [add.remote(1), add.remote(1, 2), add.remote(b=5, a=1), add.remote(1, c=3)]
    assert nbray.get(refs) == [2, 3, 6, 5]


def test_refs_as_arguments_are_resolved_at_the_top_and_pass_through_inside() -> None:
    @nbray.remote
    def look(top: Any, nested: list[Any], *, named: Any) -> tuple[str, str, str]:
        return type(top).__name__, type(nested[0]).__name__, type(named).__name__

    ref = nbray.put(1)
    assert nbray.get(look.remote(ref, [ref], named=ref)) == ("int", "ObjectRef", "int")


def test_number_of_returns() -> None:
    @nbray.remote(num_returns=2)
    def pair(x: int) -> tuple[int, int]:
        return x, -x

    first, second = pair.remote(3)
    assert nbray.get([second, first]) == [-3, 3]
    assert add.options(num_returns=0).remote(1) is None
    with pytest.raises(ValueError, match="num_returns=2 but returned 2"):
        nbray.get(add.options(num_returns=2).remote(1)[0])


def test_options_reach_the_backend_and_leave_the_original_alone(backend: FakeBackend) -> None:
    big = add.options(num_cpus=2, name="big").options(max_retries=4)
    big.remote(1)
    add.remote(1)
    (name, options, _), (plain_name, plain, _) = backend.submitted
    assert (name, options.resources, options.max_retries) == ("big", {"CPU": 20_000}, 4)
    assert (plain_name, plain.resources, plain.max_retries) == ("add", {"CPU": 10_000}, None)
    assert repr(big) == "RemoteFunction(add, num_cpus=2, name='big', max_retries=4)"
    assert "big" in repr(big.remote(1))


def test_it_looks_like_the_function() -> None:
    assert add.__name__ == "add"
    assert add.__doc__ == "Add them up."
    assert str(inspect.signature(add)) == "(a: 'int', b: 'int' = 1, *, c: 'int' = 0) -> 'int'"
    assert add.__wrapped__(1, 1) == 2
    assert add.local(1, c=5) == 7


def test_decorator_in_every_form() -> None:
    def f() -> int:
        return 1

    for made in (nbray.remote(f), nbray.remote()(f), nbray.remote(num_cpus=1)(f), nbray.remote(f, num_cpus=1)):
        assert nbray.get(made.remote()) == 1


def test_builtins_partials_and_callables() -> None:
    assert nbray.get(nbray.remote(len).remote([1, 2])) == 2
    assert nbray.get(nbray.remote(functools.partial(divmod, 7)).remote(2)) == (3, 1)
    assert nbray.get(nbray.remote("a-b".split).remote("-")) == ["a", "b"]


def test_a_function_may_call_itself() -> None:
    assert nbray.get(factorial.remote(5)) == 120


def test_functions_that_call_each_other() -> None:
    @nbray.remote
    def is_even(n: int) -> bool:
        return n == 0 or bool(nbray.get(is_odd.remote(n - 1)))

    @nbray.remote
    def is_odd(n: int) -> bool:
        return n > 0 and bool(nbray.get(is_even.remote(n - 1)))

    assert nbray.get([is_even.remote(4), is_odd.remote(4)]) == [True, False]


def test_a_remote_function_travels_as_argument() -> None:
    @nbray.remote
    def twice(f: RemoteFunction, x: int) -> Any:
        return nbray.get(f.remote(nbray.get(f.remote(x))))

    assert nbray.get(twice.remote(add.options(num_cpus=0.5), 1)) == 3
    again = pickle.loads(pickle.dumps(nbray.remote(len)))
    assert nbray.get(again.remote("abc")) == 3


def test_each_call_keeps_the_function_as_it_was_when_submitted() -> None:
    factor = 2

    @nbray.remote
    def scale(x: int) -> int:
        return factor * x

    early = scale.remote(10)
    factor = 3
    assert nbray.get([early, scale.remote(10)]) == [20, 30]


def test_a_repeated_call_ships_nothing_again(backend: FakeBackend) -> None:
    for n in range(10):
        add.remote(n)
    assert len(backend.blobs) == 1


def test_retries_of_exceptions() -> None:
    @nbray.remote(retry_exceptions=[OSError])
    def flaky(kind: type[Exception]) -> None:
        raise kind("again")

    with pytest.raises(OSError, match="again") as error:
        nbray.get(flaky.remote(OSError))
    assert any("attempt 4" in note for note in error.value.__notes__)
    with pytest.raises(KeyError) as other:
        nbray.get(flaky.remote(KeyError))
    assert any("attempt 1" in note for note in other.value.__notes__)


# -------------------------------------------------------------------- misuse


def test_calling_it_directly_shows_what_to_type() -> None:
    with pytest.raises(TypeError, match=r"call add.remote\(...\) to run it on the cluster.*or add.local\(...\) to run it here"):
        add(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: add.remote(), r"add\(a: 'int', b: 'int' = 1, \*, c: 'int' = 0\) -> 'int' cannot be called.*argument: 'a'"),
        (lambda: add.remote(1, 2, 3), r"cannot be called like this: too many positional arguments"),
        (lambda: add.remote(1, d=3), r"unexpected keyword argument 'd'"),
        (lambda: add.remote(1, a=3), r"multiple values for argument 'a'"),
    ],
)
def test_wrong_arguments_fail_at_once(call: Callable[[], Any], message: str, backend: FakeBackend) -> None:
    with pytest.raises(TypeError, match=message):
        call()
    assert backend.submitted == []


def test_required_keywords_are_checked() -> None:
    @nbray.remote
    def f(*args: int, key: int) -> int:
        return key + sum(args)

    assert nbray.get(f.remote(1, 2, key=3)) == 6
    with pytest.raises(TypeError, match="missing a required"):
        f.remote(1)


async def coroutine() -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [generator, async_generator])
def test_one_return_of_a_generator_is_refused(function: Any) -> None:
    with pytest.raises(nbray.UsageError, match=r'num_returns=1 leaves open which item is meant: write num_returns="streaming"'):
        nbray.remote(function, num_returns=1)
    assert nbray.remote(function).options(num_returns=2)._options.num_returns == 2


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (coroutine, r"async def coroutine: a task is a plain function"),
        (add, r"RemoteFunction\(add\) is remote already: write add.options"),
        (3, r"nbray.remote\(3\): expected a function"),
    ],
)
def test_what_cannot_be_remote(thing: Any, message: str) -> None:
    with pytest.raises(nbray.UsageError, match=message):
        nbray.remote(thing)


def test_bad_options_fail_at_the_decorator() -> None:
    with pytest.raises(nbray.UsageError, match="did you mean num_cpus="):
        nbray.remote(num_cpu=1)
    with pytest.raises(nbray.UsageError, match="did you mean num_gpus="):
        add.options(num_gpu=1)


def test_an_infeasible_call_fails_at_once() -> None:
    with pytest.raises(nbray.InfeasibleRequest, match="CPU: 99 asked, 2 in the cluster"):
        add.options(num_cpus=99).remote(1)


# -------------------------------------------------------------------- by name


def test_calls_by_name(backend: FakeBackend) -> None:
    nbray.register_remote_function("plus", add)
    nbray.register_remote_function("minus", lambda a, b: a - b, num_cpus=2)
    assert nbray.get(nbray.apply_async("plus", (1,), {"b": 4})) == 5
    assert nbray.get(nbray.apply_async("minus", [5, 3])) == 2
    assert [(name, options.resources["CPU"]) for name, options, _ in backend.submitted] == [("plus", 10_000), ("minus", 20_000)]
    nbray.register_remote_function("plus", max)
    assert nbray.get(nbray.apply_async("plus", (1, 7))) == 7


def test_calls_of_plain_functions() -> None:
    assert nbray.get(nbray.apply_async(pow, (2, 10))) == 1024
    assert nbray.get(nbray.apply_async(add, (2,), num_cpus=2)) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nbray.apply_async("trian"), r"no function is registered under 'trian': did you mean 'train'\?"),
        (lambda: nbray.apply_async("x"), r"registered are train. Register it in this process: nbray.register_remote_f"),
        (lambda: nbray.apply_async("train", _any(3)), r"args=3: expected a tuple or list of the arg.*args=\(3,\)"),
        (lambda: nbray.apply_async("train", "ab"), r"args='ab': expected a tuple"),
        (lambda: nbray.apply_async("train", colour=3), r"there is no option colour="),
        (lambda: nbray.register_remote_function(_any(add), _any("x")), r"expected a name first"),
        (lambda: nbray.register_remote_function("x", _any(5)), r"expected a function"),
    ],
)
def test_bad_calls_by_name(call: Callable[[], Any], message: str) -> None:
    nbray.register_remote_function("train", add)
    with pytest.raises(nbray.UsageError, match=message):
        call()
