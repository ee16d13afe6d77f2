"""How fast the pure scheduler is: `python -m tests.benchmarks.scheduler_speed [largest number of tasks]`.

No-op tasks go through `Scheduler.handle` from submission to release, in batches as they come over the wire (Submit of 500,
Finished of at most 200, Released of 500). The figures are CPU time of the scheduler alone: messages are made outside the clock.
"""

from __future__ import annotations

import gc
import platform
import sys
import time
from collections import deque

from nbray.config import ClusterConfig
from nbray.ids import BACKGROUND, ObjectId, ProcessId, object_id, template_id
from nbray.resources import CPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.actions import Action, Fork, Send
from nbray.scheduler.events import Event, Joined, Received, Started, WorkerForked
from nbray.scheduler.scheduler import Scheduler
from nbray.store.allocator import Allocator

SUBMIT = 500
FINISHED = 200
STORE = 1 << 30
DRIVER = ProcessId(1)
TEMPLATE = template_id(DRIVER, 1)


class Drive:
    """A scheduler, its pretend workers, and the seconds that the scheduler took so far."""

    def __init__(self, workers: int) -> None:
        config = ClusterConfig(
            epoch="speed", run_directory="", num_workers=workers, resources={CPU: workers * UNIT}, store_limit=STORE, linger=60
        )
        self.scheduler = Scheduler(config, Allocator(STORE, STORE))
        self.seconds = 0.0
        self.now = 0.0
        self.queues: dict[ProcessId, deque[ObjectId]] = {}
        for place, fork in enumerate(action for action in self.handle(Started()) if isinstance(action, Fork)):
            process = ProcessId(place + 2)
            self.queues[process] = deque()
            self.handle(WorkerForked(fork.slot, 1000 + place))
            self.handle(Joined(process, messages.Hello("worker", 1000 + place, messages.PROTOCOL, "speed", slot=fork.slot)))
        self.handle(Joined(DRIVER, messages.Hello("driver", 1, messages.PROTOCOL, "speed", "job")))
        self.say(DRIVER, messages.RegisterFunction(b"k" * 16, "noop", b"blob"))
        template = messages.Template(TEMPLATE, b"k" * 16, "noop", BACKGROUND, {CPU: UNIT})
        self.say(DRIVER, messages.RegisterTemplate(template))

    def handle(self, event: Event) -> list[Action]:
        """One event, timed."""
        self.now += 1e-4
        start = time.thread_time()
        actions = self.scheduler.handle(event, self.now)
        self.seconds += time.thread_time() - start
        return actions

    def say(self, process: ProcessId, message: messages.ToScheduler) -> None:
        """One message; what it makes workers run is put in their queues."""
        for action in self.handle(Received(process, message)):
            if isinstance(action, Send) and isinstance(action.message, messages.Run):
                self.queues[action.process].extend(spec.task_id for spec in action.message.tasks)

    def work(self) -> bool:
        """Each worker reports a batch; False when none has anything."""
        busy = False
        for process, queue in self.queues.items():
            if queue:
                busy = True
                batch = [queue.popleft() for _ in range(min(FINISHED, len(queue)))]
                results: list[messages.TaskResult] = [messages.TaskResult(task_id, [b"\x80\x05N."], 5) for task_id in batch]
                self.say(process, messages.Finished(results))
        return busy


def measure(tasks: int, workers: int) -> tuple[float, float]:
    """Seconds of the scheduler for `tasks` tasks that are all submitted first, and the part of it that submission took."""
    drive = Drive(workers)
    task_ids = [object_id(DRIVER, counter + 1) for counter in range(tasks)]
    drive.seconds = 0.0
    for start in range(0, tasks, SUBMIT):
        specs = [messages.TaskSpec(task_id, TEMPLATE, b"") for task_id in task_ids[start : start + SUBMIT]]
        drive.say(DRIVER, messages.Submit(specs))
    submission = drive.seconds
    while drive.work():
        pass
    for start in range(0, tasks, SUBMIT):
        drive.say(DRIVER, messages.Released(task_ids[start : start + SUBMIT]))
    left = drive.scheduler.snapshot(drive.now)
    assert left.finished == tasks, left
    assert left.store.objects == 0, left
    return drive.seconds, submission


def main() -> None:
    """Print the table."""
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"Python {platform.python_version()} on {platform.machine()}; garbage collection off, as in the scheduler process")
    print(f"{'tasks':>10} {'workers':>8} {'tasks/s':>10} {'us/task':>8} {'of it submission':>17}")
    for tasks in (1_000, 10_000, 100_000, 1_000_000):
        for workers in (1, 2, 8, 64):
            if tasks <= largest and (tasks < 1_000_000 or workers == 2):
                gc.collect()
                gc.disable()
                seconds, submission = min(measure(tasks, workers) for _ in range(3 if tasks < 1_000_000 else 1))
                gc.enable()
                each, part = seconds / tasks * 1e6, submission / tasks * 1e6
                print(f"{tasks:>10,} {workers:>8} {tasks / seconds:>10,.0f} {each:>8.2f} {part:>17.2f}")


if __name__ == "__main__":
    main()
