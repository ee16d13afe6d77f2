from nbray.ids import BACKGROUND, CellRunId
from nbray.scheduler.messages import Learn
from tests.scheduler.pretend import Cluster, Driver, Worker


def busy_cluster(jobs: list[tuple[str, str]], *, count: int = 200) -> tuple[Worker, list[Driver]]:
    """One worker, and a long map in each of these (job, cell run)."""
    cluster = Cluster(workers=1)
    drivers = []
    for job, cell_run in jobs:
        driver = cluster.driver(job)
        driver.submit(driver.template(f"{job} {cell_run}", cell_run), count)
        drivers.append(driver)
    return cluster.workers[0], drivers


def names(worker: Worker) -> list[str]:
    """The names of the functions that the worker ran, in order."""
    templates = {template.template_id: template.name for learn in worker.heard(Learn) for template in learn.templates}
    return [templates[spec.template_id] for spec in worker.given]


def test_a_long_map_does_not_hold_up_a_cell_of_one_task() -> None:
    worker, (mapper,) = busy_cluster([("a", "map")], count=100_000)
    for _ in range(5):
        worker.finish_all(micros=20_000)
    other = mapper.template("one", "other cell")
    mapper.submit(other)
    before = len(worker.given)
    worker.finish_all(micros=20_000)
    worker.finish_all(micros=20_000)
    assert "one" in names(worker)[before:]


def test_short_tasks_of_a_long_map_do_not_either() -> None:
    worker, (mapper,) = busy_cluster([("a", "map")], count=100_000)
    for _ in range(5):
        worker.finish_all(micros=10)
    mapper.submit(mapper.template("one", "other cell"))
    before = len(worker.given)
    worker.finish_all(micros=10)
    worker.finish_all(micros=10)
    assert "one" in names(worker)[before:]
    assert names(worker)[before:].index("one") <= 1024


def test_two_cells_share_by_time_not_by_tasks() -> None:
    worker, _ = busy_cluster([("a", "1"), ("a", "2")])
    seconds = {"a 1": 0.03, "a 2": 0.01}
    used = {"a 1": 0.0, "a 2": 0.0}
    for _ in range(100):
        name = names(worker)[-1]
        used[name] += seconds[name]
        worker.finish_all(micros=round(seconds[name] * 1e6))
    assert abs(used["a 1"] - used["a 2"]) < 0.1 * sum(used.values())


def test_two_notebooks_share_by_job_not_by_cell() -> None:
    worker, _ = busy_cluster([("a", "1"), ("a", "2"), ("a", "3"), ("b", "1")])
    for _ in range(80):
        worker.finish_all(micros=20_000)
    assert abs(names(worker).count("b 1") - 40) <= 2


def test_who_was_idle_has_saved_nothing_up() -> None:
    worker, (first,) = busy_cluster([("a", "1")])
    for _ in range(100):
        worker.finish_all(micros=20_000)
    first.submit(first.template("late", CellRunId("2")), 50)
    before = len(worker.given)
    for _ in range(40):
        worker.finish_all(micros=20_000)
    assert abs(names(worker)[before:].count("late") - 20) <= 2


def test_a_cell_whose_tasks_do_not_fit_lets_others_pass() -> None:
    cluster = Cluster(workers=2, resources={"CPU": 20_000, "disk": 10_000})
    driver = cluster.driver()
    greedy = driver.template("greedy", "1", resources={"disk": 10_000})
    driver.submit(greedy, 5)
    driver.submit(driver.template("modest", BACKGROUND), 5)
    running = sorted(names(worker)[0] for worker in cluster.workers.values())
    assert running == ["greedy", "modest"]


def order(cluster: Cluster) -> list[str]:
    """The names of tasks in the order in which the one worker gets them, one at a time."""
    names = []
    while cluster.workers[0].finish_all(micros=50_000):
        head = cluster.scheduler._fleet.workers[0].head
        names.append(head.template.name if head is not None else "")
    return names


def test_a_higher_priority_goes_first_within_a_job() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    driver.submit(driver.template("first"))
    for name, priority in (("usual", 0), ("low", -1), ("high", 5)):
        driver.submit(driver.template(name, priority=priority), 2)
    assert order(cluster) == ["high", "high", "usual", "usual", "low", "low", ""]


def test_a_priority_takes_nothing_from_another_notebook() -> None:
    cluster = Cluster(workers=1)
    greedy, modest = cluster.driver("a"), cluster.driver("b")
    greedy.submit(greedy.template("first"))
    greedy.submit(greedy.template("high", priority=9), 6)
    modest.submit(modest.template("modest"), 3)
    assert order(cluster)[:7].count("modest") == 3


def test_cells_of_one_priority_share_fairly() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    driver.submit(driver.template("first"))
    driver.submit(driver.template("large", "cell 1", priority=2), 6)
    driver.submit(driver.template("small", "cell 2", priority=2), 2)
    assert order(cluster)[:5].count("small") == 2
