import signal

import pytest

from nbray.ids import ActorId
from nbray.resources import CPU, GPU, UNIT
from nbray.scheduler import messages, workers
from nbray.scheduler.actions import Signal
from nbray.scheduler.actor_records import Actor
from nbray.scheduler.actors import LEAVE_SECONDS
from nbray.scheduler.messages import Failure
from nbray.scheduler.states import ActorState, WorkerState
from tests.scheduler.audit import audit
from tests.scheduler.pretend import Cluster, Driver, Process, Worker
from tests.scheduler.test_gangs import create as create_gang


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=2)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


def record(process: Process, actor_id: ActorId) -> Actor:
    """What the scheduler knows of an actor."""
    return process.cluster.scheduler._calls.table[actor_id]


def host_of(process: Process, actor_id: ActorId) -> Worker:
    """The pretend worker that an actor has."""
    worker = record(process, actor_id).worker
    assert worker is not None
    return process.cluster.workers[worker.slot]


def created(process: Process, actor_id: ActorId) -> Worker:
    """Let the creation succeed; returns the actor's worker."""
    process.cluster.start_workers()
    host = host_of(process, actor_id)
    host.finish(host.task_ids[-1], value=b"")
    assert record(process, actor_id).state is ActorState.ALIVE
    return host


class TestCreation:
    def test_the_worker_is_told_whose_it_is_before_the_creation_runs(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        host = host_of(driver, actor_id)
        assert [message.actor_id for message in host.heard(messages.Host)] == [actor_id]
        assert host.task_ids == [actor_id]
        assert record(driver, actor_id).state is ActorState.PENDING
        created(driver, actor_id)
        assert actor_id in driver.values

    def test_another_worker_takes_the_place_among_those_of_tasks(self, cluster: Cluster, driver: Driver) -> None:
        actors = [driver.actor() for _ in range(5)]
        cluster.start_workers()
        for actor_id in actors:
            created(driver, actor_id)
        cluster.start_workers()
        tasks = driver.submit(driver.template(), 2)
        free = [worker for worker in cluster.workers.values() if not worker.heard(messages.Host)]
        assert sorted(task for worker in free for task in worker.task_ids) == sorted(tasks)
        cluster.wait(30)
        assert cluster.scheduler._fleet.active() == 2

    def test_it_holds_its_resources_for_life(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(resources={CPU: UNIT})
        host = created(driver, actor_id)
        assert cluster.scheduler._pool.available == {CPU: UNIT}
        driver.say(messages.Released([actor_id]))
        host.die(exit_code=0)
        assert cluster.scheduler._pool.available == {CPU: 2 * UNIT}

    def test_it_waits_for_resources_like_a_task(self, cluster: Cluster, driver: Driver) -> None:
        (task,) = driver.submit(driver.template(cpus=2))
        actor_id = driver.actor(resources={CPU: UNIT})
        assert record(driver, actor_id).worker is None
        next(worker for worker in cluster.workers.values() if task in worker.task_ids).finish(task)
        created(driver, actor_id)

    def test_what_can_never_run_is_refused(self, driver: Driver) -> None:
        actor_id = driver.actor(resources={CPU: 9 * UNIT})
        assert driver.failure(actor_id).kind == "infeasible"
        (call,) = driver.call(actor_id, driver.method())
        assert driver.failure(call).kind == "actor_died"
        assert "could not be created" in driver.failure(call).message

    def test_it_waits_for_its_arguments(self, cluster: Cluster, driver: Driver) -> None:
        (task,) = driver.submit(driver.template())
        actor_id = driver.actor(deps=[task])
        assert record(driver, actor_id).worker is None
        next(worker for worker in cluster.workers.values() if task in worker.task_ids).finish(task, value=b"7")
        assert host_of(driver, actor_id).given[-1].deps == [(task, b"7")]

    def test_the_failure_of_an_argument_is_the_actors(self, cluster: Cluster, driver: Driver) -> None:
        (task,) = driver.submit(driver.template())
        actor_id = driver.actor(deps=[task])
        (call,) = driver.call(actor_id, driver.method())
        cluster.workers[1].finish(task, value=Failure("exception", "no luck", "ValueError", b"pickled"))
        assert driver.failure(call).kind == "actor_died"
        assert (driver.failure(call).type_name, driver.failure(call).pickled) == ("ValueError", b"pickled")

    def test_an_init_that_raises_ends_the_actor_with_its_error(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        (before,) = driver.call(actor_id, driver.method())
        host = host_of(driver, actor_id)
        host.finish(actor_id, value=Failure("exception", "no luck", "ValueError", b"pickled", "the traceback", retriable=True))
        (after,) = driver.call(actor_id, driver.method())
        for call in (before, after):
            failure = driver.failure(call)
            assert (failure.kind, failure.type_name, failure.pickled) == ("actor_died", "ValueError", b"pickled")
            assert "could not be created. ValueError: no luck" in failure.message
        assert len(host.heard(messages.Exit)) == 1
        host.die(exit_code=0)
        audit(cluster.scheduler)

    def test_a_hundred_are_forked_in_a_few_waves(self, cluster: Cluster, driver: Driver) -> None:
        actors = [driver.actor() for _ in range(100)]
        waves = 0
        while any(record(driver, actor_id).state is not ActorState.ALIVE for actor_id in actors):
            waves += 1
            cluster.start_workers()
            for actor_id in actors:
                if record(driver, actor_id).worker is not None and record(driver, actor_id).state is ActorState.PENDING:
                    host_of(driver, actor_id).finish(actor_id)
        assert waves <= 5
        audit(cluster.scheduler)


class TestEnd:
    def test_it_ends_with_its_last_handle(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        host = created(driver, actor_id)
        driver.say(messages.Released([actor_id]))
        assert len(host.heard(messages.Exit)) == 1
        assert record(driver, actor_id).state is ActorState.EXITING
        host.die(exit_code=0)
        assert actor_id not in cluster.scheduler._calls.table
        assert not cluster.scheduler._objects.entries
        audit(cluster.scheduler)

    def test_a_call_on_a_temporary_handle_is_made_first(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        (call,) = driver.call(actor_id, driver.method())
        driver.say(messages.Released([actor_id]))
        host = created(driver, actor_id)
        assert host.task_ids == [actor_id, call]
        assert not host.heard(messages.Exit)
        host.finish(call)
        assert driver.values[call] == b"result"
        assert len(host.heard(messages.Exit)) == 1

    def test_a_handle_in_a_queued_task_keeps_it(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        host = created(driver, actor_id)
        (task,) = driver.submit(driver.template(), nested=[actor_id])
        driver.say(messages.Released([actor_id]))
        assert not host.heard(messages.Exit)
        next(worker for worker in cluster.workers.values() if task in worker.task_ids).finish(task)
        assert len(host.heard(messages.Exit)) == 1

    def test_a_worker_that_does_not_end_is_killed(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        driver.say(messages.Released([actor_id]))
        cluster.wait(LEAVE_SECONDS - 1)
        assert Signal(host.slot, signal.SIGKILL) not in cluster.actions
        cluster.wait(2)
        assert Signal(host.slot, signal.SIGKILL) in cluster.actions

    def test_kill_fails_what_is_queued_at_once_and_the_rest_with_the_worker(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        host = created(driver, actor_id)
        (missing,) = driver.submit(driver.template())
        inside = driver.call(actor_id, driver.method(), 2)
        (queued,) = driver.call(actor_id, driver.method(), deps=[missing])
        driver.say(messages.KillActor(actor_id))
        assert driver.failure(queued).kind == "actor_died"
        assert inside[0] not in driver.values
        host.finish(inside[0])
        host.die(inside[1])
        assert driver.values[inside[0]] == b"result"
        assert "was killed" in driver.failure(inside[1]).message
        assert record(driver, actor_id).state is ActorState.DEAD
        (late,) = driver.call(actor_id, driver.method())
        assert "was killed" in driver.failure(late).message
        audit(cluster.scheduler)

    def test_kill_before_it_is_placed(self, cluster: Cluster, driver: Driver) -> None:
        (task,) = driver.submit(driver.template())
        actor_id = driver.actor(deps=[task])
        (call,) = driver.call(actor_id, driver.method())
        driver.say(messages.KillActor(actor_id))
        assert driver.failure(actor_id).kind == driver.failure(call).kind == "actor_died"
        assert record(driver, actor_id).state is ActorState.DEAD
        audit(cluster.scheduler)

    def test_kill_while_it_is_being_created(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(max_restarts=3)
        host = host_of(driver, actor_id)
        driver.say(messages.KillActor(actor_id))
        assert Signal(host.slot, signal.SIGKILL) in cluster.actions
        host.die(actor_id)
        assert record(driver, actor_id).state is ActorState.DEAD
        audit(cluster.scheduler)

    def test_told_to_end_it_takes_no_more_calls_and_ends_after_those_it_has(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        host = created(driver, actor_id)
        (before,) = driver.call(actor_id, driver.method())
        driver.say(messages.KillActor(actor_id, after_calls=True))
        (after,) = driver.call(actor_id, driver.method())
        assert "told to end" in driver.failure(after).message
        assert not host.heard(messages.Exit)
        host.finish(before)
        assert len(host.heard(messages.Exit)) == 1
        host.die(exit_code=0)
        assert record(driver, actor_id).state is ActorState.DEAD

    def test_told_to_end_it_can_be_killed_when_its_calls_wait_for_what_it_holds(self) -> None:
        cluster = Cluster(workers=1)
        driver = cluster.driver()
        actor_id = driver.actor(resources={CPU: UNIT})
        created(driver, actor_id)
        (task,) = driver.submit(driver.template())
        (call,) = driver.call(actor_id, driver.method(), deps=[task])
        driver.say(messages.KillActor(actor_id, after_calls=True))
        host = host_of(driver, actor_id)
        cluster.wait(100)
        assert (task in driver.values, call in driver.values) == (False, False)
        assert record(driver, actor_id).state is ActorState.EXITING
        driver.say(messages.KillActor(actor_id))
        assert Signal(host.slot, signal.SIGKILL) in cluster.actions
        assert driver.failure(call).kind == "actor_died"
        host.die(signal=9)
        cluster.start_workers()
        assert any(task in worker.task_ids for worker in cluster.workers.values())
        audit(cluster.scheduler)

    def test_told_to_end_before_it_is_alive(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        (call,) = driver.call(actor_id, driver.method())
        driver.say(messages.KillActor(actor_id, after_calls=True))
        cluster.start_workers()
        host = host_of(driver, actor_id)
        host.finish(actor_id)
        assert host.task_ids == [actor_id, call]
        host.finish(call)
        assert len(host.heard(messages.Exit)) == 1

    def test_exit_actor_fails_the_rest_and_is_no_reason_to_restart(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(max_restarts=-1, max_task_retries=-1)
        host = created(driver, actor_id)
        first, second = driver.call(actor_id, driver.method(max_retries=-1), 2)
        host.finish(first, value=Failure("actor_died", "left"))
        host.say(messages.ExitActor(actor_id))
        assert "exited on purpose" in driver.failure(second).message
        host.die(first, exit_code=0)
        assert record(driver, actor_id).state is ActorState.DEAD
        audit(cluster.scheduler)

    def test_a_stranger_cannot_make_it_exit(self, cluster: Cluster, driver: Driver) -> None:
        created(driver, actor_id := driver.actor())
        driver.say(messages.ExitActor(actor_id))
        assert record(driver, actor_id).state is ActorState.ALIVE

    def test_a_handle_that_the_actor_has_of_itself_keeps_nobody_alive(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        host.say(messages.Held([actor_id]))
        driver.say(messages.Released([actor_id]))
        assert len(host.heard(messages.Exit)) == 1

    def test_calls_of_an_actor_that_is_not_there_fail(self, cluster: Cluster, driver: Driver) -> None:
        (call,) = driver.call(driver.new_object(), driver.method())
        assert driver.failure(call).kind == "actor_died"
        assert "is not in the cluster" in driver.failure(call).message


class TestDeathAndRestart:
    def test_a_worker_that_dies_takes_the_actor_with_it(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        host = created(driver, actor_id)
        first, second = driver.call(actor_id, driver.method(), 2)
        host.die(first, signal=11, log="the last line")
        for call in (first, second):
            failure = driver.failure(call)
            assert failure.kind == "actor_died"
            assert "SIGSEGV" in failure.message
            assert "Counter.add" in failure.message
            assert "the last line" in failure.message
        assert record(driver, actor_id).state is ActorState.DEAD
        audit(cluster.scheduler)

    def test_it_starts_again_as_often_as_allowed(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(max_restarts=1)
        host = created(driver, actor_id)
        running, waiting = driver.call(actor_id, driver.method(), 2)
        host.die(running)
        assert "starts again" in driver.failure(running).message
        assert record(driver, actor_id).state is ActorState.RESTARTING
        (third,) = driver.call(actor_id, driver.method())
        cluster.start_workers()
        again = host_of(driver, actor_id)
        assert again.given[-1].attempt == 2
        audit(cluster.scheduler)
        again.finish(again.task_ids[-1])
        assert again.task_ids[-2:] == [waiting, third]
        again.die(waiting)
        assert "max_restarts=1" in driver.failure(third).message
        assert record(driver, actor_id).state is ActorState.DEAD
        audit(cluster.scheduler)

    def test_what_its_class_was_called_with_is_kept(self, cluster: Cluster, driver: Driver) -> None:
        created(driver, actor_id := driver.actor(max_restarts=1)).die()
        host = created(driver, actor_id)
        assert [spec.args for spec in host.given[-1:]] == [b"args"]

    def test_its_arguments_are_kept_for_the_next_start(self, cluster: Cluster, driver: Driver) -> None:
        value = driver.put(b"7")
        actor_id = driver.actor(deps=[value], nested=[value], max_restarts=-1)
        driver.say(messages.Released([value]))
        for _ in range(3):
            host = created(driver, actor_id)
            assert host.given[-1].deps == [(value, b"7")]
            audit(cluster.scheduler)
            host.die()
        driver.say(messages.Released([actor_id]))
        host_of(driver, actor_id).die()
        assert actor_id not in cluster.scheduler._calls.table
        assert not cluster.scheduler._objects.entries
        audit(cluster.scheduler)

    def test_calls_run_again_in_order_if_they_may(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(max_restarts=-1)
        host = created(driver, actor_id)
        calls = driver.call(actor_id, driver.method(max_retries=1), 3)
        host.finish(calls[0])
        host.die(calls[1])
        again = created(driver, actor_id)
        assert [(spec.task_id, spec.attempt) for spec in again.given[-2:]] == [(calls[1], 2), (calls[2], 1)]
        again.die(calls[1])
        assert driver.failure(calls[1]).kind == "actor_died"
        assert calls[2] not in driver.values

    def test_with_concurrency_every_call_inside_may_have_begun(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(max_restarts=-1, concurrency="threads", max_concurrency=2)
        host = created(driver, actor_id)
        calls = driver.call(actor_id, driver.method(), 3)
        host.die(actor_id)
        assert all(driver.failure(call).kind == "actor_died" for call in calls)

    def test_a_creation_that_had_not_begun_runs_elsewhere(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        host_of(driver, actor_id).die()
        created(driver, actor_id)
        assert record(driver, actor_id).restarts == 0

    def test_a_worker_that_dies_in_init(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        host_of(driver, actor_id).die(actor_id)
        (call,) = driver.call(actor_id, driver.method())
        assert "could not be created" in driver.failure(call).message
        assert "SIGKILL" in driver.failure(call).message

    def test_a_death_in_init_counts_as_a_restart(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(max_restarts=2)
        host_of(driver, actor_id).die(actor_id)
        host = created(driver, actor_id)
        assert (record(driver, actor_id).restarts, record(driver, actor_id).restarts_left) == (1, 1)
        host.die()
        assert record(driver, actor_id).state is ActorState.RESTARTING

    def test_kill_without_no_restart(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(max_restarts=1)
        host = created(driver, actor_id)
        driver.say(messages.KillActor(actor_id, no_restart=False))
        (call,) = driver.call(actor_id, driver.method())
        host.die()
        host = created(driver, actor_id)
        assert host.task_ids[-1] == call
        driver.say(messages.KillActor(actor_id, no_restart=False))
        host.die(call)
        assert "was killed" in driver.failure(call).message
        assert record(driver, actor_id).state is ActorState.DEAD

    def test_the_class_is_kept_for_the_next_start(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(max_restarts=1)
        host = created(driver, actor_id)
        driver.say(messages.ForgetTemplates([host.given[0].template_id]))
        host.die()
        created(driver, actor_id)
        driver.say(messages.KillActor(actor_id))
        host_of(driver, actor_id).die()
        assert cluster.scheduler._registry.counts() == (0, 0)
        audit(cluster.scheduler)


class TestNames:
    def test_a_name_can_be_had_once(self, cluster: Cluster, driver: Driver) -> None:
        first = driver.actor(name="totals")
        second = driver.actor(name="totals")
        other = cluster.driver("b.ipynb").actor(name="totals")
        assert driver.failure(second).kind == "refused"
        assert "taken by a Counter in the namespace 'a.ipynb'" in driver.failure(second).message
        assert first not in driver.values
        assert other in cluster.scheduler._calls.table
        driver.say(messages.KillActor(first))
        assert driver.actor(name="totals") in cluster.scheduler._calls.table

    def test_a_name_is_free_when_the_last_start_is_killed(self, cluster: Cluster, driver: Driver) -> None:
        created(driver, actor_id := driver.actor(name="totals"))
        driver.say(messages.KillActor(actor_id, no_restart=False))
        assert driver.actor(name="totals") in cluster.scheduler._calls.table

    def test_a_detached_actor_stays_until_it_is_killed(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(name="totals", detached=True)
        host = created(driver, actor_id)
        driver.say(messages.Released([actor_id]))
        driver.leave()
        assert not host.heard(messages.Exit)
        cluster.driver("b.ipynb").say(messages.KillActor(actor_id))
        host.die()
        assert not cluster.scheduler._objects.entries
        audit(cluster.scheduler)


class TestDriversAndWorkers:
    def test_a_driver_that_shuts_down_takes_its_actors_with_it_but_not_detached_ones(self, cluster: Cluster) -> None:
        cluster.driver("b.ipynb")
        driver = cluster.driver("c.ipynb")
        mine, detached = driver.actor(), driver.actor(detached=True)
        hosts = [created(driver, actor_id) for actor_id in (mine, detached)]
        driver.call(detached, driver.method())
        driver.say(messages.Goodbye(stop=True))
        driver.leave()
        assert [len(host.heard(messages.Exit)) for host in hosts] == [1, 0]
        assert Signal(hosts[1].slot, signal.SIGKILL) not in cluster.actions

    def test_a_driver_that_is_lost_leaves_its_results_and_no_actors(self, cluster: Cluster, driver: Driver) -> None:
        mine, detached = driver.actor(), driver.actor(detached=True)
        hosts = [created(driver, actor_id) for actor_id in (mine, detached)]
        (call,) = driver.call(mine, driver.method())
        driver.leave()
        assert not hosts[0].heard(messages.Exit)
        hosts[0].finish(call)
        assert [len(host.heard(messages.Exit)) for host in hosts] == [1, 0]
        assert call in cluster.scheduler._objects.entries
        audit(cluster.scheduler)

    def test_what_a_call_submits_belongs_to_its_cell_run(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        (call,) = driver.call(actor_id, driver.method(cell_run="run 7"))
        (task,) = host.submit(host.template())
        assert cluster.scheduler._objects.entries[task].run is cluster.scheduler._objects.entries[call].run

    def test_its_cpus_are_free_while_it_waits(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor(resources={CPU: 2 * UNIT}))
        (call,) = driver.call(actor_id, driver.method())
        (task,) = host.submit(host.template())
        assert not any(task in worker.task_ids for worker in cluster.workers.values())
        host.say(messages.Blocked(call))
        assert any(task in worker.task_ids for worker in cluster.workers.values())
        host.say(messages.Unblocked(call))
        assert record(driver, actor_id).worker is not None
        assert record(driver, actor_id).worker.state is WorkerState.HOSTING  # type: ignore[union-attr]
        audit(cluster.scheduler)

    def test_workers_that_host_are_not_renewed(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, driver.actor())
        driver.say(messages.Ask(1, "renew"))
        assert not host.heard(messages.Exit)


class TestPlaces:
    def test_it_sees_its_gpus_all_its_life(self) -> None:
        cluster = Cluster(workers=1, resources={CPU: UNIT, GPU: 2 * UNIT})
        driver = cluster.driver()
        first, second, third = (driver.actor(resources={GPU: UNIT}) for _ in range(3))
        cluster.start_workers()
        hosts = [created(driver, actor_id) for actor_id in (first, second)]
        assert sorted(host.gpus for host in hosts) == [(0,), (1,)]
        assert record(driver, third).worker is None
        driver.say(messages.KillActor(first))
        hosts[0].die()
        assert created(driver, third).gpus == hosts[0].gpus
        audit(cluster.scheduler)

    def test_it_gets_a_worker_with_its_profile(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(place={"profile": b"A"})
        created(driver, actor_id)
        worker = record(driver, actor_id).worker
        assert worker is not None
        assert worker.profile == b"A"
        assert cluster.scheduler._fleet.active() == 2

    def test_it_ends_with_the_gang_that_it_lives_in(self, cluster: Cluster, driver: Driver) -> None:
        gang = create_gang(driver, {CPU: UNIT})
        place: dict[str, object] = {"gang": gang, "bundle": 0}
        actors = [driver.actor(resources={CPU: UNIT}, place=place, deps=[gang], max_restarts=5) for _ in range(2)]
        host = created(driver, actors[0])
        (call,) = driver.call(actors[0], driver.method())
        driver.say(messages.RemoveGang(gang))
        assert Signal(host.slot, signal.SIGKILL) in cluster.actions
        assert driver.failure(actors[1]).kind == "gang_removed"
        host.die(call)
        for actor_id in actors:
            assert record(driver, actor_id).state is ActorState.DEAD
        assert "could not be created" in record(driver, actors[0]).death.message  # type: ignore[union-attr]
        (late,) = driver.call(actors[1], driver.method())
        assert "removed" in driver.failure(late).message
        audit(cluster.scheduler)

    def test_one_more_than_fit_waits_until_another_ends(
        self, cluster: Cluster, driver: Driver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(workers, "MOST_HOSTS", 2)
        first, second, third = (driver.actor(cell_run=f"run {number}") for number in range(3))
        for _ in range(3):
            cluster.start_workers()
        assert record(driver, third).worker is None
        run = next(run for run in cluster.scheduler.snapshot(cluster.now).cell_runs if run.cell_run == "run 2")
        assert run.waits_for == "the end of another actor: there are 2, and more do not fit into one cluster"
        driver.submit(driver.template())
        created(driver, second)
        host = created(driver, first)
        driver.say(messages.KillActor(first))
        host.die()
        created(driver, third)
        assert cluster.scheduler._fleet.active() == 2
        audit(cluster.scheduler)
