from nbray.ids import TaskId, TemplateId
from nbray.scheduler import messages
from nbray.scheduler.actions import Signal
from tests.scheduler.pretend import Cluster, Driver, Worker


def learned(cluster: Cluster, driver: Driver, micros: int = 100) -> TemplateId:
    """A template whose function is known to take so long."""
    template = driver.template()
    driver.submit(template)
    for worker in cluster.workers.values():
        worker.finish_all(micros=micros)
    return template


def prefetched(cluster: Cluster, driver: Driver, count: int = 8) -> tuple[Worker, list[TaskId]]:
    """The worker that was given `count` tasks at once, and the tasks."""
    template = learned(cluster, driver)
    for worker in list(cluster.workers.values())[1:]:
        worker.say(messages.TakenBack([]))
    tasks = driver.submit(template, count)
    return next(worker for worker in cluster.workers.values() if tasks[0] in worker.task_ids), tasks


def test_what_a_blocked_worker_has_not_started_is_taken_back() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    worker, tasks = prefetched(cluster, driver)
    worker.say(messages.Blocked(tasks[0]))
    assert worker.heard(messages.TakeBack)[-1].task_ids == tasks[1:]
    worker.say(messages.TakenBack(tasks[1:]))
    (extra,) = cluster.start_workers()
    assert extra.task_ids == tasks[1:]


def test_a_slow_worker_gives_half_back_when_another_idles() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    template = learned(cluster, driver)
    tasks = driver.submit(template, 8)
    slow, quick = sorted(cluster.workers.values(), key=lambda worker: tasks[0] not in worker.task_ids)
    mine = [task for task in tasks if task in slow.task_ids]
    assert len(mine) == 4
    quick.finish_all()
    assert not slow.heard(messages.TakeBack)
    cluster.wait(0.1)
    assert slow.heard(messages.TakeBack)[-1].task_ids == mine[2:]
    slow.say(messages.TakenBack(mine[2:]))
    assert quick.task_ids[-2:] == mine[2:]


def test_what_waits_in_a_slow_worker_gets_the_cpu_of_a_blocked_one() -> None:
    """Nobody idles, so another worker must be forked: else a task that waits for the one behind it would never end."""
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    template = learned(cluster, driver)
    (outer,) = driver.submit(driver.template())
    blocked, slow = sorted(cluster.workers.values(), key=lambda worker: outer not in worker.task_ids)
    blocked.say(messages.Blocked(outer))
    first, second = driver.submit(template, 2)
    assert slow.task_ids[-2:] == [first, second]
    cluster.wait(0.001)
    assert not slow.heard(messages.TakeBack)
    cluster.wait(0.1)
    assert slow.heard(messages.TakeBack)[-1].task_ids == [second]
    slow.say(messages.TakenBack([second]))
    (extra,) = cluster.start_workers()
    assert extra.task_ids == [second]


def test_a_worker_that_blocks_leaves_its_cpu_to_what_waits_in_a_slow_one() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    template = learned(cluster, driver)
    (outer,) = driver.submit(driver.template())
    first, second = driver.submit(template, 2)
    blocked, slow = sorted(cluster.workers.values(), key=lambda worker: outer not in worker.task_ids)
    cluster.wait(0.1)
    assert slow.task_ids[-2:] == [first, second]
    assert not slow.heard(messages.TakeBack), "there is no CPU for it"
    blocked.say(messages.Blocked(outer))
    assert slow.heard(messages.TakeBack)[-1].task_ids == [second]


def test_nothing_is_sent_to_a_worker_that_was_asked_until_it_answers() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    worker, tasks = prefetched(cluster, driver)
    worker.say(messages.Blocked(tasks[0]))
    given = len(worker.given)
    worker.say(messages.Unblocked(tasks[0]))
    driver.submit(driver.template())
    assert len(worker.given) == given
    worker.say(messages.TakenBack(tasks[1:]))
    assert len(worker.given) > given


def test_many_tasks_with_a_time_limit_leave_one_look_at_the_clock() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    template = driver.template(timeout=3600.0)
    before = len(cluster.scheduler._deadlines._heap)
    for _ in range(100):
        driver.submit(template)
        cluster.workers[0].finish_all()
        cluster.now += 1.0
    assert len(cluster.scheduler._deadlines._heap) == before + 1
    cluster.wait(3500.0)
    (last,) = driver.submit(template)
    cluster.wait(3599.0)
    assert not cluster.taken(Signal)
    cluster.wait(1.5)
    assert cluster.taken(Signal) == [Signal(0, 2)]
    cluster.workers[0].finish(last, value=messages.Failure("cancelled", "interrupted"))
    assert driver.failure(last).kind == "timeout"


def test_a_shorter_limit_after_a_longer_one_is_kept() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    driver.submit(driver.template("long", timeout=100.0))
    cluster.workers[0].finish_all()
    driver.submit(driver.template("short", timeout=1.0))
    cluster.wait(1.5)
    assert cluster.taken(Signal) == [Signal(0, 2)]
