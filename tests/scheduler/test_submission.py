from nbray.ids import CellRunId
from nbray.scheduler import messages
from tests.scheduler.audit import audit
from tests.scheduler.pretend import Cluster


def test_what_a_task_submits_belongs_to_the_cell_run_of_the_task() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    driver.submit(driver.template("f", "cell 4"))
    worker = cluster.workers[0]
    worker.submit(worker.template("g"), 3)
    (run,) = cluster.scheduler.snapshot(cluster.now).cell_runs
    assert (run.cell_run, run.waiting + run.running) == (CellRunId("cell 4"), 4)


def test_tasks_of_several_templates_in_one_message() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    first, second = driver.template("f", "1"), driver.template("g", "2")
    specs = [messages.TaskSpec(driver.new_object(), template, b"") for template in (first, first, second, first)]
    driver.say(messages.Submit(specs))
    audit(cluster.scheduler)
    runs = cluster.scheduler.snapshot(cluster.now).cell_runs
    assert [run.waiting + run.running for run in runs] == [3, 1]


def test_the_same_dependency_twice() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    template = driver.template()
    (first,) = driver.submit(template)
    (second,) = driver.submit(template, deps=[first, first])
    audit(cluster.scheduler)
    cluster.workers[0].finish(first, value=b"v")
    assert cluster.workers[0].given[-1].deps == [(first, b"v"), (first, b"v")]
    cluster.workers[0].finish(second)
    audit(cluster.scheduler)


def test_the_payload_is_a_dependency_that_is_named() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    payload = driver.put(driver.store(1000))
    task = driver.new_object()
    driver.say(messages.Submit([messages.TaskSpec(task, driver.template(), b"", [payload], [], payload)]))
    (spec,) = cluster.workers[0].given
    assert spec.has_payload
    assert spec.deps[-1][0] == payload


def test_a_dead_nested_reference_does_not_keep_a_task_from_running() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    number = driver.put(b"gone")
    driver.say(messages.Released([number]))
    (task,) = driver.submit(driver.template(), nested=[number])
    assert cluster.workers[0].task_ids == [task]
    cluster.workers[0].finish(task)
    audit(cluster.scheduler)
