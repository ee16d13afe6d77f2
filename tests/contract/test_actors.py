"""Every backend with actors: what they keep, who may call them, how they are found, and how they end."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbray
from nbray.backends.backend import OutputEvent
from nbray.ids import CellRunId
from nbray.session import current_backend, set_cell_run
from tests.contract.conftest import until
from tests.fakes import fresh_session

pytestmark = pytest.mark.usefixtures("real_backend")


class PlainCounter:
    """Counts."""

    unit = "things"

    def __init__(self, start: int = 0) -> None:
        self.count = start

    def add(self, amount: int = 1) -> int:
        self.count += amount
        return self.count

    def pid(self) -> int:
        return os.getpid()

    def fail(self) -> None:
        raise KeyError(f"at {self.count}")

    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    def leave(self) -> str:
        try:
            nbray.exit_actor()
        except:  # noqa: E722 - as users write it
            return "stayed"

    def echo(self, value: Any) -> Any:
        return value

    @nbray.method(num_returns=2)
    def both(self) -> tuple[int, int]:
        return self.count, -self.count

    @staticmethod
    def double(value: int) -> int:
        return 2 * value

    @classmethod
    def of(cls) -> str:
        return f"{cls.__name__} of {cls.unit}"


Counter = nbray.remote(PlainCounter)


class Keeper:
    def __init__(self, array: Any, held: list[Any]) -> None:
        self.array = array
        self.held = held

    def look(self) -> tuple[int, int, int]:
        ref, counter = self.held
        return int(self.array[-1]), int(nbray.get(ref)[-1]), nbray.get(counter.add.remote())


def slowly(value: Any) -> Any:
    time.sleep(0.05)
    return value


def is_dead(actor: nbray.ActorHandle) -> bool:
    return "dead" in repr(actor)


# -------------------------------------------------------------------- state and calls


def test_an_actor_keeps_its_state_between_calls() -> None:
    counter = Counter.remote(5)
    assert nbray.get([counter.add.remote(), counter.add.remote(10), counter.add.remote(amount=-1)]) == [6, 16, 15]


def test_each_actor_has_a_process_of_its_own() -> None:
    pids = nbray.get([Counter.remote().pid.remote() for _ in range(4)])
    assert len({*pids, os.getpid()}) == 5


def test_calls_of_one_caller_run_in_their_order() -> None:
    class Log:
        def __init__(self) -> None:
            self.seen: list[int] = []

        def note(self, number: int, delay: float = 0.0) -> None:
            time.sleep(delay)
            self.seen.append(number)

        def all(self) -> list[int]:
            return self.seen

    log = nbray.remote(Log).remote()
    late = nbray.apply_async(slowly, (0,))  # a call whose argument is not there yet holds up the rest
    log.note.remote(late)
    for number in range(1, 300):
        log.note.remote(number)
    assert nbray.get(log.all.remote()) == list(range(300))


def test_several_returns_none_and_other_kinds_of_methods() -> None:
    counter = Counter.remote(3)
    assert nbray.get(counter.both.remote()) == [3, -3]
    assert nbray.get(counter.both.options(num_returns=1).remote()) == (3, -3)
    assert counter.add.options(num_returns=0).remote() is None
    assert nbray.get([counter.double.remote(21), counter.of.remote()]) == [42, "PlainCounter of things"]
    assert nbray.get(counter.__ray_call__.remote(lambda self, times: self.count * times, 10)) == 40
    assert nbray.get(counter.__ray_ready__.remote()) is True


def test_a_generator_method_streams() -> None:
    class Source:
        def items(self, count: int) -> Any:
            yield from range(count)

    source = nbray.remote(Source).remote()
    assert [nbray.get(ref) for ref in source.items.remote(5)] == [0, 1, 2, 3, 4]


def test_arguments_are_values_refs_and_large_arrays() -> None:
    counter = Counter.remote()
    array = np.arange(200_000)
    assert nbray.get(counter.echo.remote(nbray.put(7))) == 7
    assert nbray.get(nbray.get(counter.echo.remote([nbray.put(8)]))[0]) == 8
    assert np.array_equal(nbray.get(counter.echo.remote(array)), array)
    assert np.array_equal(nbray.get(counter.echo.remote(value=nbray.put(array))), array)


def test_arguments_of_a_class_are_the_same_kinds() -> None:
    array = np.arange(200_000)
    assert nbray.get(Counter.remote(nbray.apply_async(slowly, (5,))).add.remote()) == 6
    keeper = nbray.remote(Keeper).remote(array, held=[nbray.put(array), Counter.remote(3)])
    assert nbray.get(keeper.look.remote(), timeout=10) == (199_999, 199_999, 4)


def test_results_go_on_to_tasks_and_other_actors() -> None:
    one, other = Counter.remote(1), Counter.remote(1)
    increase = nbray.remote(lambda value: value + 1)
    assert nbray.get(other.add.remote(increase.remote(one.add.remote()))) == 4


def test_an_exception_leaves_the_actor_as_it_was() -> None:
    counter = Counter.remote(2)
    with pytest.raises(KeyError, match="at 2") as error:
        nbray.get(counter.fail.remote())
    assert isinstance(error.value, nbray.RemoteError)
    assert any("in task PlainCounter.fail on worker " in note for note in error.value.__notes__)
    assert nbray.get(counter.add.remote()) == 3


def test_a_redefined_class_is_used_at_once_and_old_actors_stay() -> None:
    def define(value: int) -> Any:
        @nbray.remote
        class Thing:
            def get(self) -> int:
                return value

        return Thing

    old = define(1).remote()
    new = define(2).remote()
    assert nbray.get([old.get.remote(), new.get.remote()]) == [1, 2]


def test_what_it_prints_goes_to_the_cell_that_called() -> None:
    class Talker:
        def say(self, text: str) -> None:
            print(text)

    printed = {"one": "", "two": ""}

    def keep(event: OutputEvent) -> None:
        printed[event.cell_run] += event.data.decode()

    backend = current_backend()
    backend.on_output(keep)
    try:
        talker = nbray.remote(Talker).remote()
        for cell in ("one", "two"):
            set_cell_run(CellRunId(cell))
            nbray.get(talker.say.remote(f"from {cell}"))
        assert until(lambda: all(text.endswith("\n") for text in printed.values()))
    finally:
        backend.on_output(None)
        set_cell_run(CellRunId("background"))
    assert printed == {"one": "from one\n", "two": "from two\n"}


def test_an_actor_of_nested_calls_needs_no_cpu() -> None:
    class PlainBoss:
        def work(self, depth: int) -> int:
            return 1 + (nbray.get(Boss.remote().work.remote(depth - 1)) if depth else 0)

    Boss = nbray.remote(PlainBoss)  # noqa: N806 - a class
    assert nbray.get(Boss.remote().work.remote(3)) == 4
    assert nbray.available_resources()["CPU"] == 2


# -------------------------------------------------------------------- handles that travel


@nbray.remote
def add_ten_times(counter: nbray.ActorHandle) -> int:
    counts: list[int] = nbray.get([counter.add.remote() for _ in range(10)])
    return max(counts)


def test_tasks_and_actors_call_through_a_handle() -> None:
    counter = Counter.remote()
    nbray.get([add_ten_times.remote(counter) for _ in range(4)])
    assert nbray.get(counter.add.remote(0)) == 40
    assert nbray.get(Counter.remote().__ray_call__.remote(lambda self, other: nbray.get(other.add.remote(2)), counter)) == 42
    assert nbray.get(nbray.get(nbray.put({"in": [counter]}))["in"][0].add.remote(0)) == 42


def test_a_captured_handle() -> None:
    counter = Counter.remote(1)
    assert nbray.get(nbray.remote(lambda: nbray.get(counter.add.remote())).remote()) == 2


def test_a_task_may_create_an_actor_and_return_its_handle() -> None:
    @nbray.remote
    def create() -> nbray.ActorHandle:
        counter = Counter.remote(9)
        counter.add.remote()
        return counter

    assert nbray.get(nbray.get(create.remote()).add.remote()) == 11


def test_a_handle_in_a_queued_task_keeps_its_actor_alive(gate: Any) -> None:
    gate.close()
    ref = add_ten_times.remote(Counter.remote())
    gate.open()
    assert nbray.get(ref) == 10


def test_a_call_on_a_temporary_actor_ends_before_the_actor_goes() -> None:
    refs = [Counter.remote(number).nap.remote(0.1) for number in range(3)]
    assert nbray.get(refs) == [0.1] * 3


def test_without_handles_it_ends_behind_its_calls() -> None:
    counter = Counter.remote()
    pid = nbray.get(counter.pid.remote())
    last = [counter.nap.remote(0.02) for _ in range(3)][-1]
    del counter
    assert nbray.get(last) == 0.02
    assert until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_plainly_pickled_handle_is_another_handle_of_the_same_actor() -> None:
    counter = Counter.remote()
    copy = pickle.loads(pickle.dumps(counter))
    assert copy == counter
    assert hash(copy) == hash(counter)
    del counter
    assert nbray.get(copy.add.remote()) == 1


# -------------------------------------------------------------------- names


def test_a_named_actor_is_found_while_it_lives() -> None:
    counter = Counter.options(name="found").remote(4)
    assert nbray.get(nbray.get_actor("found").add.remote()) == 5
    assert nbray.get_actor("found") == counter
    assert nbray.get(nbray.remote(lambda: nbray.get(nbray.get_actor("found").add.remote())).remote()) == 6
    nbray.kill(counter)
    assert until(lambda: is_dead(counter))
    with pytest.raises(ValueError, match="there is no actor named 'found'"):
        nbray.get_actor("found")


def test_a_name_that_is_taken() -> None:
    counter = Counter.options(name="taken").remote(1)
    with pytest.raises(nbray.UsageError, match="name='taken' is taken by another actor"):
        Counter.options(name="taken").remote()
    again = Counter.options(name="taken", get_if_exists=True).remote(100)
    assert again == counter
    assert nbray.get(again.add.remote()) == 2
    new = Counter.options(name="free", get_if_exists=True).remote(100)
    assert nbray.get(new.add.remote()) == 101


def test_namespaces_keep_names_apart() -> None:
    one = Counter.options(name="apart", namespace="one").remote(1)
    two = Counter.options(name="apart", namespace="two").remote(2)
    assert [nbray.get_actor("apart", namespace=space) for space in ("one", "two")] == [one, two]
    with pytest.raises(nbray.UsageError, match=r"no actor named 'apart': did you mean 'apart', namespace='(one|two)'\?"):
        nbray.get_actor("apart")
    with pytest.raises(nbray.UsageError, match=r"no actor named 'apar' in namespace 'one': did you mean 'apart'\?"):
        nbray.get_actor("apar", namespace="one")


def test_a_notebook_may_have_a_namespace_of_its_own() -> None:
    with fresh_session():
        nbray.init(num_workers=1, namespace="mine")
        counter = Counter.options(name="here").remote(1)
        assert nbray.get_actor("here") == nbray.get_actor("here", namespace="mine") == counter
        find = nbray.remote(lambda: nbray.get(nbray.get_actor("here").add.remote()))
        assert nbray.get(find.remote()) == 2
        with pytest.raises(nbray.UsageError, match="namespace='theirs'"):
            nbray.init(namespace="theirs")


def test_a_detached_actor_lives_without_handles_until_it_is_killed() -> None:
    counter = Counter.options(name="stays", lifetime="detached").remote()
    pid = nbray.get(counter.pid.remote())
    del counter
    assert nbray.get(nbray.get_actor("stays").pid.remote()) == pid
    nbray.kill(nbray.get_actor("stays"))
    assert until(lambda: not Path(f"/proc/{pid}").exists())


# -------------------------------------------------------------------- ends


def test_killing_ends_running_and_queued_calls() -> None:
    counter = Counter.remote()
    nbray.get(counter.pid.remote())
    refs = [counter.nap.remote(60), counter.add.remote()]
    nbray.kill(counter)
    for ref in refs:
        with pytest.raises(nbray.ActorDied, match=r"PlainCounter .*kill"):
            nbray.get(ref, timeout=5)
    with pytest.raises(nbray.ActorDied, match="kill"):
        nbray.get(counter.add.remote())
    assert until(lambda: is_dead(counter))


def test_exit_actor_cannot_be_swallowed() -> None:
    counter = Counter.remote()
    left = counter.leave.remote()
    with pytest.raises(nbray.ActorDied, match="by its own wish"):
        nbray.get(left)
    with pytest.raises(nbray.ActorDied):
        nbray.get(counter.add.remote())
    assert until(lambda: is_dead(counter))


def test_leaving_a_with_block_lets_queued_calls_end() -> None:
    with Counter.remote() as counter:
        pid = nbray.get(counter.pid.remote())
        refs = [counter.nap.remote(0.02) for _ in range(3)]
    assert nbray.get(refs) == [0.02] * 3
    assert until(lambda: not Path(f"/proc/{pid}").exists())
    with pytest.raises(nbray.ActorDied):
        nbray.get(counter.add.remote())


def test_a_graceful_end_by_its_ray_name() -> None:
    counter = Counter.remote()
    ref = counter.add.remote()
    assert nbray.get(counter.__ray_terminate__.remote()) is True
    assert nbray.get(ref) == 1
    assert until(lambda: is_dead(counter))


@pytest.mark.parametrize("end", ["handles", "exit", "kill"])
def test_the_shutdown_hook_runs_before_atexit_and_not_on_kill(tmp_path: Path, end: str) -> None:
    class Tidy:
        def __init__(self, folder: Path) -> None:
            import atexit

            self.folder = folder
            atexit.register(lambda: self.note("atexit"))

        def note(self, what: str) -> None:
            with (self.folder / "notes").open("a") as file:
                file.write(what + "\n")

        def leave(self) -> None:
            nbray.exit_actor()

        def __ray_shutdown__(self) -> None:
            self.note("hook")

    actor = nbray.remote(Tidy).remote(tmp_path)
    pid = nbray.get(actor.__ray_call__.remote(lambda self: os.getpid()))
    if end == "exit":
        actor.leave.remote()
    elif end == "kill":
        nbray.kill(actor)
    else:
        del actor
    assert until(lambda: not Path(f"/proc/{pid}").exists())
    notes = tmp_path / "notes"
    assert (notes.read_text() if notes.exists() else "") == ("" if end == "kill" else "hook\natexit\n")


def test_an_actor_whose_init_raises() -> None:
    class Broken:
        def __init__(self) -> None:
            raise LookupError("no table")

        def get(self) -> int:
            return 1

    broken = nbray.remote(Broken).remote()
    with pytest.raises(nbray.ActorDied, match="Broken") as error:
        nbray.get(broken.get.remote())
    assert isinstance(error.value.__cause__, LookupError)
    assert "no table" in str(error.value)


def test_a_worker_that_dies_takes_its_actor_along() -> None:
    counter = Counter.remote()
    with pytest.raises(nbray.ActorDied, match=r"(?s)SIGKILL|signal 9"):
        nbray.get(counter.__ray_call__.remote(lambda self: os.kill(os.getpid(), 9)))
    with pytest.raises(nbray.ActorDied):
        nbray.get(counter.add.remote())


def test_restarts_begin_anew_and_tried_calls_go_on(tmp_path: Path) -> None:
    class Fragile:
        def __init__(self, folder: Path) -> None:
            self.folder = folder
            self.calls = 0

        def die_once(self) -> int:
            self.calls += 1
            if not (self.folder / "died").exists():
                (self.folder / "died").touch()
                os._exit(3)
            return self.calls

    actor = nbray.remote(Fragile).options(max_restarts=1, max_task_retries=1).remote(tmp_path)
    assert nbray.get(actor.die_once.remote()) == 1


def test_kill_with_restarts_left() -> None:
    counter = Counter.options(max_restarts=1).remote()
    pid = nbray.get(counter.pid.remote())
    nbray.get(counter.add.remote(5))
    nbray.kill(counter, no_restart=False)
    assert until(lambda: not Path(f"/proc/{pid}").exists())
    assert until(lambda: "alive" in repr(counter))
    assert nbray.get(counter.add.remote()) == 1


def test_explicit_resources_are_held_for_life() -> None:
    counter = Counter.options(num_cpus=1).remote()
    nbray.get(counter.pid.remote())
    assert nbray.available_resources()["CPU"] == 1
    nbray.kill(counter)
    assert until(lambda: nbray.available_resources()["CPU"] == 2)


@pytest.mark.parametrize("options", [{"num_cpus": 3}, {"num_gpus": 1}, {"resources": {"disk": 1}}])
def test_an_actor_that_can_never_fit_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(nbray.InfeasibleRequest, match="could never run"):
        Counter.options(**options).remote()


# -------------------------------------------------------------------- cancelling


def test_a_running_call_is_cancelled_and_the_actor_lives_on() -> None:
    counter = Counter.remote(1)
    nbray.get(counter.pid.remote())
    running, queued, kept = counter.nap.remote(60), counter.nap.remote(60), counter.add.remote()
    assert until(lambda: nbray.get(nbray.remote(lambda: True).remote()))
    nbray.cancel(queued)
    nbray.cancel(running)
    for ref in (running, queued):
        with pytest.raises(nbray.TaskCancelledError):
            nbray.get(ref, timeout=5)
    assert nbray.get(kept) == 2


# -------------------------------------------------------------------- misuse that only a cluster can tell


def test_actors_that_wait_for_each_other_are_told_apart_by_a_timeout() -> None:
    class Partner:
        def meet(self, other: Any, depth: int) -> Any:
            return nbray.get(other.meet.remote(self.own, depth - 1), timeout=0.3) if depth else "met"

        def introduce(self, own: Any) -> None:
            self.own = own

    one, two = nbray.remote(Partner).remote(), nbray.remote(Partner).remote()
    nbray.get([one.introduce.remote(one), two.introduce.remote(two)])
    assert nbray.get(one.meet.remote(two, 1)) == "met"
    with pytest.raises(nbray.GetTimeoutError, match=r"Partner\.meet"):
        nbray.get(one.meet.remote(two, 2), timeout=10)


def test_more_calls_than_may_wait_are_refused_where_they_are_made() -> None:
    counter = Counter.options(max_pending_calls=2).remote()
    refs = [counter.nap.remote(0.3) for _ in range(2)]
    with pytest.raises(nbray.ClusterError, match=r"PlainCounter\.add was not called: 2 calls .* max_pending_calls=2"):
        counter.add.remote()
    nbray.get(refs)
    assert nbray.get([counter.add.remote(), counter.add.remote()]) == [1, 2]


def test_calls_whose_refs_were_dropped_count_until_they_have_ended() -> None:
    counter = Counter.options(max_pending_calls=1).remote()
    counter.nap.remote(0.3)
    with pytest.raises(nbray.ClusterError, match="max_pending_calls=1"):
        counter.add.remote()
    assert until(lambda: added(counter) == 1)


def added(counter: Any) -> int | None:
    try:
        return int(nbray.get(counter.add.remote()))
    except nbray.ClusterError:
        return None


def test_each_process_has_a_count_of_its_own() -> None:
    counter = Counter.options(max_pending_calls=1).remote()
    nap = counter.nap.remote(0.3)
    assert nbray.get(nbray.remote(added).remote(counter)) == 1
    nbray.get(nap)


def test_a_handle_of_a_cluster_that_is_gone() -> None:
    with fresh_session():
        nbray.init(num_workers=1)
        counter = Counter.remote()
        nbray.shutdown()
        assert "gone with its cluster" in repr(counter)
        nbray.init(num_workers=1)
        with pytest.raises(nbray.WrongCluster, match=r"the actor PlainCounter belongs to cluster .* create it again"):
            counter.add.remote()
