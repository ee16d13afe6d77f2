from collections.abc import Iterable

from nbray.ids import ObjectId, TaskId
from nbray.scheduler.actions import Signal
from nbray.scheduler.messages import (
    NO_LIMIT,
    STREAMING,
    Consumed,
    Failure,
    Finished,
    Inline,
    Put,
    Released,
    Streamed,
    TaskResult,
    Value,
    Yielded,
)
from tests.scheduler.pretend import Cluster, Driver, Worker

Item = tuple[ObjectId, Value]


class Flow:
    """One stream: a driver that has submitted it, and the worker that runs it."""

    def __init__(self, max_retries: int = 0, workers: int = 1) -> None:
        self.cluster = Cluster(workers)
        self.driver: Driver = self.cluster.driver()
        template = self.driver.template("numbers", num_returns=STREAMING, max_retries=max_retries)
        (self.task_id,) = self.driver.submit(template)

    @property
    def worker(self) -> Worker:
        """Whoever was given the task last."""
        workers = [worker for worker in self.cluster.workers.values() if self.task_id in worker.task_ids]
        return workers[-1]

    def produce(self, first: int, values: Iterable[Value]) -> list[Item]:
        """The worker sends items."""
        items = [(self.worker.new_object(), value) for value in values]
        self.worker.say(Yielded(self.task_id, first, items))
        return items

    @property
    def received(self) -> list[Item]:
        return [item for streamed in self.driver.heard(Streamed) for item in streamed.items]

    @property
    def told(self) -> list[int]:
        """What the worker heard of the consumer."""
        return [message.count for message in self.worker.heard(Consumed)]

    def live(self) -> set[ObjectId]:
        return set(self.cluster.scheduler._objects.entries)


def test_items_go_to_who_submitted_in_order_and_belong_to_it() -> None:
    flow = Flow()
    items = flow.produce(0, [b"a", b"b"]) + flow.produce(2, [b"c"])
    assert flow.received == items
    flow.worker.finish(flow.task_id, value=b"done")
    assert flow.driver.values[flow.task_id] == b"done"
    flow.driver.say(Released([object_id for object_id, _ in items[:2]]))
    assert flow.live() == {items[2][0], flow.task_id}


def test_items_come_before_the_end_in_one_round() -> None:
    flow = Flow()
    actions = flow.produce(0, [b"a"])
    assert actions
    flow.worker.say(Finished([TaskResult(flow.task_id, [Failure("exception", "no")], 5)]))
    assert [value for _, value in flow.received] == [b"a"]
    assert flow.driver.failure(flow.task_id).message == "no"


def test_what_an_item_contains_lives_with_it() -> None:
    flow = Flow()
    inner = flow.worker.new_object()
    flow.worker.say(Put(inner, b"deep"))
    (item,) = flow.produce(0, [Inline(b"holds", [inner])])
    flow.worker.say(Released([inner]))
    assert inner in flow.live()
    flow.driver.say(Released([item[0]]))
    assert inner not in flow.live()


def test_a_large_item_is_freed_with_its_last_reference() -> None:
    flow = Flow()
    stored = flow.worker.store(1_000_000)
    ((number, value),) = flow.produce(0, [stored])
    assert flow.received == [(number, value)]
    flow.driver.say(Released([number]))
    assert flow.cluster.scheduler._extents.used == 0


def test_an_item_for_which_there_is_no_room_is_a_failure_in_its_place() -> None:
    flow = Flow()
    for _ in range(1118):
        flow.driver.put(b"x" * 60_000)
    flow.produce(0, [b"y" * 60_000, b"z"])
    assert [type(value) for _, value in flow.received] == [Failure, bytes]


def test_the_worker_hears_how_far_the_consumer_is() -> None:
    flow = Flow()
    flow.produce(0, [b"a", b"b"])
    flow.driver.say(Consumed(flow.task_id, 2))
    flow.driver.say(Consumed(flow.task_id, NO_LIMIT))
    assert flow.told[-2:] == [2, NO_LIMIT]


def test_nobody_else_speaks_for_the_consumer() -> None:
    flow = Flow()
    flow.produce(0, [b"a"])
    flow.cluster.driver("b.ipynb").say(Consumed(flow.task_id, 1))
    assert flow.told == []
    flow.driver.say(Consumed(TaskId(999), 1))


def test_another_attempt_skips_what_was_delivered() -> None:
    flow = Flow(max_retries=1)
    before = flow.produce(0, [b"a", b"b", b"c"])
    flow.driver.say(Consumed(flow.task_id, 2))
    flow.worker.die(started=flow.task_id)
    flow.cluster.start_workers()
    again = flow.produce(0, [b"a", b"b"]) + flow.produce(2, [b"c", b"d"])
    assert flow.received == [*before, again[3]]
    assert flow.told[0] == 2, "else it would wait for a consumer that has taken these long ago"
    assert {object_id for object_id, _ in again[:3]}.isdisjoint(flow.live())


def test_an_attempt_that_may_not_run_again_ends_the_stream_with_the_workers_death() -> None:
    flow = Flow()
    flow.produce(0, [b"a"])
    flow.worker.die(started=flow.task_id)
    assert [value for _, value in flow.received] == [b"a"]
    assert flow.driver.failure(flow.task_id).kind == "worker_died"


def test_without_its_limit_an_attempt_that_runs_again_has_none_either() -> None:
    flow = Flow(max_retries=1)
    flow.produce(0, [b"a"])
    flow.driver.say(Consumed(flow.task_id, NO_LIMIT))
    flow.worker.die(started=flow.task_id)
    flow.cluster.start_workers()
    flow.produce(0, [b"a"])
    assert flow.told == [0, NO_LIMIT]


def test_what_is_said_before_the_attempt_begins_is_said_again() -> None:
    flow = Flow()
    flow.driver.say(Consumed(flow.task_id, NO_LIMIT))
    before = len(flow.told)
    flow.produce(0, [b"a"])
    assert flow.told[before:] == [0, NO_LIMIT]
    flow.produce(1, [b"b"])
    assert flow.told[before:] == [0, NO_LIMIT]


def test_a_stream_that_nobody_wants_is_stopped() -> None:
    flow = Flow()
    flow.produce(0, [b"a"])
    flow.driver.say(Released([flow.task_id]))
    late = flow.produce(1, [flow.worker.store(5000)])
    assert late[0][0] not in flow.live()
    assert flow.cluster.taken(Signal)
    flow.produce(2, [b"c"])
    assert len(flow.received) == 1


def test_a_stream_whose_consumer_leaves_is_stopped_though_it_says_nothing() -> None:
    flow = Flow()
    flow.produce(0, [b"a"])
    assert not flow.cluster.taken(Signal)
    flow.driver.leave()
    assert flow.cluster.taken(Signal)


def test_items_of_a_task_that_ended_or_runs_elsewhere_are_dropped() -> None:
    flow = Flow(workers=2)
    other = next(worker for worker in flow.cluster.workers.values() if worker is not flow.worker)
    granted = other.store(5000)
    number = other.new_object()
    other.say(Yielded(flow.task_id, 0, [(number, granted)]))
    flow.worker.finish(flow.task_id, value=b"done")
    flow.produce(0, [b"late"])
    assert flow.received == []
    assert flow.live() == {flow.task_id}
    assert flow.cluster.scheduler._extents.used == len(b"done")
