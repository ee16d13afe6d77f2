"""The hosted actor: its methods, and that nobody can keep it from leaving."""

from __future__ import annotations

from typing import Any

import pytest

from nbray.engine.hosted_actor import ActorExit, HostedActor
from nbray.ids import ActorId
from nbray.scheduler.messages import ActorSpec


class Thing:
    def __init__(self, value: int = 1) -> None:
        self.value = value

    def get(self, more: int = 0) -> int:
        return self.value + more


@pytest.fixture
def host() -> HostedActor:
    return HostedActor(ActorId(5), ActorSpec("Thing"))


def test_it_is_made_and_its_methods_run(host: HostedActor) -> None:
    assert host.construction(Thing)(value=3) is None
    assert host.method("get")(more=4) == 7
    assert host.method("__ray_call__")(lambda self, factor: self.value * factor, 2) == 6
    assert host.method("__ray_ready__")() is True


def test_a_method_is_looked_up_at_each_call(host: HostedActor) -> None:
    host.construction(Thing)()
    assert host.method("get")() == 1
    host.instance.get = lambda: "another"
    assert host.method("get")() == "another"


@pytest.mark.parametrize("clause", [Exception, BaseException])
def test_leaving_cannot_be_swallowed(host: HostedActor, clause: type[BaseException]) -> None:
    class Stubborn:
        def leave(self) -> str:
            try:
                host.leave()
            except clause:
                return "stayed"

    host.construction(Stubborn)()
    with pytest.raises(ActorExit):
        host.method("leave")()
    assert host.leaving


def test_who_leaves_says_so(host: HostedActor) -> None:
    heard: list[Any] = []
    host.on_leave = lambda: heard.append(1)
    with pytest.raises(ActorExit):
        host.method("__ray_terminate__")()
    assert heard == [1]
    failure = host.farewell("Thing.get", "worker 1", 1)
    assert (failure.kind, failure.task) == ("actor_died", "Thing.get")
    assert failure.message == "actor Thing has ended by its own wish (exit_actor) in Thing.get on worker 1"


def test_it_tidies_up(host: HostedActor, capsys: pytest.CaptureFixture[str]) -> None:
    host.close()  # not even created
    closed: list[str] = []

    class Tidy(Thing):
        def __ray_shutdown__(self) -> None:
            closed.append("hook")
            raise ZeroDivisionError

        def __del__(self) -> None:
            closed.append("del")

    host.construction(Tidy)()
    host.close()
    assert closed == ["hook", "del"]
    assert "ZeroDivisionError" in capsys.readouterr().err
