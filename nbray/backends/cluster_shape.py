"""What a new cluster on this machine has: how many workers, which resources, which GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nbray import gpus, machine
from nbray import resources as amounts


class ClusterShape(NamedTuple):
    """As `ClusterConfig` wants it."""

    num_workers: int
    max_workers: int
    resources: dict[str, int]
    gpus: tuple[str, ...]

    @classmethod
    def of(
        cls, *, num_workers: int | None = None, min_workers: int | None = None, max_workers: int | None = None,
        num_cpus: float | None = None, num_gpus: float | None = None, resources: Mapping[str, float] | None = None,
    ) -> ClusterShape:  # fmt: skip
        """What was asked for, and for the rest what the machine has; GPUs that are asked for need not exist."""
        found = gpus.detect() if num_gpus is None or num_gpus else ()
        count = len(found) if num_gpus is None else int(num_gpus)
        most = max_workers or num_workers or (int(num_cpus) if num_cpus is not None else machine.cpu_count()) or 1
        least = min_workers or (num_workers or most if max_workers is None else 1)
        most = max(least, most)
        total = amounts.request(
            num_cpus if num_cpus is not None else most, count if num_gpus is None else num_gpus, machine.memory_limit(), resources
        )
        names = found[:count] if len(found) >= count else tuple(str(index) for index in range(count))
        return cls(least, most, total, names)
