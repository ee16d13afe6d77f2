from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from IPython.core.error import UsageError

from nbray.notebook import experiments
from nbray.tune import launch, tune_run
from tests.widgets.sample import halving


class Run:
    """An experiment that is asked for things."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.view = halving(9, running=2)
        self.asked: list[tuple[str, ...]] = []

    def refresh(self) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.asked.append((name, *args))


class World:
    """The experiments that go on; those in `followed` are followed by this notebook already."""

    def __init__(self, names: Sequence[str], followed: Sequence[str] = ()) -> None:
        self.runs = {name: Run(name) for name in names}
        self.names = list(names)
        self.follows = list(followed)
        self.attached: list[str] = []

    def attach(self, name: str) -> Run:
        self.attached.append(name or self.names[0])
        return self.runs[self.attached[-1]]

    def followed(self) -> list[Run]:
        return [self.runs[name] for name in self.follows]


@pytest.fixture
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(*request.param)
    monkeypatch.setattr(launch, "running", lambda: world.names)
    monkeypatch.setattr(launch, "attach", world.attach)
    monkeypatch.setattr(tune_run, "followed", world.followed)
    return world


with_one = pytest.mark.parametrize("world", [(["iris"],)], indirect=True)
with_two = pytest.mark.parametrize("world", [(["iris", "digits"], ["iris"])], indirect=True)


@with_one
def test_the_only_experiment_is_found_without_its_name(world: World) -> None:
    assert experiments.tune([]) is world.runs["iris"]  # type: ignore[comparison-overlap]


@with_two
def test_of_several_one_is_named(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert experiments.tune([]) is None
    assert capsys.readouterr().out == "nbray: 2 experiments go on: iris, digits. One of them: %nbray tune iris\n"
    assert experiments.tune(["digits"]) is world.runs["digits"]  # type: ignore[comparison-overlap]
    assert world.attached == ["digits"]


@with_one
def test_a_trial_is_called_by_its_number_or_its_id(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["stop", "3"], ["iris", "pause", "00004"], ["resume", "4"], ["stop"], ["pause"]):
        assert experiments.tune(words) is None
    asked = [("stop_trial", "00003"), ("pause_trial", "00004"), ("resume_trial", "00004"), ("stop",), ("pause",)]
    assert world.runs["iris"].asked == asked
    assert capsys.readouterr().out.splitlines() == [
        "nbray: trial 3 of iris is being stopped.", "nbray: trial 00004 of iris pauses.", "nbray: trial 4 of iris goes on.",
        "nbray: iris is being stopped.", "nbray: iris pauses.",
    ]  # fmt: skip


@with_two
def test_who_follows_it_already_needs_no_other_card(world: World) -> None:
    experiments.tune(["stop", "3"])
    assert world.attached == []
    assert world.runs["iris"].asked == [("stop_trial", "00003")]


@pytest.mark.parametrize("world", [(["iris", "digits"], ["iris", "digits"])], indirect=True)
def test_what_is_asked_of_two_is_asked_of_none(world: World) -> None:
    with pytest.raises(UsageError, match=r"2 experiments go on \(iris, digits\): say which, as %nbray tune iris stop"):
        experiments.tune(["stop"])
    experiments.tune(["digits", "stop"])
    assert (world.runs["iris"].asked, world.runs["digits"].asked) == ([], [("stop",)])


@with_one
def test_a_trial_that_is_not_there(world: World) -> None:
    with pytest.raises(UsageError, match="experiment iris has no trial '99'; it has 0 to 4"):
        experiments.tune(["stop", "99"])


@with_one
@pytest.mark.parametrize("words", [["iris", "halt"], ["stop", "3", "4"], ["iris", "stop", "3", "4"]])
def test_what_nobody_understands(world: World, words: list[str]) -> None:
    with pytest.raises(UsageError, match="expected a name, or stop, pause or resume and a trial"):
        experiments.tune(words)
    assert world.attached == []


@pytest.mark.parametrize("world", [([],)], indirect=True)
def test_nothing_goes_on(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert experiments.tune(["stop"]) is None
    assert capsys.readouterr().out == "nbray: no experiment goes on in this cluster.\n"
