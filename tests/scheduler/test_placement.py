from nbray.ids import TaskId, TemplateId
from nbray.resources import CPU, GPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.actions import Fork, Send
from nbray.scheduler.workers import MOST_WORKERS
from tests.scheduler.pretend import MEBIBYTE, Cluster, Driver, Worker


def learned(cluster: Cluster, driver: Driver, micros: int = 100) -> TemplateId:
    """A template whose function is known to take so long."""
    template = driver.template()
    driver.submit(template)
    for worker in cluster.workers.values():
        worker.finish_all(micros=micros)
    return template


def test_a_function_first_seen_is_not_prefetched() -> None:
    cluster = Cluster()
    driver = cluster.driver()
    driver.submit(driver.template(), 10)
    assert [len(worker.given) for worker in cluster.workers.values()] == [1, 1]


def test_known_short_tasks_are_prefetched_by_time() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    driver.submit(learned(cluster, driver, micros=1000), 100)
    assert 9 <= len(cluster.workers[0].given) - 1 <= 11


def test_known_long_tasks_are_not() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    driver.submit(learned(cluster, driver, micros=50_000), 10)
    assert len(cluster.workers[0].given) == 2


def test_a_few_short_tasks_spread_over_idle_workers() -> None:
    cluster = Cluster(workers=4)
    driver = cluster.driver()
    driver.submit(learned(cluster, driver), 8)
    assert sorted(len(worker.given) for worker in cluster.workers.values()) == [2, 2, 2, 3]


def test_a_task_with_a_timeout_waits_for_an_empty_worker() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    template = driver.template(timeout=9.0)
    driver.submit(template)
    cluster.workers[0].finish_all(micros=10)
    driver.submit(template, 5)
    assert len(cluster.workers[0].given) == 2


def test_only_tasks_of_the_same_shape_join_a_workers_queue() -> None:
    cluster = Cluster(workers=1, resources={CPU: UNIT, "disk": UNIT})
    driver = cluster.driver()
    plain = driver.template("f")
    disk = driver.template("f", resources={"disk": UNIT})
    driver.submit(plain)
    cluster.workers[0].finish_all(micros=10)
    driver.submit(plain, 2)
    driver.submit(disk, 2)
    assert {spec.template_id for spec in cluster.workers[0].given} == {plain}
    cluster.workers[0].finish_all()
    assert cluster.workers[0].given[-1].template_id == disk


def test_a_worker_learns_before_its_first_task_and_once() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    template = driver.template()
    driver.submit(template)
    cluster.workers[0].finish_all()
    driver.submit(template)
    kinds = [type(send.message) for send in cluster.taken(Send) if send.process == cluster.workers[0].process_id]
    assert kinds == [messages.Learn, messages.Run, messages.Run]


def test_nested_tasks_on_one_cpu_never_deadlock() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    template = driver.template()
    (task,) = driver.submit(template)
    worker, depth = cluster.workers[0], 20
    stack: list[tuple[Worker, TaskId]] = []
    for _ in range(depth):
        child_template = worker.template()
        (child,) = worker.submit(child_template)
        worker.say(messages.Blocked(task))
        stack.append((worker, task))
        (worker,) = cluster.start_workers()
        assert worker.task_ids == [child]
        task = child
    worker.finish(task)
    for worker, task in reversed(stack):
        worker.say(messages.Unblocked(task))
        worker.finish(task)
    assert len(driver.values) == 1
    snapshot = cluster.scheduler.snapshot(cluster.now)
    assert snapshot.available == {CPU: UNIT}
    cluster.wait(30)
    exits = [worker for worker in [worker for worker, _ in stack] + list(cluster.workers.values()) if worker.heard(messages.Exit)]
    assert len({worker.slot for worker in exits}) == depth


def test_a_recursion_without_end_fails_instead_of_filling_the_machine() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    driver.submit(driver.template())
    worker = cluster.workers[0]
    for _ in range(MOST_WORKERS - 1):
        worker.submit(worker.template())
        worker.say(messages.Blocked(worker.task_ids[0]))
        (worker,) = cluster.start_workers()
    (child,) = worker.submit(worker.template())
    worker.say(messages.Blocked(worker.task_ids[0]))
    assert worker.failure(child).kind == "infeasible"
    assert "Nest less deeply" in worker.failure(child).message


def test_small_tasks_get_more_workers_than_cpus() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    driver.submit(driver.template(cpus=0.25), 20)
    cluster.start_workers()
    assert [len(worker.given) for worker in cluster.workers.values()] == [1] * 8


def test_a_large_task_gets_its_turn_among_small_ones() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    small, large = driver.template("small"), driver.template("large", cpus=2)
    driver.submit(small, 2)
    for _ in range(3):
        for worker in cluster.workers.values():
            worker.finish_all(micros=50_000)
            driver.submit(small, 3)
    (task,) = driver.submit(large)
    for _ in range(6):
        for worker in cluster.workers.values():
            worker.finish_all(micros=300_000)
            cluster.wait(0.3)
    assert any(task in worker.task_ids for worker in cluster.workers.values())


def test_a_gpu_task_gets_a_worker_that_sees_its_device() -> None:
    cluster = Cluster(workers=2, resources={CPU: 4 * UNIT, GPU: 2 * UNIT})
    driver = cluster.driver()
    template = driver.template(resources={GPU: UNIT})
    driver.submit(template, 3)
    first, second = cluster.start_workers()
    assert (first.gpus, second.gpus) == ((0,), (1,))
    assert [len(first.given), len(second.given)] == [1, 1]
    first.finish_all()
    assert len(first.given) == 2
    assert len(cluster.taken(Fork)) == 4


def test_fractions_share_a_gpu_and_whole_ones_do_not() -> None:
    cluster = Cluster(workers=1, resources={CPU: 8 * UNIT, GPU: 2 * UNIT})
    driver = cluster.driver()
    driver.submit(driver.template("half", resources={GPU: UNIT // 2}), 2)
    cluster.start_workers()
    cluster.start_workers()
    driver.submit(driver.template("whole", resources={GPU: UNIT}))
    cluster.start_workers()
    assert [fork.gpus for fork in cluster.taken(Fork)][1:] == [(0,), (0,), (1,)]


def test_an_idle_worker_leaves_gpus_that_another_set_needs() -> None:
    cluster = Cluster(workers=1, resources={CPU: 8 * UNIT, GPU: 2 * UNIT})
    driver = cluster.driver()
    driver.submit(driver.template("one", resources={GPU: UNIT}))
    (one,) = cluster.start_workers()
    one.finish_all()
    driver.submit(driver.template("both", resources={GPU: 2 * UNIT}))
    (both,) = cluster.start_workers()
    assert one.heard(messages.Exit)
    assert both.gpus == (0, 1)
    assert len(both.given) == 1


def test_many_small_dependencies_travel_in_portions() -> None:
    cluster = Cluster(workers=1, store_limit=1024 * MEBIBYTE)
    driver = cluster.driver()
    template = learned(cluster, driver, micros=10)
    numbers = [driver.put(b"x" * MEBIBYTE) for _ in range(40)]
    specs = [messages.TaskSpec(driver.new_object(), template, b"", list(numbers)) for _ in range(3)]
    driver.say(messages.Submit(specs))
    assert [len(run.tasks) for run in cluster.workers[0].heard(messages.Run)] == [1, 1, 1, 1]


def test_more_dependencies_than_a_frame_holds_are_refused_with_advice() -> None:
    cluster = Cluster(workers=1, store_limit=1024 * MEBIBYTE)
    driver = cluster.driver()
    numbers = [driver.put(b"x" * MEBIBYTE) for _ in range(200)]
    (task,) = driver.submit(driver.template("reduce"), deps=numbers)
    assert "The arguments of reduce are 200 small objects of 200 MiB" in driver.failure(task).message
    (other,) = driver.submit(driver.template("other"))
    assert cluster.workers[0].task_ids == [other]


def test_a_late_worker_gets_nothing_more_meanwhile() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    template = learned(cluster, driver)
    driver.submit(template)
    cluster.wait(1.0)
    driver.submit(template)
    assert len(cluster.workers[0].given) == 2
