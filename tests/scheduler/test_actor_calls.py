import signal

import pytest

from nbray.ids import BACKGROUND, ActorId, TaskId, TemplateId
from nbray.scheduler import messages
from nbray.scheduler.actions import SetCancelWord, Signal
from nbray.scheduler.actor_calls import FORCE_SECONDS
from nbray.scheduler.actor_records import WINDOW
from nbray.scheduler.messages import Failure, TaskSpec
from nbray.scheduler.states import ActorState
from tests.scheduler.audit import audit
from tests.scheduler.pretend import Cluster, Driver, Worker
from tests.scheduler.test_actors import created, record


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(workers=2)


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    return cluster.driver()


def pending_object(driver: Driver) -> tuple[TaskId, Worker]:
    """An object that is not there yet, and the worker that will make it."""
    (task,) = driver.submit(driver.template())
    return task, next(worker for worker in driver.cluster.workers.values() if task in worker.task_ids)


class TestOrder:
    def test_calls_wait_until_the_actor_is_alive(self, driver: Driver) -> None:
        actor_id = driver.actor()
        calls = driver.call(actor_id, driver.method(), 3)
        host = created(driver, actor_id)
        assert host.task_ids == [actor_id, *calls]

    def test_calls_are_sent_at_once_and_together(self, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        calls = driver.call(actor_id, driver.method(), 3)
        assert [spec.task_id for spec in host.heard(messages.Run)[-1].tasks] == calls
        assert [learn.functions for learn in host.heard(messages.Learn)][1:] == [[]]

    def test_results_may_come_in_any_order(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor(concurrency="async", max_concurrency=100))
        calls = driver.call(actor_id, driver.method(), 5)
        for call in (calls[3], calls[0], calls[4]):
            host.finish(call, value=str(call).encode())
        assert [driver.values.get(call) == str(call).encode() for call in calls] == [True, False, False, True, True]
        audit(cluster.scheduler)

    def test_a_call_that_waits_holds_up_those_of_its_caller_only(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        missing, maker = pending_object(driver)
        other = cluster.driver("b.ipynb")
        other.say(messages.Held([actor_id]))
        (first,) = driver.call(actor_id, method := driver.method())
        (waits,) = driver.call(actor_id, method, deps=[missing])
        (behind,) = driver.call(actor_id, method)
        (others,) = other.call(actor_id, other.method())
        assert host.task_ids[1:] == [first, others]
        audit(cluster.scheduler)
        maker.finish(missing, value=b"7")
        assert host.task_ids[3:] == [waits, behind]
        assert host.given[3].deps == [(missing, b"7")]

    def test_with_concurrency_it_holds_up_nobody(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor(concurrency="threads", max_concurrency=2))
        missing, maker = pending_object(driver)
        (waits,) = driver.call(actor_id, method := driver.method(), deps=[missing])
        (behind,) = driver.call(actor_id, method)
        assert host.task_ids[1:] == [behind]
        audit(cluster.scheduler)
        maker.finish(missing)
        assert host.task_ids[1:] == [behind, waits]

    def test_the_failure_of_an_argument_is_the_calls_and_the_next_one_goes_on(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        missing, maker = pending_object(driver)
        (waits,) = driver.call(actor_id, method := driver.method(), deps=[missing])
        (behind,) = driver.call(actor_id, method)
        maker.finish(missing, value=Failure("exception", "no luck"))
        assert driver.failure(waits).message == "no luck"
        assert host.task_ids[1:] == [behind]
        audit(cluster.scheduler)

    def test_the_worker_has_a_window_full_at_most(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        calls = driver.call(actor_id, driver.method(), WINDOW + 100)
        assert host.task_ids[1:] == calls[:WINDOW]
        host.finish(*calls[:10])
        assert host.task_ids[1:] == calls[: WINDOW + 10]
        audit(cluster.scheduler)

    def test_the_window_covers_what_may_run_at_a_time(self, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor(concurrency="async", max_concurrency=WINDOW))
        driver.call(actor_id, driver.method(), 3 * WINDOW)
        assert len(host.task_ids) == 1 + 2 * WINDOW

    def test_callers_share_the_window(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        other = cluster.driver("b.ipynb")
        other.say(messages.Held([actor_id]))
        many = driver.call(actor_id, driver.method(), 5 * WINDOW)
        few = other.call(actor_id, other.method(), 3)
        host.finish(*many[:20])
        host.finish(*many[20:40])
        assert set(few) <= set(host.task_ids)

    def test_calls_with_large_arguments_are_sent_few_at_a_time(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        large = driver.put(driver.store(100_000))
        few = record(driver, actor_id).few
        calls = [driver.call(actor_id, driver.method(), deps=[large])[0] for _ in range(few + 3)]
        assert host.task_ids[1:] == calls[:few]
        host.finish(calls[0])
        assert host.task_ids[1:] == calls[: few + 1]

    def test_several_returns_and_none(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        (pair,) = driver.call(actor_id, driver.method(num_returns=2), returns=2)
        (none,) = driver.call(actor_id, driver.method(num_returns=0), returns=0)
        host.say(messages.Finished([messages.TaskResult(pair, [b"a", b"b"], 10), messages.TaskResult(none, [], 10)]))
        assert (driver.values[pair], driver.values[TaskId(pair + 1)]) == (b"a", b"b")
        audit(cluster.scheduler)

    def test_a_retriable_failure_runs_again_before_what_follows(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        (call,) = driver.call(actor_id, driver.method(max_retries=1))
        host.finish(call, value=Failure("exception", "again", retriable=True))
        assert [(spec.task_id, spec.attempt) for spec in host.given[1:]] == [(call, 1), (call, 2)]
        host.finish(call, value=Failure("exception", "again", retriable=True))
        assert driver.failure(call).message == "again"
        audit(cluster.scheduler)


class TestLimits:
    def test_a_late_result_of_a_call_that_has_ended_is_dropped(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        (call,) = driver.call(actor_id, driver.method())
        host.finish(call)
        host.say(messages.Finished([messages.TaskResult(call, [host.store(100_000)], 10)]))
        assert driver.values[call] == b"result"
        audit(cluster.scheduler)

    def test_a_call_of_an_unknown_template_does_not_wait_for_ever(self, driver: Driver) -> None:
        created(driver, actor_id := driver.actor())
        (call,) = driver.call(actor_id, TemplateId(99))
        assert driver.failure(call).kind == "lost"


class TestCancel:
    def test_queued_calls_end_at_once(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor()
        calls = driver.call(actor_id, driver.method(), 2)
        driver.cancel(calls[0])
        assert driver.failure(calls[0]).kind == "cancelled"
        assert driver.counts == {"cancelled": 1, "finished": 0, "stopping": 0}
        host = created(driver, actor_id)
        assert host.task_ids[1:] == [calls[1]]
        audit(cluster.scheduler)

    def test_calls_that_wait_in_the_worker_are_taken_back(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        calls = driver.call(actor_id, driver.method(), 3)
        driver.cancel(calls[1])
        assert [message.task_ids for message in host.heard(messages.TakeBack)] == [[calls[1]]]
        audit(cluster.scheduler)
        host.say(messages.TakenBack([calls[1]]))
        assert driver.failure(calls[1]).kind == "cancelled"
        assert not cluster.taken(Signal)
        host.finish(calls[0], calls[2])
        audit(cluster.scheduler)

    def test_the_running_call_is_interrupted_once_it_is_certain(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        calls = driver.call(actor_id, driver.method(), 3)
        driver.cancel(calls[1])
        host.say(messages.TakenBack([]))  # it has begun, and the report of the first is on the way
        assert not cluster.taken(Signal)
        host.finish(calls[0])
        assert cluster.taken(SetCancelWord) == [SetCancelWord(host.slot, calls[1])]
        assert cluster.taken(Signal) == [Signal(host.slot, signal.SIGINT)]
        host.finish(calls[1], value=Failure("cancelled", "interrupted"))
        assert driver.failure(calls[1]).kind == "cancelled"
        cluster.wait(60)
        assert Signal(host.slot, signal.SIGKILL) not in cluster.actions
        audit(cluster.scheduler)

    def test_nobody_is_killed_without_force(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        (call,) = driver.call(actor_id, driver.method())
        driver.cancel(call)
        host.say(messages.TakenBack([]))
        cluster.wait(60)
        assert Signal(host.slot, signal.SIGINT) in cluster.actions
        assert Signal(host.slot, signal.SIGKILL) not in cluster.actions
        assert driver.counts == {"cancelled": 0, "finished": 0, "stopping": 1}

    def test_force_kills_the_worker_after_a_moment(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor(max_restarts=1))
        calls = driver.call(actor_id, driver.method(), 2)
        driver.cancel(calls[0], force=True)
        host.say(messages.TakenBack([]))
        cluster.wait(FORCE_SECONDS + 0.01)
        assert cluster.actions[-1] == Signal(host.slot, signal.SIGKILL)
        host.die(calls[0])
        assert driver.failure(calls[0]).kind == "cancelled"
        assert created(driver, actor_id).task_ids[-1] == calls[1]
        audit(cluster.scheduler)

    def test_force_spares_the_worker_where_the_call_ends_in_time(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        calls = driver.call(actor_id, driver.method(), 2)
        driver.cancel(calls[1], force=True)
        host.say(messages.TakenBack([calls[1]]))
        cluster.wait(1)
        assert not cluster.taken(Signal)

    def test_with_concurrency_the_worker_is_told_to_stop_them(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor(concurrency="async", max_concurrency=10))
        calls = driver.call(actor_id, driver.method(), 3)
        driver.cancel(calls[2], calls[1])
        assert [sorted(message.task_ids) for message in host.heard(messages.CancelCalls)] == [calls[1:]]
        assert not host.heard(messages.TakeBack)
        host.finish(calls[2], calls[1], value=Failure("cancelled", "stopped"))
        assert driver.failure(calls[1]).kind == driver.failure(calls[2]).kind == "cancelled"
        assert not cluster.taken(Signal)
        audit(cluster.scheduler)

    def test_stop_of_a_cell_run_stops_its_calls_and_leaves_the_actor(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        mine = driver.call(actor_id, driver.method(cell_run="run 2"), 2)
        (other,) = driver.call(actor_id, driver.method(cell_run="run 3"))
        driver.cancel(cell_runs=["run 2"])
        host.say(messages.TakenBack([mine[1]]))
        host.finish(mine[0], value=Failure("cancelled", "interrupted"))
        assert driver.failure(mine[0]).kind == driver.failure(mine[1]).kind == "cancelled"
        host.finish(other)
        assert driver.values[other] == b"result"
        assert record(driver, actor_id).state is ActorState.ALIVE
        audit(cluster.scheduler)

    def test_stop_of_the_cell_that_creates_it(self, cluster: Cluster, driver: Driver) -> None:
        actor_id = driver.actor(cell_run="run 2")
        (call,) = driver.call(actor_id, driver.method())
        host = next(worker for worker in cluster.workers.values() if worker.heard(messages.Host))
        driver.cancel(cell_runs=["run 2"])
        host.say(messages.TakenBack([]))
        assert Signal(host.slot, signal.SIGINT) in cluster.actions
        host.finish(actor_id, value=Failure("cancelled", "interrupted"))
        assert driver.failure(actor_id).kind == "cancelled"
        assert driver.failure(call).kind == "actor_died"
        assert record(driver, actor_id).state is ActorState.DEAD
        host.die(exit_code=0)
        audit(cluster.scheduler)

    def test_a_restart_is_nobodys_to_stop(self, cluster: Cluster, driver: Driver) -> None:
        missing = driver.actor(cell_run="run 2", max_restarts=1)
        created(driver, missing).die()
        driver.cancel(cell_runs=["run 2"])
        created(driver, missing)

    def test_what_a_cancelled_call_submits_is_cancelled(self, cluster: Cluster, driver: Driver) -> None:
        host = created(driver, actor_id := driver.actor())
        (call,) = driver.call(actor_id, driver.method())
        driver.cancel(call)
        (task,) = host.submit(host.template())
        assert host.failure(task).kind == "cancelled"


class TestChildren:
    """What one of several calls submits that are under way in an actor: the actor says which."""

    @pytest.fixture(params=["threads", "async"])
    def actor_id(self, driver: Driver, request: pytest.FixtureRequest) -> ActorId:
        return driver.actor(concurrency=request.param, max_concurrency=8)

    def host_of(self, driver: Driver, actor_id: ActorId) -> Worker:
        """The actor's worker, once all CPUs are taken: what is submitted from here on stays queued."""
        host = created(driver, actor_id)
        driver.submit(driver.template("busy"), 2)
        return host

    def test_they_go_with_the_call_that_has_submitted_them(self, cluster: Cluster, driver: Driver, actor_id: ActorId) -> None:
        host = self.host_of(driver, actor_id)
        one, two = driver.call(actor_id, driver.method(), 2)
        first, second, third, fourth = host.submit(host.template(), 2, parents=[one, two])
        driver.cancel(one)
        assert [host.failure(child).kind for child in (first, second)] == ["cancelled", "cancelled"]
        assert not {third, fourth} & set(host.values)
        audit(cluster.scheduler)

    def test_what_nobody_there_has_submitted_stays(self, cluster: Cluster, driver: Driver, actor_id: ActorId) -> None:
        """A coroutine of the actor's own goes on when the call has ended that has started it."""
        host = self.host_of(driver, actor_id)
        one, two = driver.call(actor_id, driver.method(), 2)
        host.finish(one)
        late, other = host.submit(host.template(), parents=[one, two])
        driver.cancel(one)
        driver.cancel(two)
        assert late not in host.values
        assert host.failure(other).kind == "cancelled"
        audit(cluster.scheduler)

    def test_calls_of_other_actors_go_too(self, cluster: Cluster, driver: Driver, actor_id: ActorId) -> None:
        host = created(driver, actor_id)
        inner = created(host, inner_id := host.actor())
        one, two = driver.call(actor_id, driver.method(), 2)
        method = host.method()
        calls = [TaskSpec(host.new_object(), method, b"args", parent=parent) for parent in (one, one, two)]
        host.say(messages.Call(inner_id, calls))
        driver.cancel(one)
        inner.say(messages.TakenBack([calls[1].task_id]))
        assert host.failure(calls[1].task_id).kind == "cancelled"
        assert calls[2].task_id not in host.values
        audit(cluster.scheduler)

    def test_they_belong_to_the_notebook_of_their_call(self, cluster: Cluster, driver: Driver, actor_id: ActorId) -> None:
        host = self.host_of(driver, actor_id)
        other = cluster.driver("b.ipynb")
        other.say(messages.Held([actor_id]))
        (call,) = other.call(actor_id, other.method(cell_run="cell"))
        (child,) = host.submit(host.template(cell_run="cell"), parents=[call])
        other.cancel(everything=True)
        assert host.failure(child).kind == "cancelled"

    def test_they_may_belong_to_another_cell_run(self, cluster: Cluster, driver: Driver, actor_id: ActorId) -> None:
        host = self.host_of(driver, actor_id)
        (call,) = driver.call(actor_id, driver.method(cell_run="cell"))
        (child,) = host.submit(host.template(cell_run=BACKGROUND), parents=[call])
        driver.cancel(call)
        assert child not in host.values
