from nbray.scheduler.tasks import UNKNOWN, Function
from tests.scheduler.pretend import Cluster


def test_the_mean_is_quick_to_rise_and_slow_to_fall() -> None:
    function = Function(b"key", "f", b"blob")
    assert function.mean == UNKNOWN
    function.learn(0.001)
    assert function.mean == 0.001
    function.learn(10.0)
    assert function.mean > 5
    function.learn(0.001)
    assert function.mean > 4


def test_a_task_says_who_it_is() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    driver.submit(driver.template("train", num_returns=3), returns=3)
    task = cluster.scheduler._fleet.workers[0].queue[0]
    assert repr(task) == f"<task train {task.task_id:#x} ASSIGNED, attempt 1>"
    assert task.returns == [task.task_id, task.task_id + 1, task.task_id + 2]
