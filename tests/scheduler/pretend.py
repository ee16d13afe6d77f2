"""A scheduler with pretend processes around it, whose every step the test decides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from nbray.config import ClusterConfig
from nbray.ids import BACKGROUND, NO_TASK, ActorId, CellRunId, ObjectId, ProcessId, TaskId, TemplateId, object_id, template_id
from nbray.resources import CPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.actions import Action, Fork, Send
from nbray.scheduler.events import Event, Joined, Left, Received, Started, Tick, WorkerExited, WorkerForked
from nbray.scheduler.scheduler import Scheduler
from nbray.store.allocator import Allocator

EPOCH = "test"
MEBIBYTE = 1024 * 1024
MessageT = TypeVar("MessageT", bound=msgspec.Struct)
ActionT = TypeVar("ActionT", bound=Action)


def make_config(workers: int = 2, **settings: object) -> ClusterConfig:
    """A config for tests: one CPU for each worker, 64 MiB of store."""
    defaults: dict[str, object] = {
        "epoch": EPOCH, "run_directory": "/run/nbray-test", "num_workers": workers, "resources": {CPU: workers * UNIT},
        "store_limit": 64 * MEBIBYTE, "linger": 60.0,
    }  # fmt: skip
    return msgspec.convert(defaults | settings, ClusterConfig)


class Cluster:
    """The scheduler, its clock, and every action that it has asked for."""

    def __init__(self, workers: int = 2, *, start: bool = True, **settings: object) -> None:
        self.config = make_config(workers, **settings)
        self.scheduler = Scheduler(self.config, Allocator(self.config.store_limit, 4 * self.config.store_limit))
        self.now = 100.0
        self.actions: list[Action] = []
        self._next_process = 1
        self._joined = 0
        self.workers: dict[int, Worker] = {}
        self.do(Started())
        if start:
            self.start_workers()

    def do(self, event: Event) -> list[Action]:
        """One event; returns its actions, which are also kept."""
        actions = self.scheduler.handle(event, self.now)
        self.actions += actions
        return actions

    def wait(self, seconds: float) -> None:
        """Let time pass, with a Tick at each deadline."""
        end = self.now + seconds
        while (deadline := self.scheduler.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.do(Tick())
        self.now = end

    def new_process(self) -> ProcessId:
        """A process number that was never used."""
        self._next_process += 1
        return ProcessId(self._next_process - 1)

    def start_workers(self) -> list[Worker]:
        """Let every worker join that was forked and has not."""
        forks = self.taken(Fork)[self._joined :]
        self._joined += len(forks)
        started = [Worker(self, fork) for fork in forks]
        for worker in started:
            worker.join()
        return started

    def driver(self, job: str = "a.ipynb", linger: float = 0.0) -> Driver:
        """A driver that has joined."""
        return Driver(self, job, linger)

    def taken(self, kind: type[ActionT]) -> list[ActionT]:
        """The actions of one kind so far."""
        return [action for action in self.actions if isinstance(action, kind)]


class Process:
    """What drivers and workers share."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.process_id = ProcessId(0)
        self._objects = 0
        self._templates = 0

    def say(self, message: messages.ToScheduler) -> list[Action]:
        """Send one message."""
        return self.cluster.do(Received(self.process_id, message))

    def heard(self, kind: type[MessageT]) -> list[MessageT]:
        """The messages of one kind that this process got so far."""
        sends = self.cluster.taken(Send)
        return [send.message for send in sends if send.process == self.process_id and isinstance(send.message, kind)]

    @property
    def values(self) -> dict[ObjectId, messages.Value]:
        """The values that were pushed to it."""
        return {object_id: value for ready in self.heard(messages.Ready) for object_id, value in ready.values}

    def failure(self, object_id: ObjectId) -> messages.Failure:
        """The failure that stands in this object's place."""
        value = self.values[object_id]
        assert isinstance(value, messages.Failure), value
        return value

    def new_object(self, count: int = 1) -> ObjectId:
        """The first of `count` fresh ids."""
        self._objects += count
        return object_id(self.process_id, self._objects - count + 1)

    def template(
        self, name: str = "f", cell_run: str = BACKGROUND, *, cpus: float = 1, resources: dict[str, int] | None = None,
        nested: Iterable[ObjectId] = (), **options: object,
    ) -> TemplateId:  # fmt: skip
        """Register a function and a template of it."""
        self._templates += 1
        key = name.encode().ljust(16, b".")
        number = template_id(self.process_id, self._templates)
        amounts = {name: units for name, units in ({CPU: round(cpus * UNIT)} | (resources or {})).items() if units}
        self.say(messages.RegisterFunction(key, name, b"blob of " + name.encode(), list(nested)))
        fields = {"template_id": number, "function_key": key, "name": name, "cell_run": cell_run, "resources": amounts}
        template = messages.Template(**{**fields, **options})  # type: ignore[arg-type]
        self.say(messages.RegisterTemplate(template))
        return number

    def submit(
        self, template: TemplateId, count: int = 1, *, deps: Iterable[ObjectId] = (), nested: Iterable[ObjectId] = (),
        returns: int = 1, parents: Iterable[TaskId] = (),
    ) -> list[TaskId]:  # fmt: skip
        """Submit tasks in one message; of `parents`, which an actor names, each gets `count`."""
        specs = [
            messages.TaskSpec(
                self.new_object(max(1, returns)), template, b"args", list(deps), list(nested), parent=parent
            )
            for parent in list(parents) or [NO_TASK] for _ in range(count)
        ]  # fmt: skip
        self.say(messages.Submit(specs))
        return [spec.task_id for spec in specs]

    def actor(
        self, *, deps: Iterable[ObjectId] = (), nested: Iterable[ObjectId] = (), resources: dict[str, int] | None = None,
        cell_run: str = BACKGROUND, place: dict[str, Any] | None = None, **spec: object,
    ) -> ActorId:  # fmt: skip
        """Create an actor; its creation's template is a fresh one, with the fields of `place` too."""
        template = self.template("Counter", cell_run, cpus=0, resources=resources, method="__init__", **(place or {}))
        task = messages.TaskSpec(self.new_object(), template, b"args", list(deps), list(nested))
        fields = {"class_name": "Counter"} | spec
        self.say(messages.CreateActor(task, messages.ActorSpec(**fields)))  # type: ignore[arg-type]
        return task.task_id

    def method(self, name: str = "add", cell_run: str = BACKGROUND, **options: object) -> TemplateId:
        """Register a template of calls of a method."""
        self._templates += 1
        number = template_id(self.process_id, self._templates)
        fields = {
            "template_id": number, "function_key": b"", "name": f"Counter.{name}", "cell_run": cell_run, "resources": {},
            "method": name,
        }  # fmt: skip
        self.say(messages.RegisterTemplate(messages.Template(**{**fields, **options})))  # type: ignore[arg-type]
        return number

    def call(
        self, actor_id: ActorId, template: TemplateId, count: int = 1, *, deps: Iterable[ObjectId] = (),
        nested: Iterable[ObjectId] = (), returns: int = 1,
    ) -> list[TaskId]:  # fmt: skip
        """Call a method, several times in one message."""
        specs = [
            messages.TaskSpec(self.new_object(max(1, returns)), template, b"args", list(deps), list(nested)) for _ in range(count)
        ]
        self.say(messages.Call(actor_id, specs))
        return [spec.task_id for spec in specs]

    def put(self, value: messages.Value) -> ObjectId:
        """Put an object."""
        number = self.new_object()
        self.say(messages.Put(number, value))
        return number

    def allocate(self, size: int) -> messages.Granted | messages.Refused:
        """Ask for an extent."""
        actions = self.say(messages.Allocate(1, size))
        replies = [action.message for action in actions if isinstance(action, Send)]
        reply = next(reply for reply in replies if isinstance(reply, (messages.Granted, messages.Refused)))
        assert reply.request_id == 1
        return reply

    def store(self, size: int, nested: Iterable[ObjectId] = ()) -> messages.Stored:
        """A value of so many bytes, written into an extent."""
        granted = self.allocate(size)
        assert isinstance(granted, messages.Granted)
        return messages.Stored(granted.offset, size, list(nested))

    def leave(self) -> list[Action]:
        """Close the connection."""
        return self.cluster.do(Left(self.process_id))


class Driver(Process):
    """A pretend driver."""

    def __init__(self, cluster: Cluster, job: str, linger: float) -> None:
        super().__init__(cluster)
        self.process_id = cluster.new_process()
        hello = messages.Hello("driver", 1, messages.PROTOCOL, EPOCH, job, linger=linger)
        cluster.do(Joined(self.process_id, hello))

    def cancel(
        self, *task_ids: TaskId, cell_runs: Iterable[str] = (), everything: bool = False, force: bool = False,
        recursive: bool = True,
    ) -> None:  # fmt: skip
        """Cancel, with request number 1."""
        runs = [CellRunId(run) for run in cell_runs]
        self.say(messages.Cancel(1, list(task_ids), runs, everything, force, recursive=recursive))

    @property
    def counts(self) -> dict[str, int]:
        """The last answer to a cancel."""
        return msgspec.msgpack.decode(self.heard(messages.Answer)[-1].body, type=dict[str, int])


class Worker(Process):
    """A pretend worker; it runs nothing unless the test says so."""

    def __init__(self, cluster: Cluster, fork: Fork) -> None:
        super().__init__(cluster)
        self.slot = fork.slot
        self.gpus = fork.gpus
        self.profile = fork.profile
        self.process_id = cluster.new_process()
        self.pid = 1000 + self.process_id
        self._reported = 0
        cluster.workers[self.slot] = self

    def join(self) -> None:
        """Say hello."""
        self.cluster.do(WorkerForked(self.slot, self.pid))
        hello = messages.Hello("worker", self.pid, messages.PROTOCOL, EPOCH, slot=self.slot)
        self.cluster.do(Joined(self.process_id, hello))

    @property
    def given(self) -> list[messages.RunSpec]:
        """All tasks that it was ever given."""
        return [spec for run in self.heard(messages.Run) for spec in run.tasks]

    @property
    def task_ids(self) -> list[TaskId]:
        """Their ids."""
        return [spec.task_id for spec in self.given]

    def finish(self, *task_ids: TaskId, value: messages.Value = b"result", micros: int = 1000) -> list[Action]:
        """Report results."""
        return self.say(messages.Finished([messages.TaskResult(task_id, [value], micros) for task_id in task_ids]))

    def finish_all(self, value: messages.Value = b"result", micros: int = 100) -> int:
        """Report results of all that it was given and has not reported; returns how many."""
        task_ids = self.task_ids[self._reported :]
        self._reported += len(task_ids)
        if task_ids:
            self.finish(*task_ids, value=value, micros=micros)
        return len(task_ids)

    def give_back(self, task_ids: list[TaskId]) -> list[Action]:
        """Answer a TakeBack: these have not started and will not."""
        self._reported = len(self.task_ids)
        return self.say(messages.TakenBack(task_ids))

    def die(
        self, started: TaskId = NO_TASK, *, signal: int = 9, exit_code: int | None = None, log: str = ""
    ) -> list[Action]:
        """End, having started that task last: the connection closes, then the zygote reaps the process."""
        number = signal if exit_code is None else None
        return self.leave() + self.cluster.do(WorkerExited(self.slot, exit_code, number, started, log))
