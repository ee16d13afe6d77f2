"""Who belongs to the cluster: drivers and workers join and leave, and what they held is passed on or let go."""

from __future__ import annotations

from nbray.ids import ProcessId
from nbray.scheduler.actions import Admit, Drop
from nbray.scheduler.actors import Actors
from nbray.scheduler.cancel_requests import CancelRequests
from nbray.scheduler.cell_runs import Job, Jobs
from nbray.scheduler.events import WorkerExited
from nbray.scheduler.extents import Extents
from nbray.scheduler.gangs import Gangs
from nbray.scheduler.lifetime import Lifetime
from nbray.scheduler.messages import PROTOCOL, STAYS, Exit, Failure, Hello
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.output import OutputDesk
from nbray.scheduler.ownership import Objects
from nbray.scheduler.pool import Pool
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.registry import Registry
from nbray.scheduler.streams import Streams
from nbray.scheduler.worker_records import Worker
from nbray.scheduler.workers import Fleet


class Membership:
    """Lets processes in and out."""

    def __init__(
        self, epoch: str, processes: dict[ProcessId, Process], jobs: Jobs, fleet: Fleet, pool: Pool, objects: Objects,
        extents: Extents, registry: Registry, outcomes: Outcomes, actors: Actors, cancels: CancelRequests, gangs: Gangs,
        streams: Streams, output: OutputDesk, lifetime: Lifetime, outbox: Outbox,
    ) -> None:  # fmt: skip
        self._epoch = epoch
        self._processes = processes
        self._jobs = jobs
        self._fleet = fleet
        self._pool = pool
        self._objects = objects
        self._extents = extents
        self._registry = registry
        self._outcomes = outcomes
        self._actors = actors
        self._cancels = cancels
        self._gangs = gangs
        self._streams = streams
        self._output = output
        self._lifetime = lifetime
        self._outbox = outbox

    def start(self) -> None:
        """The cluster begins."""
        self._lifetime.start()
        self._fleet.fill()

    # ---------------------------------------------------------------- in

    def join(self, process_id: ProcessId, hello: Hello) -> None:
        """A process has said hello: Admit or Drop."""
        refusal = ""
        if hello.protocol != PROTOCOL or hello.epoch != self._epoch:
            refusal = (
                f"this is cluster {self._epoch!r}, protocol {PROTOCOL}; it was called as cluster {hello.epoch!r}, "
                f"protocol {hello.protocol}"
            )
        elif hello.role == "driver":
            self._join_driver(process_id, hello)
        elif hello.role == "watcher":
            self._processes[process_id] = Process(process_id, None, None)
            self._outbox.actions.append(Admit(process_id))
        elif not self._join_worker(process_id, hello):
            refusal = f"no worker is expected in slot {hello.slot}"
        if refusal:
            failure = Failure("refused", f"The scheduler refused a connection: {refusal}.")
            self._outbox.actions.append(Drop(process_id, failure))

    def _join_worker(self, process_id: ProcessId, hello: Hello) -> bool:
        worker = self._fleet.join(process_id, hello)
        if worker is None or worker.process is None:
            return False
        self._processes[process_id] = worker.process
        self._outbox.actions.append(Admit(process_id))
        return True

    def _join_driver(self, process_id: ProcessId, hello: Hello) -> None:
        job = self._jobs.job(hello.job)
        self._processes[process_id] = job.drivers[process_id] = Process(process_id, job, None)
        self._outbox.actions.append(Admit(process_id))
        self._lifetime.driver_joined(hello.linger)

    # ---------------------------------------------------------------- out

    def leave(self, process_id: ProcessId) -> None:
        """The connection of a process is closed."""
        process = self._processes.pop(process_id, None)
        if process is None:
            return
        self._streams.forget(process)
        if process.job is not None:
            self._driver_left(process, process.job)
        elif process.worker is not None:
            process.worker.left = True
            if process.worker.exited is None:
                self._fleet.lose(process.worker)
            self._end_if_complete(process.worker)

    def goodbye(self, process: Process, *, stop: bool, now: float) -> None:
        """A driver leaves for good: the cluster ends with it, unless another driver is there; then only its own work ends."""
        job = process.job
        process.parted = now if process.parted is None else process.parted
        if not stop or job is None:
            return
        if self._jobs.drivers() == 1:
            self._lifetime.end("its last driver has shut it down")
        elif len(job.drivers) == 1:
            self._cancels.end_job(process, job)
            self._gangs.end_job(job)
            for run in job.runs.values():
                self._jobs.release(run)
            self._objects.release(process, list(process.held))
        if self._jobs.drivers() > 1:
            self._outbox.send(process.process_id, Exit(STAYS))

    def worker_exited(self, event: WorkerExited) -> None:
        """A worker was reaped."""
        worker = self._fleet.workers.get(event.slot)
        if worker is not None:
            worker.exited = event
            self._end_if_complete(worker)

    def _driver_left(self, process: Process, job: Job) -> None:
        del job.drivers[process.process_id]
        if not job.drivers:
            self._output.miss(job, process.parted)
        # Nobody could use actors and gangs any more, and they hold resources.
        self._objects.release(process, sorted(process.held & (self._objects.watched | self._gangs.gangs.keys())))
        self._jobs.inherit(job, process)
        self._forget(process)
        self._lifetime.driver_left()

    def _end_if_complete(self, worker: Worker) -> None:
        """A worker is gone when it was reaped and all that it sent has been handled: results that it sent count."""
        if worker.exited is None or (worker.process is not None and not worker.left):
            return
        if worker.actor is None:
            self._outcomes.died(worker, worker.exited)
        else:
            self._actors.died(worker, worker.actor, worker.exited)
            worker.actor = None  # no circles, here too
        self._pool.release(worker)
        self._fleet.remove(worker)
        if worker.process is not None:
            self._forget(worker.process)
            worker.process.worker = None  # no circles: the scheduler process does not collect them

    def _forget(self, process: Process) -> None:
        self._objects.release(process, list(process.held))
        self._extents.forget(process.process_id)
        self._registry.forget_process(process.process_id)
