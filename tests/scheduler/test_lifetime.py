from nbray.scheduler import messages
from nbray.scheduler.actions import StopCluster
from nbray.scheduler.events import StarterLeft, Tick
from nbray.scheduler.lifetime import FIRST_DRIVER_SECONDS, LONGEST_WORK_SECONDS
from nbray.scheduler.workers import EXTRA_SECONDS
from tests.scheduler.pretend import Cluster


def stopped(cluster: Cluster) -> list[str]:
    """Why the cluster was ended."""
    return [stop.reason for stop in cluster.taken(StopCluster)]


def test_a_cluster_to_which_nobody_comes_ends() -> None:
    cluster = Cluster()
    cluster.wait(FIRST_DRIVER_SECONDS + 1)
    assert stopped(cluster) == ["no driver came"]


def test_a_cluster_whose_starter_died_before_it_came_ends_at_once() -> None:
    cluster = Cluster(linger=600.0)
    cluster.do(StarterLeft())
    assert stopped(cluster) == ["who started it ended before it came"]


def test_who_was_there_may_leave_the_cluster_to_others() -> None:
    cluster = Cluster(linger=600.0)
    driver = cluster.driver()
    cluster.do(StarterLeft())
    driver.leave()
    cluster.do(StarterLeft())
    cluster.wait(599)
    assert not stopped(cluster)


def test_a_script_takes_its_cluster_with_it() -> None:
    cluster = Cluster(linger=0.0)
    cluster.driver().leave()
    assert stopped(cluster) == ["its last driver has gone"]


def test_a_notebooks_cluster_lingers_and_then_ends() -> None:
    cluster = Cluster(linger=0.0)
    cluster.driver(linger=600.0).leave()
    cluster.wait(599)
    assert not stopped(cluster)
    cluster.wait(2)
    assert stopped(cluster) == ["nobody came back within 600 s after its last driver had gone"]
    cluster.wait(1e6)
    assert len(stopped(cluster)) == 1


def test_who_comes_back_in_time_keeps_it() -> None:
    cluster = Cluster(linger=60.0)
    cluster.driver().leave()
    cluster.wait(59)
    driver = cluster.driver()
    cluster.wait(1000)
    assert not stopped(cluster)
    driver.leave()
    cluster.wait(59)
    assert not stopped(cluster)
    cluster.wait(2)
    assert stopped(cluster)


def test_the_linger_begins_when_the_last_task_has_ended() -> None:
    cluster = Cluster(workers=1, linger=60.0)
    driver = cluster.driver()
    driver.submit(driver.template(), 2)
    driver.leave()
    cluster.wait(3600)
    for _ in range(2):
        cluster.workers[0].finish_all()
    cluster.wait(59)
    assert not stopped(cluster)
    cluster.wait(2)
    assert stopped(cluster)


def test_tasks_without_a_driver_do_not_run_for_ever() -> None:
    cluster = Cluster(workers=1, linger=60.0)
    driver = cluster.driver()
    driver.submit(driver.template())
    driver.leave()
    cluster.wait(LONGEST_WORK_SECONDS + 1)
    assert stopped(cluster) == ["its tasks ran on for 12 hours after its last driver had gone"]


def test_a_goodbye_for_good_ends_it_at_once() -> None:
    cluster = Cluster(linger=60.0)
    driver = cluster.driver()
    driver.say(messages.Goodbye(stop=True))
    driver.leave()
    assert stopped(cluster) == ["its last driver has shut it down"]


def test_nothing_follows_the_end_though_other_deadlines_come_with_it() -> None:
    cluster = Cluster(workers=2, linger=EXTRA_SECONDS, max_workers=4)
    driver = cluster.driver()
    driver.say(messages.Scale(1, 1, 4))
    cluster.wait(100)
    driver.leave()
    cluster.now += 200  # the machine was asleep: several deadlines come at once
    actions = cluster.do(Tick())
    assert isinstance(actions[-1], StopCluster)
    cluster.now += 200
    assert cluster.do(Tick()) == []
