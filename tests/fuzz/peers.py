"""Processes that say anything at all to the pure scheduler: what it does not refuse may change its tables, never break them."""

from __future__ import annotations

from typing import Any

import msgspec

from nbray.config import ClusterConfig
from nbray.engine import wire
from nbray.ids import ProcessId
from nbray.resources import UNIT
from nbray.scheduler.actions import Send
from nbray.scheduler.events import Joined, Left, Received, Started, Tick, WorkerForked
from nbray.scheduler.messages import PROTOCOL, Hello, ToScheduler
from nbray.scheduler.processes import Contradiction
from nbray.scheduler.scheduler import Scheduler
from nbray.store.allocator import Allocator
from tests.fuzz.choices import Choices
from tests.fuzz.messages import KINDS_TO, message
from tests.fuzz.targets import plain

WORKERS = (ProcessId(1), ProcessId(2))
DRIVER = ProcessId(3)
PEERS = (*WORKERS, DRIVER)
STORE = 1 << 24
SAID = KINDS_TO[1:]
"""All but Hello, which the process around the scheduler takes once from each connection."""
assert Hello not in SAID


class Town:
    """A scheduler with two workers and a driver, who do not know what they say."""

    def __init__(self) -> None:
        config = ClusterConfig(
            epoch="epoch-1", run_directory="/nowhere", num_workers=2, resources={"CPU": 2 * UNIT, "GPU": UNIT},
            store_limit=STORE, spill_directory="/nowhere/else",
        )  # fmt: skip
        self.scheduler = Scheduler(config, Allocator(STORE, 4 * STORE))
        self.now = 0.0
        self.said: list[tuple[ProcessId, ToScheduler]] = []
        self._handle(Started())
        for slot, process in enumerate(WORKERS):
            self._handle(WorkerForked(slot, 100 + slot))
            self._handle(Joined(process, Hello("worker", 100 + slot, PROTOCOL, "epoch-1", "", slot)))
        self._handle(Joined(DRIVER, Hello("driver", 200, PROTOCOL, "epoch-1", "job")))

    def __repr__(self) -> str:
        return "\n".join(f"{process}: {message!r:.400}" for process, message in self.said)

    def say(self, process: ProcessId, sent: Any) -> bool:
        """Let a process send this, as bytes; False where the decoder or the scheduler refuses it."""
        try:
            (received,) = wire.scheduler_decoder().feed(bytes(wire.frame(sent)))
        except wire.ProtocolError:
            return False
        self.said.append((process, received))
        try:
            self._handle(Received(process, received))
        except Contradiction:
            return False
        finally:
            self.now += 0.1
            self._handle(Tick())
        return True

    def look(self) -> None:
        """What people ask for can be made of whatever the tables hold."""
        msgspec.msgpack.encode(self.scheduler.snapshot(self.now))
        self.scheduler.next_deadline()

    def leave(self) -> None:
        """Everybody goes."""
        for process in PEERS:
            self._handle(Left(process))

    def _handle(self, event: Any) -> None:
        for action in self.scheduler.handle(event, self.now):
            if type(action) is Send:
                wire.frame(action.message)


def chatter(data: bytes) -> Town:
    """A conversation steered by `data`; raises what the scheduler raises."""
    choices, town = Choices(data), Town()
    while choices.left:
        town.say(choices.pick(PEERS), message(choices, SAID))
        if choices.chance(8):
            town.look()
    town.look()
    town.leave()
    return town


def run(data: bytes) -> str:
    """For the table of targets."""
    town = chatter(data)
    return "read" if town.said else "refused"


TARGET = plain("peers", run, "no exception of the scheduler's but Contradiction")
