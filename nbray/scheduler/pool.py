"""The resources of the cluster: what there is, what is free, and which worker holds what for which shape of task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nbray.resources import CPU, GPU, UNIT, Amounts, fits, give, shortfall, take

if TYPE_CHECKING:
    from nbray.scheduler.workers import Worker


class Shape:
    """What one task asks for; tasks that ask for the same share this record, and may share a worker's lease."""

    __slots__ = ("amounts", "cpus", "gpus", "share", "workers")

    def __init__(self, amounts: Amounts, total: Mapping[str, int]) -> None:
        self.amounts = amounts
        self.cpus = {CPU: amounts[CPU]} if CPU in amounts else {}
        self.gpus = amounts.get(GPU, 0)
        self.share = max((units / (total.get(name) or units) for name, units in amounts.items()), default=0.0)
        """The largest part of any resource that one task takes; what fair share counts in."""
        self.workers: dict[int, Worker] = {}
        """Those that hold a lease for it and take more of its tasks, by slot."""

    def __repr__(self) -> str:
        return f"<shape {self.amounts}>"


class Pool:
    """Amounts total and available, GPU by GPU too; available may go below zero while a blocked task comes back."""

    def __init__(self, total: Mapping[str, int]) -> None:
        self.total: Amounts = dict(total)
        self.available: Amounts = dict(total)
        self.devices = [UNIT] * (self.total.get(GPU, 0) // UNIT)
        """What is free of each GPU."""
        self._shapes: dict[tuple[tuple[str, int], ...], Shape] = {}

    def shape(self, amounts: Mapping[str, int]) -> Shape:
        """The one record for these amounts."""
        key = tuple(sorted(amounts.items()))
        if key not in self._shapes:
            self._shapes[key] = Shape(dict(amounts), self.total)
        return self._shapes[key]

    def impossible(self, amounts: Mapping[str, int]) -> str:
        """Why a task that asks for this could never run, or an empty string."""
        gpus = amounts.get(GPU, 0)
        if gpus > UNIT and gpus % UNIT:
            return f"GPU: {gpus / UNIT:g} asked, more than one come only in whole numbers"
        return shortfall(amounts, self.total)

    def fits(self, shape: Shape) -> bool:
        """Whether one more lease of this shape can be granted (its GPUs apart)."""
        return fits(shape.amounts, self.available)

    def how_many(self, shape: Shape, most: int) -> int:
        """How many more leases of this shape can be granted, at most `most`."""
        counts = (max(0, self.available.get(name, 0)) // units for name, units in shape.amounts.items())
        return min(most, *counts) if shape.amounts else most

    def missing(self, shape: Shape) -> list[str]:
        """The resources that are short for one more lease."""
        return [name for name, units in shape.amounts.items() if self.available.get(name, 0) < units]

    def lease(self, worker: Worker, shape: Shape) -> None:
        """The worker holds the resources of this shape from now on."""
        worker.shape = shape
        shape.workers[worker.slot] = worker
        take(shape.amounts, self.available)
        self._use_devices(worker, shape, -1)

    def release(self, worker: Worker) -> None:
        """The worker gives back what it holds."""
        shape = worker.shape
        if shape is None:
            return
        if worker.gave_cpus:
            self.unblock(worker)
        shape.workers.pop(worker.slot, None)
        give(shape.amounts, self.available)
        self._use_devices(worker, shape, 1)
        worker.shape = None

    def block(self, worker: Worker) -> None:
        """Its task waits: the CPUs are free meanwhile.

        GPUs, memory and custom resources stay: what the task has put there is still there.
        """
        assert worker.shape is not None
        worker.shape.workers.pop(worker.slot, None)
        worker.gave_cpus = True
        give(worker.shape.cpus, self.available)

    def unblock(self, worker: Worker) -> None:
        """Its task goes on, whether or not its CPUs are free; what is over-used then, no new task gets."""
        assert worker.shape is not None
        if worker.open:
            worker.shape.workers[worker.slot] = worker
        worker.gave_cpus = False
        take(worker.shape.cpus, self.available)

    def free_devices(self, shape: Shape, starting: Iterable[Worker]) -> tuple[int, ...] | None:
        """Devices for a new worker, beside those that are starting: whole ones, or the fullest one that has the fraction left."""
        free = list(self.devices)
        for worker in starting:
            for index in worker.gpus:
                free[index] -= min(UNIT, worker.meant_for.gpus) if worker.meant_for is not None else UNIT
        if shape.gpus < UNIT:
            fitting = [index for index, units in enumerate(free) if units >= shape.gpus]
            return (min(fitting, key=free.__getitem__),) if fitting else None
        whole = [index for index, units in enumerate(free) if units == UNIT]
        count = shape.gpus // UNIT
        return tuple(whole[:count]) if len(whole) >= count else None

    def devices_fit(self, worker: Worker, shape: Shape) -> bool:
        """Whether the worker's own devices are those that the shape needs, and free."""
        each = min(shape.gpus, UNIT)
        return len(worker.gpus) * each == shape.gpus and all(self.devices[index] >= each for index in worker.gpus)

    def resize_cpus(self, cpus: int) -> None:
        """The cluster has so many CPUs from now on."""
        self.available[CPU] = self.available.get(CPU, 0) + cpus * UNIT - self.total.get(CPU, 0)
        self.total[CPU] = cpus * UNIT

    def _use_devices(self, worker: Worker, shape: Shape, sign: int) -> None:
        if shape.gpus:
            for index in worker.gpus:
                self.devices[index] += sign * min(shape.gpus, UNIT)
