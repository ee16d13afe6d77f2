"""Leads a storm: starts the notebook, watches over calm, faults and end, and collects what the verdict is made from.

    calm       load, no fault: a storm over an idle cluster would prove nothing
    faults     until the time is over and there were enough kills, at most three times as long
    calm       the notebook gives all back and ends; then nothing of it may be left
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.leak_guard import MARK, ProcessTable
from tests.storm import family, faults, journal, ledger, mix
from tests.storm.injector import Fallen, Injector
from tests.storm.journal import Began, now
from tests.storm.notebook import Options
from tests.storm.places import Places
from tests.storm.record import Gone, NotebookRecord, Record
from tests.storm.victims import RealKernel, StandIn, Victim

TICK_SECONDS = 0.01
LOOK_SECONDS = 0.25
WARM_SECONDS = 2.0
START_SECONDS = 60.0
END_SECONDS = 180.0
GONE_SECONDS = 10.0
MEAN_PAUSE = 0.25


class Tier(msgspec.Struct, frozen=True):
    """How long a storm is, and how hard."""

    seconds: float
    kills: int
    """At least."""
    calm: float = 5.0
    longest_stop: float = faults.LONGEST_STOP
    workers: int = 8
    memory: int = 512 << 20
    largest: int = mix.LARGEST_BYTES
    real_kernel: bool = False


class Storm:
    """One storm; everything runs on the caller's thread."""

    def __init__(self, seed: int, tier: Tier, say: Callable[[str], None] = lambda text: None) -> None:
        self.places = Places()
        self._seed = seed
        self._tier = tier
        self._say = say
        os.environ.setdefault(MARK, secrets.token_hex(8))
        self._table = ProcessTable(os.environ[MARK])
        self._before = self._table.ours()
        self._injector = Injector(self.places, faults.plan(seed, MEAN_PAUSE, tier.longest_stop), self.places.root / "faults")
        self._records: list[NotebookRecord] = []
        self._gone: list[Gone] = []
        self._head_bytes: list[int] = []
        self._look_at = 0.0
        self._started = 0
        self._victim: Victim | None = None
        self.broke_off = False
        """The notebook ended by itself, which it must not."""

    def run(self) -> Record:
        """The whole storm."""
        try:
            self._start()
            calm_from, calm_until = self._be_calm()
            begun = now()
            self._rage(begun)
            seconds = now() - begun
            self._injector.calm()
            self._finish()
            return self._record(seconds, calm_from, calm_until)
        finally:
            self._clear_away()

    # ---------------------------------------------------------------- phases

    def _start(self) -> None:
        number, self._started = self._started, self._started + 1
        places, tier = self.places, self._tier
        options = Options(
            self._seed, number, str(places.ledger), str(places.journal(number)), str(places.orders(number)), str(places.spill),
            tier.workers, tier.memory, largest=tier.largest,
        )  # fmt: skip
        self._victim = (RealKernel if tier.real_kernel else StandIn)(places, options)
        until = now() + START_SECONDS
        while now() < until and self._victim.ended() is None:
            if any(isinstance(entry, Began) for entry in self._entries(number)):
                self._injector.victim = self._victim
                return
            time.sleep(TICK_SECONDS)
        self._say(f"notebook {number} has no cluster after {START_SECONDS:.0f} s")
        self.broke_off = True

    def _be_calm(self) -> tuple[float, float]:
        """Let the load run without a fault; returns from when until when it counts."""
        self._wait(WARM_SECONDS)
        begun = now()
        self._wait(self._tier.calm)
        return begun, now()

    def _wait(self, seconds: float) -> None:
        until = now() + seconds
        while now() < until and not self.broke_off:
            self._look()
            time.sleep(TICK_SECONDS)

    def _rage(self, begun: float) -> None:
        """Do faults until it is enough."""
        tier, told = self._tier, begun
        self._injector.begin()
        while not self.broke_off:
            lasted = now() - begun
            if lasted >= tier.seconds and (self._injector.kills() >= tier.kills or lasted >= 3 * tier.seconds):
                return
            self._injector.step()
            self._look()
            self._mind_notebook()
            if now() > told + 30:
                told = now()
                self._say(f"{lasted:,.0f} s, {self._injector.kills():,} kills, notebook {self._started - 1}")
            time.sleep(TICK_SECONDS)

    def _mind_notebook(self) -> None:
        victim = self._victim
        assert victim is not None
        if victim.ended() is None:
            return
        killed = self._injector.victim is None
        self._close(victim, killed=killed)
        if killed:
            self._await_gone()
            self._start()
        else:
            self.broke_off = True

    def _finish(self) -> None:
        """Let the notebook end in peace."""
        victim = self._victim
        if victim is not None:
            victim.order("stop")
            until = now() + END_SECONDS
            while victim.ended() is None and now() < until:
                self._look()
                time.sleep(TICK_SECONDS)
            self._close(victim, killed=False)
        self._await_gone()

    def _close(self, victim: Victim, *, killed: bool) -> None:
        status = victim.ended()
        if status is None:
            victim.kill()
        words = victim.last_words()
        victim.close()
        entries = tuple(self._entries(victim.number))
        self._records.append(NotebookRecord(victim.number, entries, -999 if status is None else status, killed, words))
        self._victim = self._injector.victim = None

    # ---------------------------------------------------------------- looking

    def _look(self) -> None:
        """Who has gone, and how much memory the scheduler process takes."""
        for fallen in list(self._injector.watched):
            self._look_at_fallen(fallen)
        if now() >= self._look_at:
            self._look_at = now() + LOOK_SECONDS
            cluster = family.find(self.places.run)
            if cluster is not None and cluster.scheduler and cluster.workers:
                self._head_bytes.append(family.own_memory(cluster.scheduler))

    def _look_at_fallen(self, fallen: Fallen) -> None:
        left, seconds = fallen.alive(), now() - fallen.at
        if left and seconds < GONE_SECONDS:
            return
        self._injector.watched.remove(fallen)
        self._gone.append(Gone(fallen.kind, seconds, tuple(left)))

    def _await_gone(self) -> None:
        while self._injector.watched:
            self._look()
            time.sleep(TICK_SECONDS / 5)

    def _entries(self, number: int) -> list[journal.Entry]:
        path = self.places.journal(number)
        return journal.read(path.read_bytes()) if path.exists() else []

    def _left(self) -> list[str]:
        """Processes and files that are still there, once what is on its way out had its time."""
        until = now() + GONE_SECONDS
        while True:
            left = [f"process {pid}: {_command(pid)}" for pid in sorted(self._table.ours() - self._before)]
            left += [f"file {name}" for name in self.places.left()]
            if not left or now() > until:
                return left
            time.sleep(TICK_SECONDS)

    def _record(self, seconds: float, calm_from: float, calm_until: float) -> Record:
        lines = ledger.read(self.places.ledger.read_bytes()) if self.places.ledger.exists() else []
        return Record(
            self._seed, seconds, calm_from, calm_until, tuple(lines), tuple(self._injector.done), tuple(self._records),
            tuple(self._gone), tuple(self._head_bytes), tuple(self._left()), self._tier.largest, self.places.mounted,
        )  # fmt: skip

    def _clear_away(self) -> None:
        """Whatever has happened, nothing that this storm has started goes on."""
        self._injector.close()
        if self._victim is not None:
            if self._victim.ended() is None:
                self._victim.kill()
            self._victim.close()
        for pid in self._table.ours() - self._before:
            family.send(pid, 9)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    except OSError:
        return "gone meanwhile"
