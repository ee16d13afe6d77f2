"""What there is to hand out and who holds it: the cluster's resources, those set aside for gangs, and the shapes of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from nbray.resources import CPU, GPU, UNIT, Amounts, fits, give, shortfall, take

if TYPE_CHECKING:
    from nbray.scheduler.worker_records import Worker


class Reservoir:
    """Amounts that tasks draw from: all that the cluster has, or one bundle that was set aside for a gang."""

    __slots__ = ("available", "devices", "gpus", "heir", "total")

    def __init__(self, total: Mapping[str, int], devices: list[int]) -> None:
        self.total: Amounts = dict(total)
        self.available: Amounts = dict(total)
        """May go below zero while a blocked task comes back."""
        self.devices = devices
        """What is free of each GPU."""
        self.gpus: tuple[int, ...] = ()
        """Those of which a bundle has a part."""
        self.heir: Reservoir | None = None
        """Gets what comes back once this one is no more."""

    @property
    def home(self) -> Reservoir:
        """Where what was drawn from here goes back to."""
        return self.heir or self

    def has_room(self, amounts: Mapping[str, int]) -> bool:
        """Whether all of it is there (GPUs as a number)."""
        return fits(amounts, self.available)

    def has_devices(self, gpus: tuple[int, ...], units: int) -> bool:
        """Whether these GPUs are just what `units` need, and free."""
        if not units:
            return not gpus
        each = min(units, UNIT)
        return len(gpus) * each == units and all(self.devices[index] >= each for index in gpus)

    def use_devices(self, gpus: Iterable[int], units: int) -> None:
        """So much less of each of these is free; negative units give back."""
        for index in gpus:
            self.devices[index] -= units


class Shape:
    """What one task asks for; tasks that ask for the same share this record, and may share a worker's lease."""

    __slots__ = ("amounts", "cpus", "gpus", "hosts", "plain", "profile", "reservoirs", "share", "workers")

    def __init__(self, amounts: Amounts, profile: bytes, reservoirs: tuple[Reservoir, ...], total: Mapping[str, int]) -> None:
        self.amounts = amounts
        self.profile = profile
        """What its worker must be started with (`runtime_env`); opaque here."""
        self.reservoirs = reservoirs
        """It draws from the first of these that has enough."""
        self.cpus = {CPU: amounts[CPU]} if CPU in amounts else {}
        self.gpus = amounts.get(GPU, 0)
        self.plain = not (self.gpus or profile)
        """Any worker without GPUs and without a profile will do."""
        self.hosts = False
        """Its tasks create actors: each gets a worker of its own."""
        self.share = 0.0
        """The largest part of any resource that one task takes; what fair share counts in."""
        self.workers: dict[int, Worker] = {}
        """Those that hold a lease for it and take more of its tasks, by slot."""
        self.measure(total)

    def __repr__(self) -> str:
        return f"<shape {self.amounts}{' with a profile' if self.profile else ''}>"

    def measure(self, total: Mapping[str, int]) -> None:
        """Compare what it asks for with what the cluster has."""
        self.share = max((units / (total.get(name) or units) for name, units in self.amounts.items() if units), default=0.0)


class Pool:
    """The cluster's own reservoir, and every shape that draws from it or from a bundle."""

    def __init__(self, total: Mapping[str, int]) -> None:
        self.cluster = Reservoir(total, [UNIT] * (total.get(GPU, 0) // UNIT))
        self._everywhere = (self.cluster,)
        self._shapes: dict[tuple[object, ...], Shape] = {}

    @property
    def total(self) -> Amounts:
        """All that the cluster has."""
        return self.cluster.total

    @property
    def available(self) -> Amounts:
        """What nobody holds; bundles of gangs count as held."""
        return self.cluster.available

    @property
    def devices(self) -> list[int]:
        """What nobody holds of each GPU."""
        return self.cluster.devices

    def shape(
        self, amounts: Mapping[str, int], profile: bytes = b"", reservoirs: tuple[Reservoir, ...] | None = None
    ) -> Shape:
        """The one record for these amounts, in this kind of worker, from there."""
        if reservoirs is None:
            reservoirs = self._everywhere
        key = (*sorted(amounts.items()), profile, reservoirs)
        if key not in self._shapes:
            self._shapes[key] = Shape(dict(amounts), profile, reservoirs, self.total)
        return self._shapes[key]

    def hosting(self, shape: Shape) -> Shape:
        """The record for actors that ask for as much."""
        key = (*sorted(shape.amounts.items()), shape.profile, shape.reservoirs, "actor")
        if key not in self._shapes:
            twin = self._shapes[key] = Shape(shape.amounts, shape.profile, shape.reservoirs, self.total)
            twin.hosts = True
        return self._shapes[key]

    def forget(self, reservoirs: Iterable[Reservoir]) -> None:
        """No new task will draw from these."""
        gone = set(reservoirs)
        self._shapes = {key: shape for key, shape in self._shapes.items() if gone.isdisjoint(shape.reservoirs)}

    def impossible(self, amounts: Mapping[str, int]) -> str:
        """Why a task that asks for this could never run, or an empty string."""
        gpus = amounts.get(GPU, 0)
        if gpus > UNIT and gpus % UNIT:
            return f"GPU: {gpus / UNIT:g} asked, more than one come only in whole numbers"
        return shortfall(amounts, self.total)

    # ---------------------------------------------------------------- room

    def fits(self, shape: Shape) -> bool:
        """Whether one more lease of this shape can be granted (its GPUs apart)."""
        for reservoir in shape.reservoirs:
            available = reservoir.available
            for name, units in shape.amounts.items():
                if available.get(name, 0) < units:
                    break
            else:
                return True
        return False

    def how_many(self, shape: Shape, most: int) -> int:
        """How many more leases of this shape can be granted, at most `most`."""
        if not shape.amounts:
            return most
        counts = [
            min(max(0, reservoir.available.get(name, 0)) // units for name, units in shape.amounts.items())
            for reservoir in shape.reservoirs
        ]
        return min(most, sum(counts))

    def missing(self, shape: Shape) -> list[str]:
        """The resources that are short for one more lease, where fewest are."""
        lacks = [
            [name for name, units in shape.amounts.items() if reservoir.available.get(name, 0) < units]
            for reservoir in shape.reservoirs
        ]
        return min(lacks, key=len)

    # ---------------------------------------------------------------- leases

    def lease(self, worker: Worker, shape: Shape) -> None:
        """The worker holds the resources of this shape from now on."""
        reservoirs = shape.reservoirs
        reservoir = reservoirs[0] if len(reservoirs) == 1 else self._with_room(worker, shape)
        worker.shape = shape
        worker.reservoir = reservoir
        shape.workers[worker.slot] = worker
        take(shape.amounts, reservoir.available)
        if shape.gpus:
            reservoir.use_devices(worker.gpus, min(shape.gpus, UNIT))

    def release(self, worker: Worker) -> None:
        """The worker gives back what it holds."""
        shape, reservoir = worker.shape, worker.reservoir
        if shape is None or reservoir is None:
            return
        if worker.gave_cpus:
            self.unblock(worker)
        shape.workers.pop(worker.slot, None)
        give(shape.amounts, reservoir.home.available)
        if shape.gpus:
            reservoir.home.use_devices(worker.gpus, -min(shape.gpus, UNIT))
        worker.shape = worker.reservoir = None

    def block(self, worker: Worker) -> None:
        """Its task waits: the CPUs are free meanwhile.

        GPUs, memory and custom resources stay: what the task has put there is still there.
        """
        assert worker.shape is not None
        assert worker.reservoir is not None
        worker.shape.workers.pop(worker.slot, None)
        worker.gave_cpus = True
        give(worker.shape.cpus, worker.reservoir.home.available)

    def unblock(self, worker: Worker) -> None:
        """Its task goes on, whether or not its CPUs are free; what is over-used then, no new task gets."""
        assert worker.shape is not None
        assert worker.reservoir is not None
        if worker.open:
            worker.shape.workers[worker.slot] = worker
        worker.gave_cpus = False
        take(worker.shape.cpus, worker.reservoir.home.available)

    def _with_room(self, worker: Worker, shape: Shape) -> Reservoir:
        """The reservoir that has what the shape needs, and if it needs GPUs, those of the worker."""
        return next(
            each for each in shape.reservoirs
            if each.has_room(shape.amounts) and (not shape.gpus or each.has_devices(worker.gpus, shape.gpus))
        )  # fmt: skip

    # ---------------------------------------------------------------- GPUs

    def free_devices(self, shape: Shape, starting: Iterable[Worker]) -> tuple[int, ...] | None:
        """Devices for a new worker, beside those that are starting: whole ones, or the fullest one that has the fraction left."""
        for reservoir in shape.reservoirs:
            if reservoir.has_room(shape.amounts):
                free = list(reservoir.devices)
                for worker in starting:
                    meant = worker.meant_for
                    for index in worker.gpus if meant is None or reservoir in meant.reservoirs else ():
                        free[index] -= UNIT if meant is None else min(UNIT, meant.gpus)
                found = choose_devices(free, shape.gpus)
                if found is not None:
                    return found
        return None

    def devices_fit(self, worker: Worker, shape: Shape) -> bool:
        """Whether the worker's own devices are those that the shape needs, and free."""
        return any(each.has_room(shape.amounts) and each.has_devices(worker.gpus, shape.gpus) for each in shape.reservoirs)

    # ---------------------------------------------------------------- size

    def resize_cpus(self, cpus: int) -> None:
        """The cluster has so many CPUs from now on."""
        self.available[CPU] = self.available.get(CPU, 0) + cpus * UNIT - self.total.get(CPU, 0)
        self.total[CPU] = cpus * UNIT
        for shape in self._shapes.values():
            shape.measure(self.total)

    def set_aside(self, bundles: Sequence[Reservoir]) -> bool:
        """Fill these reservoirs, which are empty, from the cluster's; False, and nothing is taken, where there is not enough."""
        free, left = list(self.devices), dict(self.available)
        chosen: dict[Reservoir, tuple[int, ...]] = {}
        for bundle in sorted(bundles, key=lambda bundle: -bundle.total.get(GPU, 0)):  # whole GPUs first
            found = choose_devices(free, bundle.total.get(GPU, 0))
            if found is None or not fits(bundle.total, left):
                return False
            take(bundle.total, left)
            for index in found:
                free[index] -= min(UNIT, bundle.total[GPU])
            chosen[bundle] = found
        self.cluster.available.update(left)
        self.cluster.devices[:] = free
        for bundle in bundles:
            bundle.available.update(bundle.total)
            bundle.gpus = chosen[bundle]
            bundle.use_devices(bundle.gpus, -min(UNIT, bundle.total.get(GPU, 0)))
        return True

    def bundle(self, amounts: Mapping[str, int]) -> Reservoir:
        """A reservoir for so much, empty until it is set aside."""
        bundle = Reservoir(amounts, [0] * len(self.devices))
        bundle.available = dict.fromkeys(amounts, 0)
        return bundle

    def take_back(self, reservoir: Reservoir) -> None:
        """A bundle is no more: what is free of it goes back at once, the rest when its leases end."""
        reservoir.heir = self.cluster
        give(reservoir.available, self.cluster.available)
        for index, units in enumerate(reservoir.devices):
            self.cluster.devices[index] += units


def choose_devices(free: list[int], units: int) -> tuple[int, ...] | None:
    """GPUs for so many units: whole ones, or the fullest that has the fraction left; None where there are none.

    >>> choose_devices([10_000, 4_000, 10_000], 5_000), choose_devices([10_000, 4_000, 10_000], 20_000)
    ((0,), (0, 2))
    """
    if not units:
        return ()
    if units < UNIT:
        fitting = [index for index, left in enumerate(free) if left >= units]
        return (min(fitting, key=free.__getitem__),) if fitting else None
    whole = [index for index, left in enumerate(free) if left == UNIT]
    return tuple(whole[: units // UNIT]) if len(whole) >= units // UNIT else None
