from __future__ import annotations

from typing import Any

import optuna
import pytest

from nbray.errors import UsageError, WrongType
from nbray.tune.domains import Domain
from nbray.tune.search.optuna_spaces import TreeSpace, asked_space
from nbray.tune.search_space import SearchSpace
from nbray.tune.spaces import (
    choice,
    grid_search,
    lograndint,
    loguniform,
    qlograndint,
    qloguniform,
    qrandint,
    qrandn,
    quniform,
    randint,
    randn,
    sample_from,
    uniform,
)

DOMAINS = [
    uniform(-1, 2), quniform(0.1, 0.7, 0.1), loguniform(1e-5, 1e2), qloguniform(0.5, 64, 0.5), randint(-3, 4), qrandint(1, 10, 3),
    qrandint(4, 7, 4), lograndint(1, 1000), qlograndint(5, 50, 5), randn(1, 2), qrandn(1, 2, 0.25), choice([None, True, 3, "x"]),
    choice([1, True, 1.0]), choice([[1], {"a": 2}, len]), choice([float("nan"), 1.0]),
]  # fmt: skip


def study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


class Dice(Domain, frozen=True):
    """A domain of somebody else's."""

    def quantile(self, u: float) -> int:
        return 1 + int(6 * u)

    def contains(self, value: Any) -> bool:
        return value in range(1, 7)


@pytest.mark.parametrize("domain", [*DOMAINS, Dice()], ids=repr)
def test_what_optuna_suggests_is_in_the_domain(domain: Domain) -> None:
    space, asking = TreeSpace(SearchSpace({"x": domain}), 0), study()
    values = [space.config(asking.ask(), None)["x"] for _ in range(100)]
    assert all(domain.contains(value) or value is domain.quantile(0.0) for value in values)
    assert len({str(value) for value in values}) > 1 or domain == qrandint(4, 7, 4)


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_a_point_comes_out_as_it_went_in_and_optuna_knows_it(domain: Domain) -> None:
    space, asking = TreeSpace(SearchSpace({"x": domain, "y": uniform(0, 1)}), 0), study()
    for u in (0.0, 0.4, 0.999):
        point = {"x": domain.quantile(u)}
        asking.enqueue_trial(space.params(point))
        ask = asking.ask()
        assert space.config(ask, point)["x"] is point["x"]
        assert ask.params["x"] == space.params(point)["x"]
        assert 0 <= ask.params["y"] <= 1


def test_normal_values_follow_their_distribution() -> None:
    space, asking = TreeSpace(SearchSpace({"x": randn(10, 2)}), 0), study()
    values = sorted(space.config(asking.ask(), None)["x"] for _ in range(400))
    assert values[200] == pytest.approx(10, abs=0.4)
    assert values[336] - values[64] == pytest.approx(4, abs=0.6)


def test_parameters_go_by_their_paths() -> None:
    model = choice([{"C": uniform(0, 1)}])
    tree = SearchSpace({"m": model, "layers": [randint(1, 9)], "w": sample_from(lambda config: randint(0, 4))})
    ask = study().ask()
    TreeSpace(tree, 0).config(ask, None)
    assert list(ask.params) == ["m", "m[0]/C", "layers/0", "w[0] = randint(0, 4)"]


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(UsageError, match=r"cannot search 'm\[1\]/g', which is grid_search\(\['a'\]\).*tune.choice\(\['a'\]\)"):
        asked_space({"m": choice([1, {"g": grid_search(["a"])}])}, {}, (), 0)
    with pytest.raises(UsageError, match="OptunaSearch has nothing to search: all of the space is constant"):
        asked_space(None, {"a": 1}, (), 0)
    with pytest.raises(UsageError, match=r"points_to_evaluate\[0\]: 'y' is not in the search space"):
        asked_space(None, {"x": uniform(0, 1)}, ({"y": 1},), 0)
    wrong: Any = 3
    with pytest.raises(WrongType, match=r"OptunaSearch got space=3. It takes a dict"):
        asked_space(wrong, {}, (), 0)


def test_a_space_function_is_the_only_space() -> None:
    with pytest.raises(UsageError, match="OptunaSearch has a space function, and param_space has something to search too"):
        asked_space(lambda ask: None, {"x": uniform(0, 1)}, (), 0)


def test_what_a_space_function_returns_is_a_dict_or_nothing() -> None:
    def wrong(ask: optuna.Trial) -> Any:
        return ask.suggest_float("x", 0, 1)

    with pytest.raises(WrongType, match=r"the space function of OptunaSearch returned 0\..*let it return None"):
        asked_space(wrong, {}, (), 0).config(study().ask(), None)
