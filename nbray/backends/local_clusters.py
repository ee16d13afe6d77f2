"""The cluster that a driver of the local backend gets: a new one, or the one that its notebook has left behind."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nbray import machine
from nbray import resources as amounts
from nbray.backends.cluster_shape import ClusterShape
from nbray.config import ClusterConfig
from nbray.engine import run_directory
from nbray.engine import spill_directory as spill_directories
from nbray.engine.driver import Driver
from nbray.engine.job_list import Member


class Asked(NamedTuple):
    """What the user has asked for in so many words; None where anything will do."""

    num_workers: int | None
    store_limit: int | None
    resources: Mapping[str, int] | None

    def suits(self, settings: Mapping[str, Any], resources: Mapping[str, int]) -> bool:
        """Whether a cluster with these settings and resources is what is asked for."""
        has = (settings["num_workers"], settings["memory"], resources)
        return all(wanted is None or wanted == there for wanted, there in zip(self, has, strict=True))


def connect(
    *, num_workers: int | None, memory: int | None, num_cpus: float | None, num_gpus: float | None,
    resources: Mapping[str, float] | None, linger: float, default_max_retries: int, preload: Sequence[str], job: str,
    spill_directory: str | Literal[False] | None, min_workers: int | None, max_workers: int | None, cluster: str = "",
    notebook: str = "", heir: str = "",
) -> tuple[Driver, ClusterConfig]:  # fmt: skip
    """A driver, and with what a cluster was started if it was; the arguments are those of `LocalBackend.start`.

    A cluster of the same job that lingers is joined if it is what is asked for, and `cluster`, by its epoch, whatever it is.
    Raises StartFailed.
    """
    has = ClusterShape.of(
        num_workers=num_workers, min_workers=min_workers, max_workers=max_workers, num_cpus=num_cpus, num_gpus=num_gpus,
        resources=resources,
    )  # fmt: skip
    epoch = secrets.token_hex(4)
    folder, problem = (None, "") if spill_directory is False else spill_directories.find(spill_directory)
    config = ClusterConfig(
        epoch=epoch,
        run_directory=str(run_directory.parent() / f"{run_directory.PREFIX}{epoch}"),
        num_workers=has.num_workers,
        max_workers=has.max_workers,
        resources=has.resources,
        gpus=has.gpus,
        store_limit=memory or machine.default_store_limit(),
        spill_directory=str(folder / f"{spill_directories.PREFIX}{epoch}") if folder else "",
        spill_problem=problem,
        linger=linger,
        default_max_retries=default_max_retries,
        preload=tuple(preload),
        sys_path=tuple(sys.path),
        working_directory=str(Path.cwd()),
        notebook=notebook,
    )
    if cluster:
        return Driver.join_named(cluster, Member(job, notebook, heir=heir), linger), config
    shape = (num_workers, num_cpus, num_gpus, resources, min_workers, max_workers)
    asked = Asked(num_workers, memory, None if shape == (None,) * 6 else config.resources)
    return (_rejoin(asked, job, linger) if job else None) or Driver.start(config, job), config


def settings_of(driver: Driver) -> dict[str, Any]:
    """What the cluster runs with, which may have been started by an earlier kernel: by the names of `init`'s arguments."""
    content = run_directory.read(driver.directory)
    totals = amounts.from_units(driver.welcome.resources)
    totals.pop(amounts.MEMORY, None)
    return {
        "num_workers": content.num_workers if content else 0, "memory": content.store_limit if content else 0,
        "spill_directory": str(Path(content.spill_directory).parent) if content and content.spill_directory else False,
        "num_cpus": totals.pop(amounts.CPU, 0), "num_gpus": totals.pop(amounts.GPU, 0), "resources": totals,
    }  # fmt: skip


def _rejoin(asked: Asked, job: str, linger: float) -> Driver | None:
    """The job's lingering cluster if it is what is asked for; one that is not is ended."""
    driver = Driver.join(job, linger)
    if driver is None:
        return None
    if asked.suits(settings_of(driver), driver.welcome.resources):
        return driver
    driver.close(stop=True)
    return None
