import msgspec
import pytest

from nbray.resources import CPU, UNIT
from nbray.scheduler import messages
from nbray.snapshot import ActorSnapshot
from tests.scheduler.audit import audit
from tests.scheduler.pretend import Cluster, Driver, Process
from tests.scheduler.test_actors import created, host_of


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=2)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


def ask(process: Process, question: str, argument: int = 0, text: str = "") -> dict[str, object]:
    process.say(messages.Ask(7, question, argument, text))
    return msgspec.msgpack.decode(process.heard(messages.Answer)[-1].body, type=dict[str, object])


def listed(process: Process) -> list[ActorSnapshot]:
    process.say(messages.Ask(7, "actors"))
    return msgspec.msgpack.decode(process.heard(messages.Answer)[-1].body, type=list[ActorSnapshot])


class TestNames:
    def test_who_asks_for_a_name_holds_the_actor(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(name="totals", description=b"what a handle needs")
        host = created(driver, actor_id)
        other = cluster.driver("b.ipynb")
        found = ask(other, "actor", text="a.ipynb\ntotals")
        assert (found["actor_id"], found["description"], found["class_name"]) == (actor_id, b"what a handle needs", "Counter")
        driver.say(messages.Released([actor_id]))
        assert not host.heard(messages.Exit)
        other.say(messages.Released([actor_id]))
        assert len(host.heard(messages.Exit)) == 1
        audit(cluster.scheduler)

    def test_without_a_namespace_it_is_the_own_one(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(name="totals")
        assert ask(driver, "actor", text="totals")["actor_id"] == actor_id
        assert ask(driver, "actor", text="\ntotals")["actor_id"] == actor_id
        other = cluster.driver("b.ipynb")
        assert ask(other, "actor", text="totals")["actor_id"] == 0
        assert ask(other, "namespace", text="a.ipynb") == {"namespace": "a.ipynb"}
        assert ask(other, "actor", text="totals")["actor_id"] == actor_id
        assert ask(other, "namespace") == {"namespace": "a.ipynb"}

    def test_a_call_looks_in_the_namespace_of_its_notebook(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor(name="totals"))
        assert ask(host, "actor", text="totals")["actor_id"] == actor_id

    def test_an_unknown_name_is_answered_with_those_that_there_are(self, driver: Driver) -> None:
        driver.actor(name="totals")
        driver.actor(name="means")
        assert ask(driver, "actor", text="total")["names"] == ["means", "totals"]

    def test_a_name_is_free_as_soon_as_its_actor_is_to_end(self, driver: Driver) -> None:
        created(driver, actor_id := driver.actor(name="totals"))
        driver.call(actor_id, driver.method())
        driver.say(messages.KillActor(actor_id, after_calls=True))
        assert ask(driver, "actor", text="totals")["actor_id"] == 0


class TestStates:
    def test_one_actor(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        assert ask(driver, "actor_state", actor_id)["state"] == "PENDING"
        host = created(driver, actor_id)
        state = ask(driver, "actor_state", actor_id)
        assert (state["state"], state["pid"], state["worker"]) == ("ALIVE", host.pid, f"worker {host.slot} (pid {host.pid})")
        driver.say(messages.KillActor(actor_id))
        assert ask(driver, "actor_state", actor_id)["state"] == "EXITING"
        host.die()
        state = ask(driver, "actor_state", actor_id)
        assert state["state"] == "DEAD"
        assert "was killed" in str(state["why"])
        driver.say(messages.Released([actor_id]))
        assert "was killed" in str(ask(driver, "actor_state", actor_id)["why"])
        assert ask(driver, "actor_state", 1)["state"] == "DEAD"

    def test_all_actors(self, cluster: Cluster, driver: Driver) -> None:
        first = driver.actor(name="totals", max_restarts=2, resources={CPU: UNIT}, cell_run="run 1")
        host = created(driver, first)
        calls = driver.call(first, driver.method(), 3)
        second = driver.actor(resources={CPU: 2 * UNIT})
        alive, pending = listed(driver)
        assert (alive.actor_id, alive.class_name, alive.state, alive.name) == (first, "Counter", "ALIVE", "totals")
        assert (alive.pid, alive.slot, alive.running, alive.pending) == (host.pid, host.slot, 3, 0)
        assert (alive.job, alive.cell_run, alive.resources) == ("a.ipynb", "run 1", {CPU: UNIT})
        assert (pending.actor_id, pending.state, pending.pid, pending.slot) == (second, "PENDING", 0, -1)
        host.die(calls[0])
        (restarted,) = [actor for actor in listed(driver) if actor.actor_id == first]
        assert (restarted.state, restarted.restarts, restarted.pending) == ("RESTARTING", 1, 2)
        driver.say(messages.KillActor(second))
        driver.say(messages.Released([second]))
        host_of(driver, second).die()
        (dead,) = [actor for actor in listed(driver) if actor.actor_id == second]
        assert dead.state == "DEAD"

    def test_they_are_in_the_pictures(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor(resources={CPU: 2 * UNIT}))
        picture = cluster.scheduler.snapshot(cluster.now)
        assert [actor.actor_id for actor in picture.actors] == [actor_id]
        shown = next(worker for worker in picture.workers if worker.slot == host.slot)
        assert (shown.state, shown.actor, shown.task) == ("idle", "Counter", "")
        driver.call(actor_id, driver.method(), 3)
        driver.submit(driver.template())
        picture = cluster.scheduler.snapshot(cluster.now)
        shown = next(worker for worker in picture.workers if worker.slot == host.slot)
        assert (shown.state, shown.task, shown.queued) == ("busy", "Counter.add", 2)
        (run,) = picture.cell_runs
        assert (run.running, run.waiting) == (1, 3)

    def test_a_task_that_waits_for_an_actors_resources_says_so(self, cluster: Cluster, driver: Driver) -> None:
        created(driver, driver.actor(resources={CPU: 2 * UNIT}, name="totals"))
        driver.submit(driver.template(cell_run="run 2"))
        run = next(run for run in cluster.scheduler.snapshot(cluster.now).cell_runs if run.cell_run == "run 2")
        assert run.waits_for == "all CPUs held by the actor Counter 'totals'"
