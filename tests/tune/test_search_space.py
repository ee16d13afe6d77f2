from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import pytest

from nbray.errors import NotShippable, UsageError, WrongType
from nbray.tune.domains import Choice, Domain, Grid
from nbray.tune.draws import generator
from nbray.tune.search_space import Branch, Path, SearchSpace, check_shippable, grids_only, middle, name_of, settle_space
from nbray.tune.spaces import choice, grid_search, randint, sample_from, uniform


def resolve(space: Mapping[str, Any], u: float = 0.0, given: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Every domain at `u`, every grid at its first value."""

    def draw(path: Path, node: Domain | Grid) -> Any:
        if isinstance(node, Grid):
            return 0
        return node.index(u) if isinstance(node, Choice) else node.quantile(u)

    return SearchSpace(space).resolve(draw, lambda path: generator(0, path), given, **options)


def size(space: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> int:
    return SearchSpace(space).grid_size(grids_only, lambda path, node: 1, given)


class Pair(NamedTuple):
    left: Any
    right: Any


# ------------------------------------------------------------------- resolving


def test_constants_stay_and_domains_are_drawn() -> None:
    assert resolve({"x": uniform(1, 2), "y": None, "f": len}, 0.5) == {"x": 1.5, "y": None, "f": len}


def test_domains_are_found_in_dicts_lists_and_tuples() -> None:
    space = {"a": {1: {"b": uniform(0, 1)}}, "c": [1, uniform(0, 1)], "d": (uniform(0, 1), 2), "e": Pair(uniform(0, 1), "r")}
    config = resolve(space, 0.25)
    assert config == {"a": {1: {"b": 0.25}}, "c": [1, 0.25], "d": (0.25, 2), "e": Pair(0.25, "r")}
    assert type(config["d"]) is tuple
    assert type(config["e"]) is Pair


def test_containers_without_domains_are_constants() -> None:
    constant = OrderedDict(a=[1])
    assert resolve({"x": uniform(0, 1), "c": constant})["c"] is constant


def test_what_a_category_holds_is_resolved_if_it_is_taken() -> None:
    space = {"model": choice([{"kind": "svm", "C": uniform(1, 3)}, {"kind": "forest", "depth": choice([randint(2, 9), None])}])}
    assert resolve(space, 0.0) == {"model": {"kind": "svm", "C": 1.0}}
    assert resolve(space, 0.49) == {"model": {"kind": "svm", "C": pytest.approx(1.98)}}
    assert resolve(space, 0.9) == {"model": {"kind": "forest", "depth": None}}


def test_a_dict_of_ray_is_a_grid() -> None:
    assert resolve({"a": {"grid_search": [7, 8]}}) == {"a": 7}
    assert size({"a": {"grid_search": [7, 8]}}) == 2


def test_configurations_share_nothing_that_was_made_for_them() -> None:
    space = {"a": {"b": uniform(0, 1)}}
    first, second = resolve(space), resolve(space)
    first["a"]["b"] = "changed"
    assert second == {"a": {"b": 0.0}}
    assert resolve(space) == {"a": {"b": 0.0}}


def test_parameters_are_asked_for_in_order_or_backwards() -> None:
    asked: list[str] = []

    def draw(path: Path, node: Domain | Grid) -> Any:
        asked.append(name_of(path))
        return 0

    space = {"a": uniform(0, 1), "b": {"c": uniform(0, 1), "d": choice([[uniform(0, 1)]])}}
    SearchSpace(space).resolve(draw, lambda path: generator(0))
    SearchSpace(space).resolve(draw, lambda path: generator(0), backwards=True)
    assert asked == ["a", "b/c", "b/d", "b/d[0]/0", "b/d", "b/d[0]/0", "b/c", "a"]


def test_parameters_are_listed_with_those_in_branches() -> None:
    space = SearchSpace({"m": choice([{"C": uniform(0, 1)}, 5]), "g": grid_search([1, 2]), "k": 3, "f": sample_from(len)})
    assert [(name_of(path), type(node)) for path, node in space.parameters()] == [
        ("m", Choice), ("m[0]/C", type(uniform(0, 1))), ("g", Grid),
    ]  # fmt: skip


def test_a_space_knows_whether_anything_is_open() -> None:
    assert SearchSpace({"a": 1, "b": {"c": [2]}}).is_constant
    assert SearchSpace({}).is_constant
    assert not SearchSpace({"a": {"b": [sample_from(len)]}}).is_constant


# ------------------------------------------------------------------- functions


def test_a_function_sees_the_configuration_by_key_and_as_in_ray() -> None:
    space = {
        "a": uniform(0, 1),
        "b": sample_from(lambda config: config["a"] * 10),
        "c": sample_from(lambda spec: spec.config.a * 100),
        "d": {"e": sample_from(lambda config: config.d.f + 1), "f": randint(5, 6)},
    }
    assert resolve(space, 0.5) == {"a": 0.5, "b": 5.0, "c": 50.0, "d": {"e": 6, "f": 5}}


def test_functions_may_be_written_in_any_order() -> None:
    space = {"c": sample_from(lambda c: c["b"] + 1), "b": sample_from(lambda c: c["a"] * 10), "a": randint(3, 4)}
    assert resolve(space) == {"c": 31, "b": 30, "a": 3}
    assert list(resolve(space)) == ["c", "b", "a"]


def test_what_a_function_returns_is_resolved_too() -> None:
    space = {"low": randint(3, 4), "x": sample_from(lambda c: {"y": uniform(c["low"], 2 * c["low"]), "z": 1})}
    assert resolve(space, 0.5) == {"low": 3, "x": {"y": 4.5, "z": 1}}


def test_a_function_of_two_arguments_gets_a_generator_of_its_own() -> None:
    space = {"x": sample_from(lambda config, rng: rng.integers(10**6)), "y": sample_from(lambda config, rng: rng.integers(10**6))}
    config = resolve(space)
    assert config == resolve(space)
    assert config["x"] != config["y"]


def test_a_function_that_makes_a_grid_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"sample_from\(\) for 'x' returned grid_search\(\[1, 2\]\).*tune.choice"):
        resolve({"x": sample_from(lambda config: grid_search([1, 2]))})


# ---------------------------------------------------------------------- points


def test_a_point_decides_what_it_names_and_the_rest_is_drawn() -> None:
    space = {"a": uniform(0, 1), "b": {"c": randint(0, 9), "d": randint(0, 9)}, "k": "constant"}
    assert resolve(space, 0.5, {"b": {"c": 8}, "k": "constant"}) == {"a": 0.5, "b": {"c": 8, "d": 4}, "k": "constant"}


def test_a_point_is_told_as_decisions() -> None:
    told: dict[str, Any] = {}
    models = choice([{"kind": "svm", "C": uniform(0, 9)}, {"kind": "forest", "n": randint(1, 9)}])
    space = {"m": models, "g": grid_search(["x", "y"])}
    config = resolve(space, 0.0, {"m": {"kind": "forest", "n": 3}, "g": "y"},
                     note=lambda path, node, decision: told.update({name_of(path): decision}))  # fmt: skip
    assert config == {"m": {"kind": "forest", "n": 3}, "g": "y"}
    assert told == {"m": 1, "m[1]/n": 3, "g": 1}


def test_a_point_may_give_what_a_function_would_make() -> None:
    assert resolve({"x": sample_from(lambda config: 1 / 0)}, 0.0, {"x": 7}) == {"x": 7}


def test_a_point_may_give_part_of_a_category() -> None:
    space = {"m": choice([{"kind": "svm", "C": uniform(0, 9)}, {"kind": "forest", "n": randint(1, 9)}])}
    assert resolve(space, 0.0, {"m": {"kind": "forest"}}) == {"m": {"kind": "forest", "n": 1}}
    assert resolve(space, 0.0, {"m": {"n": 5}}) == {"m": {"kind": "forest", "n": 5}}


def test_a_point_gives_lists_whole() -> None:
    space = {"layers": [randint(1, 9), {"w": randint(1, 9)}]}
    assert resolve(space, 0.0, {"layers": [5, {}]}) == {"layers": [5, {"w": 1}]}
    with pytest.raises(UsageError, match=r"'layers' is \[5\]"):
        resolve(space, 0.0, {"layers": [5]})


@pytest.mark.parametrize(("given", "message"), [
    ({"q": 5.0}, "'q' is not in the search space, which has 'a', 'b', 'm', 'k' there"),
    ({"b": {"z": 1}}, "'b/z' is not in the search space, which has 'c' there"),
    ({"a": 5.0}, r"'a' is 5.0, and in the search space it is uniform\(0.0, 1.0\)"),
    ({"b": 3}, r"'b' is 3, and in the search space it is \{'c': randint\(0, 9\)\}"),
    ({"b": {"c": 9}}, r"'b/c' is 9, and in the search space it is randint\(0, 9\)"),
    ({"m": "adam"}, r"'m' is 'adam', and in the search space it is choice\(\['sgd', \{'lr': uniform"),
    ({"m": {"lr": 3}}, r"'m' is \{'lr': 3\}"),
    ({"k": 8}, "'k' is 8, and in the search space it is the constant 7"),
])  # fmt: skip
def test_a_point_outside_of_the_space_is_an_error(given: dict[str, Any], message: str) -> None:
    space = {"a": uniform(0, 1), "b": {"c": randint(0, 9)}, "m": choice(["sgd", {"lr": uniform(0, 1)}]), "k": 7}
    with pytest.raises(UsageError, match=message):
        resolve(space, 0.0, given)


# ----------------------------------------------------------------------- grids


def test_grids_multiply_and_those_in_branches_add() -> None:
    assert size({"a": 1, "b": uniform(0, 1)}) == 1
    assert size({"a": grid_search([1, 2]), "b": [grid_search([1, 2, 3])]}) == 6
    nested = grid_search(["linear", {"depth": grid_search([2, 4, 8])}, {"C": uniform(0, 1)}])
    assert size({"model": nested, "a": grid_search([1, 2])}) == 10


def test_a_grid_in_a_category_counts_if_it_is_taken() -> None:
    space = {"m": choice(["linear", {"depth": grid_search([2, 4, 8])}])}
    assert size(space) == 3
    assert SearchSpace(space).grid_size(grids_only, lambda path, node: 0) == 1
    assert SearchSpace(space).has_grid_in_choice(grids_only)
    assert not SearchSpace({"g": grid_search([choice([1, 2])])}).has_grid_in_choice(grids_only)


def test_what_a_point_decides_is_no_grid_any_more() -> None:
    space = {"a": grid_search([1, 2]), "m": grid_search(["linear", {"depth": grid_search([2, 4, 8])}])}
    assert size(space, {"a": 2}) == 4
    assert size(space, {"a": 2, "m": "linear"}) == 1
    assert size(space, {"m": {}}) == 6


# ------------------------------------------------------------- checks and words


def test_paths_print_as_one_writes_them() -> None:
    assert name_of(("model", Branch(1), "layers", 0)) == "model[1]/layers/0"


def test_a_space_is_a_dict_of_named_parameters() -> None:
    wrong: Any = [("a", 1)]
    with pytest.raises(WrongType, match=r"param_space is \[\('a', 1\)\], of type list. It takes a dict"):
        SearchSpace(wrong)
    number: Any = {3: 1}
    with pytest.raises(WrongType, match=r'param_space has the key 3. Its keys name the parameters, so they are strings: "3"'):
        SearchSpace(number)


def test_a_space_prints_as_it_was_written() -> None:
    assert repr(SearchSpace({"a": [uniform(0, 1), 2]})) == "SearchSpace({'a': [uniform(0.0, 1.0), 2]})"


@pytest.mark.parametrize(("value", "place"), [
    (threading.Lock(), r"param_space\['a'\] cannot be sent: it is a thread lock"),
    ({"b": [uniform(0, 1), threading.Lock()]}, r"param_space\['a'\]\['b'\]\[1\] cannot be sent"),
    (choice([1, {"C": uniform(0, 1), "lock": threading.Lock()}]), r"param_space\['a'\]\[1\]\['lock'\] cannot be sent"),
    (grid_search([threading.Lock()]), r"param_space\['a'\]\[0\] cannot be sent"),
    (sample_from(partial(max, threading.Lock())), r"param_space\['a'\] cannot be sent"),
    ({"constant": [0, threading.Lock()]}, r"param_space\['a'\] cannot be sent: param_space\['a'\] -> \['constant'\] -> \[1\]"),
])  # fmt: skip
def test_a_value_that_cannot_be_sent_is_named_by_its_place(value: Any, place: str) -> None:
    with pytest.raises(NotShippable, match=place):
        check_shippable({"ok": choice([None, len]), "a": value})


def test_what_can_be_sent_passes() -> None:
    check_shippable({"a": choice([None, lambda: 1]), "b": sample_from(lambda config: 1), "c": {"d": [object]}})


def test_a_searchers_own_space_takes_the_constants_of_the_experiment() -> None:
    space = settle_space({"x": uniform(0, 1)}, {"data": "iris"}, "RandomSearch")
    assert [name_of(path) for path, _ in space.leaves()] == ["data"]
    assert [name_of(path) for path, _ in space.parameters()] == ["x"]
    assert settle_space(None, {"x": 1}, "RandomSearch").is_constant


def test_two_spaces_to_search_are_an_error() -> None:
    with pytest.raises(UsageError, match="RandomSearch has a space of its own, and param_space has something to search too"):
        settle_space({"x": uniform(0, 1)}, {"y": uniform(0, 1)}, "RandomSearch")


def test_a_function_that_fails_is_found_before_the_first_trial() -> None:
    settle_space(None, {"x": uniform(1, 2), "f": sample_from(lambda config: 1 / config["x"])}, "RandomSearch")
    with pytest.raises(UsageError, match=r"the function of sample_from\(\) for 'f' raised KeyError: \"'y' is not among 'x', 'f'"):
        settle_space(None, {"x": uniform(1, 2), "f": sample_from(lambda config: config["y"])}, "RandomSearch")


def test_what_is_open_gets_any_value() -> None:
    assert middle((), uniform(0, 1)) == 0.5
    assert middle((), choice(["a"])) == 0
    assert middle((), grid_search(["a"])) == 0
