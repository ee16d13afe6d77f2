"""Every backend: what users of Ray rely on without thinking of it."""

from __future__ import annotations

import contextlib
import os
import pickle
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray.backends.backend import Backend
from tests.contract.conftest import until
from tests.fakes import fresh_session


class Overdrawn(ValueError):
    def __init__(self, account: str, missing: float) -> None:
        super().__init__(f"{account} lacks {missing}")
        self.account = account
        self.missing = missing

    def advice(self) -> str:
        return f"pay {self.missing} into {self.account}"


@nbray.remote
def draw(account: str) -> None:
    raise Overdrawn(account, 2.5)


@nbray.remote
def call(function: Any, *args: Any) -> Any:
    return nbray.get(function.remote(*args))


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("kind", [Overdrawn, ValueError, nbray.RemoteError, nbray.exceptions.RayTaskError, nbray.NbrayError])
def test_a_remote_error_is_caught_by_its_class_and_as_a_remote_error(kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"mine lacks 2\.5") as caught:
        nbray.get(draw.remote("mine"))
    error = caught.value
    assert isinstance(error, Overdrawn)
    assert isinstance(error, nbray.RemoteError)
    assert (error.account, error.missing, error.advice()) == ("mine", 2.5, "pay 2.5 into mine")
    assert type(error).__name__ == "RemoteError(Overdrawn)"
    assert 'raise Overdrawn(account, 2.5)' in "".join(traceback.format_exception(error))


@pytest.mark.usefixtures("backend")
def test_a_remote_error_travels_on() -> None:
    with pytest.raises(Overdrawn) as caught:
        nbray.get(call.remote(call, draw, "mine"))
    assert type(caught.value).__name__ == "RemoteError(Overdrawn)"
    assert "raise Overdrawn(account, 2.5)" in "".join(traceback.format_exception(caught.value))
    with pytest.raises(nbray.RemoteError) as plain:
        nbray.get(nbray.remote(lambda: os.environ["NBRAY_ABSENT"]).remote())
    again = pickle.loads(pickle.dumps(plain.value))
    assert isinstance(again, KeyError)
    assert isinstance(again, nbray.RemoteError)
    assert nbray.get(nbray.remote(lambda error: error.account).remote(caught.value)) == "mine"


@pytest.mark.usefixtures("backend")
def test_a_function_that_is_defined_later_is_there_at_the_first_call() -> None:
    def outer() -> str:
        return later()

    remote = nbray.remote(outer)

    def later() -> str:
        return "defined later"

    assert nbray.get(remote.remote()) == "defined later"


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("wanted", [True, [OSError], [KeyError, OSError]])
def test_exceptions_are_retried_where_that_is_asked_for(wanted: Any, tmp_path: Path) -> None:
    @nbray.remote(retry_exceptions=wanted, max_retries=3)
    def succeed_at_third(log: Path) -> int:
        with log.open("a") as file:
            file.write("x")
        if log.stat().st_size < 3:
            raise OSError("not yet")
        return log.stat().st_size

    assert nbray.get(succeed_at_third.remote(tmp_path / "log")) == 3


# -------------------------------------------------------------------- with processes of their own


def nap_and_mark(folder: Path) -> None:
    """Until the test lets it end."""
    (folder / "began").touch()
    while not (folder / "may end").exists():
        time.sleep(0.005)
    (folder / "ended").touch()


def submit_and_wait(folder: Path) -> None:
    nbray.get(nbray.apply_async(nap_and_mark, (folder,)))


@pytest.mark.parametrize("recursive", [True, False])
@pytest.mark.parametrize("force", [True, False])
@pytest.mark.usefixtures("real_backend")
def test_cancel_takes_the_children_along_unless_told_not_to(recursive: bool, force: bool, tmp_path: Path) -> None:
    parent = nbray.apply_async(submit_and_wait, (tmp_path,))
    assert until((tmp_path / "began").exists)
    nbray.cancel(parent, recursive=recursive, force=force)
    if not recursive:
        (tmp_path / "may end").touch()
    with pytest.raises(nbray.TaskCancelledError):
        nbray.get(parent, timeout=10)
    assert until(lambda: nbray.available_resources()["CPU"] == 2)
    assert (tmp_path / "ended").exists() is not recursive


class PlainHouse:
    """Its calls run at the same time, on threads."""

    def work(self, folder: Path) -> None:
        submit_and_wait(folder)


class PlainAsyncHouse:
    """On one event loop."""

    async def work(self, folder: Path) -> None:
        await nbray.apply_async(nap_and_mark, (folder,))


@pytest.mark.parametrize("recursive", [True, False])
@pytest.mark.parametrize("plain", [PlainHouse, PlainAsyncHouse])
@pytest.mark.usefixtures("real_backend")
def test_cancel_takes_the_children_of_one_call_of_several(plain: type, recursive: bool, tmp_path: Path) -> None:
    house: Any = nbray.remote(plain).options(max_concurrency=4).remote()
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
    one, other = (house.work.remote(folder) for folder in folders)
    assert until(lambda: all((folder / "began").exists() for folder in folders))
    nbray.cancel(one, recursive=recursive)
    (folders[1] / "may end").touch()
    if not recursive:
        (folders[0] / "may end").touch()
    # A thread cannot be stopped: its call ends early only because what it waits for does.
    outcome = contextlib.nullcontext() if plain is PlainHouse and not recursive else pytest.raises(nbray.TaskCancelledError)
    with outcome:
        nbray.get(one, timeout=10)
    nbray.get(other, timeout=10)
    assert until(lambda: nbray.available_resources()["CPU"] == 2)
    assert (folders[1] / "ended").exists()
    assert (folders[0] / "ended").exists() is not recursive


@pytest.fixture(scope="module", params=[pytest.param("local", marks=pytest.mark.local)])
def one_worker(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A cluster with one CPU, where a worker that dies under a task costs one retry."""
    with fresh_session() as current:
        nbray.init(num_workers=1, default_max_retries=1)
        assert current.backend is not None
        yield current.backend


@nbray.remote
def fibonacci(n: int) -> int:
    return n if n < 2 else int(sum(nbray.get([fibonacci.remote(n - 1), fibonacci.remote(n - 2)])))


@pytest.mark.usefixtures("one_worker")
def test_recursion_does_not_deadlock_on_one_cpu() -> None:
    assert nbray.get(fibonacci.remote(6), timeout=30) == 8


@pytest.mark.usefixtures("one_worker")
def test_a_task_whose_worker_died_runs_again_by_default_where_init_says_so(tmp_path: Path) -> None:
    def die_once(marker: Path) -> str:
        if not marker.exists():
            marker.touch()
            os._exit(3)
        return "made it"

    assert nbray.get(nbray.apply_async(die_once, (tmp_path / "a",)), timeout=20) == "made it"
    with pytest.raises(nbray.WorkerDied, match="exit code 3"):
        nbray.get(nbray.apply_async(die_once, (tmp_path / "b",), max_retries=0), timeout=20)


class Registered:
    def __init__(self) -> None:
        self.value = 7

    def get_value(self) -> int:
        return self.value

    def own_handle(self) -> Any:
        return nbray.get_runtime_context().current_actor

    def held(self) -> Any:
        context = nbray.get_runtime_context()
        return context.get_assigned_resources(), context.was_current_actor_reconstructed

    def where(self) -> Any:
        context = nbray.get_runtime_context()
        return context.get_actor_id(), context.get_actor_name(), context.get_task_name()


@pytest.mark.parametrize("kind", ["serial", pytest.param("local", marks=pytest.mark.local)])
def test_an_actor_knows_itself(kind: str) -> None:
    with fresh_session():
        nbray.init(kind, num_workers=1)
        actor: Any = nbray.remote(Registered).options(name="me").remote()
        again = nbray.get(actor.own_handle.remote())
        assert again == actor
        assert nbray.get(again.get_value.remote()) == 7
        actor_id, name, task = nbray.get(actor.where.remote())
        assert (name, task) == ("me", "Registered.where")
        assert int(actor_id, 16) == actor._actor_id


@pytest.mark.usefixtures("real_backend")
def test_an_actor_knows_what_it_holds_and_whether_it_was_restarted() -> None:
    actor: Any = nbray.remote(Registered).options(num_cpus=0.5, max_restarts=1, max_task_retries=1).remote()
    assert nbray.get(actor.held.remote()) == ({"CPU": 0.5}, False)
    nbray.kill(actor, no_restart=False)
    assert nbray.get(actor.held.remote(), timeout=20) == ({"CPU": 0.5}, True)
    nbray.kill(actor)


@pytest.mark.usefixtures("backend")
def test_a_coroutine_function_that_is_no_method_is_refused() -> None:
    async def fetch() -> None: ...

    with pytest.raises(nbray.WrongType, match=r"asyncio\.run"):
        nbray.remote(fetch)
