import ast
from pathlib import Path

import nbray.scheduler
from nbray.scheduler import messages
from nbray.scheduler.actions import Send
from nbray.scheduler.events import Received, Tick
from tests.scheduler.pretend import Cluster


def test_nothing_in_the_package_touches_the_world() -> None:
    allowed = {
        "__future__", "collections", "enum", "functools", "heapq", "itertools", "math", "msgspec", "nbray", "operator", "signal",
        "typing",
    }  # fmt: skip
    for path in Path(nbray.scheduler.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= allowed, path


def test_every_message_to_the_scheduler_has_its_handler() -> None:
    handled = set(Cluster().scheduler._on_message)
    assert handled == set(messages.ToScheduler.__args__) - {messages.Hello}


def test_a_task_there_and_back() -> None:
    cluster = Cluster(workers=1)
    driver = cluster.driver()
    (task,) = driver.submit(driver.template())
    assert cluster.workers[0].task_ids == [task]
    actions = cluster.workers[0].finish(task, value=b"42")
    assert Send(driver.process_id, messages.Ready([(task, b"42")])) in actions
    driver.say(messages.Released([task]))
    snapshot = cluster.scheduler.snapshot(cluster.now)
    assert (snapshot.store.objects, snapshot.store.used, snapshot.finished) == (0, 0, 1)
    assert snapshot.available == snapshot.resources


def test_a_needless_tick_and_an_unknown_process_do_no_harm() -> None:
    cluster = Cluster()
    assert cluster.do(Tick()) == []
    assert cluster.do(Received(cluster.new_process(), messages.Released([]))) == []


def test_a_core_is_to_spare_while_at_most_one_worker_works() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    template = driver.template()
    assert cluster.scheduler.has_a_core_to_spare()
    driver.submit(template)
    assert cluster.scheduler.has_a_core_to_spare()
    driver.submit(template)
    assert not cluster.scheduler.has_a_core_to_spare()


def test_an_actor_counts_while_it_has_something_to_do() -> None:
    cluster = Cluster(workers=2)
    driver = cluster.driver()
    actors = [driver.actor(), driver.actor()]
    cluster.start_workers()
    for actor_id in actors:
        next(worker for worker in cluster.workers.values() if actor_id in worker.task_ids).finish(actor_id)
    assert cluster.scheduler.has_a_core_to_spare()
    (first,), (_,) = [driver.call(actor_id, driver.method()) for actor_id in actors]
    assert not cluster.scheduler.has_a_core_to_spare()
    next(worker for worker in cluster.workers.values() if first in worker.task_ids).finish(first)
    assert cluster.scheduler.has_a_core_to_spare()
