from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbray.errors import UsageError
from nbray.tune.half_made import HalfMade, Pending, View


def finish(**functions: Any) -> dict[Any, Any]:
    """A configuration of constants and of functions that are to make the rest."""
    whole = HalfMade(lambda pending, view: pending.call(view, lambda: np.random.default_rng(1)))

    def add(value: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(value, dict):
            return whole.add({key: add(item, (*path, key)) for key, item in value.items()}, dict)
        if isinstance(value, list | tuple):
            return whole.add([add(item, (*path, position)) for position, item in enumerate(value)], type(value))
        return Pending(value, path) if callable(value) else value

    return whole.finish(add(functions, ()))


def test_values_are_made_when_they_are_asked_for() -> None:
    calls: list[str] = []

    def a(config: View) -> int:
        calls.append("a")
        return int(config["b"]) + 1

    def b(config: View) -> int:
        calls.append("b")
        return 1

    assert finish(a=a, b=b) == {"a": 2, "b": 1}
    assert calls == ["a", "b"]


def test_values_in_lists_and_tuples_are_made_too() -> None:
    made = finish(a=[lambda c: 1, (lambda c: c["n"], {"x": lambda c: 4})], n=2, b=lambda c: [c["a"][0], c["a"][1][1].x])
    assert made == {"a": [1, (2, {"x": 4})], "n": 2, "b": [1, 4]}


@pytest.mark.parametrize("functions", [
    {"a": lambda c: c["a"]},
    {"a": lambda c: c["b"], "b": lambda c: c["a"]},
    {"a": [lambda c: c["a"][0]]},
    {"a": lambda c: c},
    {"a": lambda c: dict(c)},
])  # fmt: skip
def test_values_that_wait_for_each_other_are_an_error(functions: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"for 'a.*' needs its own value.*Let one of them do without the other"):
        finish(**functions)


def test_a_key_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"for 'a' raised KeyError: .*'zz' is not among 'a', 'b'.*lambda config: ") as caught:
        finish(a=lambda c: c["zz"], b=1)
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(UsageError, match="raised AttributeError: 'zz' is not among"):
        finish(a=lambda c: c.zz)


def test_what_a_function_raises_is_the_cause() -> None:
    with pytest.raises(UsageError, match="for 'x/0' raised ZeroDivisionError: division by zero") as caught:
        finish(x=[lambda c: 1 / 0])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_view_is_a_mapping() -> None:
    seen: list[Any] = []
    finish(a=lambda c: seen.append((len(c), "b" in c, c.get("zz", 9), c["b"]["d"], {**c["b"]}, list(c), repr(c))), b={"d": 2})
    assert seen == [(2, True, 9, 2, {"d": 2}, ["a", "b"], "{'a': '(not made yet)', 'b': {'d': 2}}")]


def test_a_key_named_config_goes_before_rays_spelling() -> None:
    assert finish(config={"x": 5}, a=lambda spec: spec.config.x) == {"config": {"x": 5}, "a": 5}
    assert finish(x=5, a=lambda spec: spec.config.x, b={"c": lambda spec: spec.config.x}) == {"x": 5, "a": 5, "b": {"c": 5}}


def test_what_a_function_takes_from_the_configuration_is_a_copy() -> None:
    made = finish(b={"d": [1]}, a=lambda c: [c["b"], (c["b"],)])
    assert made["a"] == [{"d": [1]}, ({"d": [1]},)]
    assert made["a"][0] is not made["b"]
    assert type(made["a"][0]) is dict


@pytest.mark.parametrize(("function", "made"), [
    (lambda config, rng: type(rng).__name__, "Generator"),
    (lambda config, factor=3: factor, 3),
    (lambda config, *rest: len(rest), 0),
    (len, 1),
    (dict, {}),
])  # fmt: skip
def test_only_a_function_that_needs_two_arguments_gets_the_generator(function: Any, made: Any) -> None:
    if function is dict:
        with pytest.raises(UsageError, match="needs its own value"):
            finish(a=function)
    else:
        assert finish(a=function) == {"a": made}
