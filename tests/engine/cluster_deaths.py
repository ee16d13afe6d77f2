"""`python -m tests.engine.cluster_deaths --rounds 20`: a cluster dies under everything that can wait for it, and a table.

In each round one thread waits in each way, the main thread in one of them; then the scheduler process or the zygote is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

import nbray
from nbray.util.queue import Queue
from tests.engine.local_cluster import until
from tests.fakes import fresh_session

SECONDS = 1.0
FOREVER = 600
KILLS = ("scheduler", "supervisor")


@nbray.remote
def nap() -> None:
    """A task that does not end by itself."""
    time.sleep(FOREVER)


@nbray.remote
def items() -> Iterator[int]:
    """A stream whose second item does not come."""
    yield 1
    time.sleep(FOREVER)


class Sleeper:
    """An actor that does not answer."""

    def nap(self) -> None:
        """A call that does not end."""
        time.sleep(FOREVER)


def get() -> None:
    """Waits for one object."""
    nbray.get(nap.remote())


def get_with_a_timeout() -> None:
    """The same for a while."""
    nbray.get([nap.remote(), nap.remote()], timeout=FOREVER)


def wait() -> None:
    """Waits until some are there."""
    nbray.wait([nap.remote(), nap.remote()], num_returns=1)


def as_completed() -> None:
    """Takes them as they come."""
    for _ in nbray.as_completed([nap.remote()]):
        pass


def actor_call() -> None:
    """Waits for an actor's answer."""
    sleeper: Any = nbray.remote(Sleeper).options(num_cpus=0).remote()
    nbray.get(sleeper.nap.remote())


def stream() -> None:
    """Waits for the next item."""
    for ref in items.remote():
        nbray.get(ref)


def mapped() -> None:
    """Waits for the results of a map."""
    list(nbray.map(time.sleep, [FOREVER]))


def future() -> None:
    """Waits as `concurrent.futures` does."""
    with nbray.Executor() as executor:
        executor.submit(time.sleep, FOREVER).result()


def queue() -> None:
    """Waits for something to be put into a queue."""
    Queue(actor_options={"num_cpus": 0}).get()


def awaited() -> None:
    """Waits on an event loop, for an object."""

    async def main() -> None:
        await nap.remote()

    asyncio.run(main())


def awaited_stream() -> None:
    """Waits on an event loop, for an item."""

    async def main() -> None:
        async for ref in items.remote():
            await ref

    asyncio.run(main())


def gathered() -> None:
    """Waits on an event loop, for many."""

    async def main() -> None:
        await asyncio.gather(*[nap.remote() for _ in range(20)])

    asyncio.run(main())


WAITS: tuple[Callable[[], None], ...] = (
    get, get_with_a_timeout, wait, as_completed, actor_call, stream, mapped, future, queue, awaited, awaited_stream, gathered,
)  # fmt: skip


@dataclass
class Death:
    """What a round has shown; all in seconds."""

    killed: str
    waits: dict[str, float] = field(default_factory=dict)
    """From the kill until each of them raised."""
    errors: dict[str, BaseException] = field(default_factory=dict)
    """What each of them raised."""
    fresh: float = 0.0
    """How long the next use took, which started a cluster."""
    fresh_cpu: float = 0.0
    """What its first process had taken of a core by then: that much is its own, whoever else is on the machine."""


def die(killed: str, in_main: Callable[[], None]) -> Death:
    """One round; the session is a fresh one, and nothing of it stays."""
    death = Death(killed)
    ended: dict[str, float] = {}

    def run(way: Callable[[], None]) -> None:
        try:
            way()
        except BaseException as error:  # noqa: BLE001 - it is what is looked at
            ended[way.__name__], death.errors[way.__name__] = time.monotonic(), error

    with fresh_session():
        nbray.init(num_workers=2, num_cpus=64)
        zygote, scheduler = nbray.get(nbray.apply_async(ancestors))
        threads = [threading.Thread(target=run, args=(way,)) for way in WAITS if way is not in_main]
        for thread in threads:
            thread.start()
        killings: list[float] = []

        def kill() -> None:
            time.sleep(0.2)  # until the main thread waits too
            killings.append(time.monotonic())
            os.kill(scheduler if killed == "scheduler" else zygote, signal.SIGKILL)

        assert until(lambda: len(nbray.list_tasks()) >= len(WAITS) - 1, 20)
        killer = threading.Thread(target=kill)
        killer.start()
        run(in_main)
        for thread in (killer, *threads):
            thread.join(20)
        death.waits = {name: when - killings[0] for name, when in ended.items()}
        began = time.monotonic()
        assert nbray.get(nbray.apply_async(abs, (-1,))) == 1
        death.fresh = time.monotonic() - began
        death.fresh_cpu = sum(psutil.Process(nbray.get(nbray.apply_async(ancestors))[0]).cpu_times()[:2])
    return death


def ancestors() -> tuple[int, int]:
    """The pids of the zygote and of its first child."""
    with open(f"/proc/{os.getppid()}/task/{os.getppid()}/children") as children:  # noqa: PTH123 - it travels to a worker
        return os.getppid(), int(children.read().split()[0])


def table(deaths: Sequence[Death]) -> str:
    """One line for each way to wait, one for the next use."""
    lines = [f"{'what':32}{'rounds':>7}{'median s':>10}{'worst s':>9}   asked: ClusterDied in < {SECONDS:g} s"]

    def add(name: str, seconds: list[float], note: str = "") -> None:
        lines.append(f"{name:32}{len(seconds):7}{statistics.median(seconds):10.3f}{max(seconds):9.3f}   {note}".rstrip())

    for way in WAITS:
        name = way.__name__
        others = {type(death.errors.get(name)).__name__ for death in deaths} - {"ClusterDied"}
        add(name, [death.waits.get(name, float("inf")) for death in deaths], ", ".join(sorted(others)))
    add("next use: a fresh cluster", [death.fresh for death in deaths], f"asked: < {SECONDS:g} s")
    add("its first process's CPU seconds", [death.fresh_cpu for death in deaths])
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the rounds; the exit code is 1 when one of them showed what should not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine.cluster_deaths", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    chance = random.Random(asked.seed)
    deaths = [die(KILLS[number % 2], chance.choice(WAITS)) for number in range(asked.rounds)]
    print(table(deaths))
    right = all(type(error) is nbray.ClusterDied for death in deaths for error in death.errors.values())
    in_time = all(max(death.fresh, *death.waits.values()) < SECONDS for death in deaths)
    complete = all(len(death.waits) == len(WAITS) for death in deaths)
    return int(not (right and in_time and complete))


if __name__ == "__main__":
    sys.exit(main())
